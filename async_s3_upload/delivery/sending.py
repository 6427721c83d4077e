"""Sends files of one run, again where they changed meanwhile, and keeps what is remembered in step."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Sequence

from async_s3_upload.delivery.recording import Recorder, known_upload
from async_s3_upload.delivery.row import RunRow
from async_s3_upload.runs.file_table import LocalFile
from async_s3_upload.text import plural, printable, size_text
from async_s3_upload.transfer.coordination.coordinator import Coordinator
from async_s3_upload.transfer.messages import ObjectSettings
from async_s3_upload.transfer.plan import Memory, plan_job

log = logging.getLogger(__name__)

ROUNDS = 3
"""A file that changes while it is sent is planned anew after the others, so many times in all."""


class Sender:
    """Sends for one run.

    ``doom``: nothing more can go to its bucket. ``gave_up``: the command should stop. ``stopped``: it was asked to.
    ``sent_parts``: there were multipart uploads. ``first`` names the files that go before all others.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        recorder: Recorder,
        row: RunRow,
        settings: ObjectSettings,
        on_handed_out: Callable[[], None] | None,
    ) -> None:
        self._coordinator = coordinator
        self._recorder = recorder
        self._row = row
        self._settings = settings
        self._on_handed_out = on_handed_out
        self.first: Collection[str] = ()
        self.doom: str | None = None
        self.gave_up: str | None = None
        self.stopped = False
        self.sent_parts = False

    def may_go_on(self) -> bool:
        """Tell whether sending more can do any good."""
        return not (self.doom or self.gave_up or self.stopped or self._recorder.trouble)

    async def send(self, files: Sequence[LocalFile], probe: Collection[str] = (), *, urgent: bool = False) -> None:
        """Send files until none of them changes while it is sent, or it has been tried often enough.

        Those named in ``probe`` may be in S3 already and are compared first. ``urgent`` files come before those of a
        run that was begun meanwhile.
        """
        recorder = self._recorder
        again = files
        for round_number in range(ROUNDS):
            await self.send_once(again, probe, urgent=urgent or bool(round_number))
            again = self._changed() if self.may_go_on() else []
            if not again:
                break
            if round_number < ROUNDS - 1:
                log.warning("%s changed meanwhile and are sent again", plural(len(again), "file"))
        for name in recorder.changed:
            recorder.fail(name, f"keeps changing: {recorder.failures[name]}")

    async def send_once(self, files: Sequence[LocalFile], probe: Collection[str] = (), *, urgent: bool) -> None:
        """Send files; what fails is among the failures of the recorder."""
        row, recorder, state = self._row, self._recorder, self._recorder.state
        uploads = {name: known_upload(upload) for name, upload in state.uploads.items()}
        memory = Memory(uploads, state.planned.keys() - uploads.keys(), probe)
        job = plan_job(row.bucket, row.prefix, row.run_path, files, self._settings, memory, self.first)
        recorder.failures |= job.impossible
        log.info(
            "%s: sending %s of %s, %s, to %s:%s",
            printable(row.run_id),
            plural(len(job.items), "file"),
            f"{row.files:,}",
            size_text(job.total_bytes),
            row.bucket,
            printable(row.prefix),
        )
        self.sent_parts |= next(job.in_parts(), None) is not None
        recorder.begin(job)
        sent = await self._coordinator.send(
            job,
            recorder.take,
            recorder.refreshed,
            some_succeeded=bool(state.log.files),
            on_handed_out=self._on_handed_out,
            urgent=urgent,
        )
        self.doom, self.gave_up, self.stopped = sent.doom, sent.gave_up, sent.stopped
        if not self.doom:
            recorder.tell_refusals()

    def _changed(self) -> list[LocalFile]:
        """Look afresh at the files that changed; those that are gone stay failed."""
        files = []
        for name in sorted(self._recorder.changed):
            try:
                found = os.stat(os.path.join(self._row.run_path, name))
            except OSError as error:
                self._recorder.changed.discard(name)
                self._recorder.fail(name, f"the file cannot be read: {error.strerror or error}")
                continue
            files.append(LocalFile(name, found.st_size, found.st_mtime_ns, found.st_ino))
        return files
