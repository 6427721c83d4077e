"""Passes on what workers say of files, and ends the uploads that they leave to the coordinator."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

from async_s3_upload.transfer.coordination.active_job import ActiveJob
from async_s3_upload.transfer.coordination.completing import Completer
from async_s3_upload.transfer.coordination.dealer import Dealer
from async_s3_upload.transfer.coordination.doom import shows_life
from async_s3_upload.transfer.ending import UploadFailed, UploadReady
from async_s3_upload.transfer.lending import PartFailed, PartsQueued
from async_s3_upload.transfer.messages import (
    Event,
    FileDone,
    FileFailed,
    FileItem,
    LogLine,
    PartDone,
    TransferEvent,
    UploadBegun,
    UploadGone,
)
from async_s3_upload.transfer.rows import ENDS, NUMBERED, Row, event_of
from async_s3_upload.transfer.workers.pool import WorkerHandle


class Reports:
    """Reports go to the jobs of ``dealer``; uploads to be ended to ``completer``.

    ``succeeded_at`` is the time (monotonic, seconds) of the last reason not to give up.
    """

    def __init__(self, dealer: Dealer, completer: Completer) -> None:
        self._dealer = dealer
        self._completer = completer
        self.succeeded_at = 0.0

    def pass_on(self, worker: WorkerHandle, rows: tuple[Row, ...]) -> bool:
        """Report what a worker said, each file that was in its hands once; tells whether any of them is no longer."""
        job: ActiveJob | None = None
        any_ended = False
        for row in rows:
            kind, number = row[:2]
            if kind >= NUMBERED:
                _write(event_of(row))
                continue
            if job is None or number not in job.numbers:
                job = self._dealer.job_of(number)
            event = event_of(row, job.base if job else 0)
            if kind in ENDS:
                any_ended = True
                item = worker.settle(number)
                if item is not None:
                    self._settle(job, item, number, event)
            else:
                self._pass_on_other(worker, number, event, job)
        return any_ended

    def _settle(self, job: ActiveJob | None, item: FileItem, number: int, event: Event) -> None:
        if isinstance(event, (FileDone, FileFailed)):
            self._report(job, event)
        elif isinstance(event, (UploadReady, UploadFailed)) and job is not None and job.cut_off_by is None:
            self._completer.take(job.job.bucket, item, replace(event, number=number))

    def _pass_on_other(self, worker: WorkerHandle, number: int, event: Event, job: ActiveJob | None) -> None:
        if isinstance(event, PartsQueued):
            worker.parts_are(number, event.parts, event.size)
        elif isinstance(event, PartFailed):
            self._dealer.part_failed(worker, number, event)
        elif isinstance(event, (PartDone, UploadBegun, UploadGone)):
            self._report(job, event)
        if isinstance(event, PartDone):
            self._dealer.part_done(worker, number, event)

    def take_completed(self) -> None:
        """Report what became of the uploads that are ended here."""
        for event in self._completer.outcomes():
            job = self._dealer.job_of(event.number)
            self._report(job, replace(event, number=event.number - job.base) if job else event)

    def _report(self, job: ActiveJob | None, event: TransferEvent) -> None:
        if shows_life(event):
            self.succeeded_at = time.monotonic()
        if isinstance(event, (FileDone, FileFailed)):
            if job is not None:
                job.settle(event)
        elif job is not None:
            job.on_event(event)


def _write(line: Event) -> None:
    if isinstance(line, LogLine):
        logging.getLogger(line.logger).log(line.level, "%s", line.text)
