"""Keeps the run log in step with what the workers report."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Collection
from datetime import UTC, datetime

from async_s3_upload.errors import LogDirError
from async_s3_upload.state.run_log import FileRecord, RunLog, write_run_log
from async_s3_upload.text import printable, size_text
from async_s3_upload.transfer.messages import BytesSent, FileDone, FileFailed
from async_s3_upload.transfer.plan import Job

log = logging.getLogger(__name__)

SAVE_EVERY_S = 3.0
SAVE_SHARE = 20
"""The log of a big run takes longer to write: it is written so seldom that it costs at most 1/20 of the time."""
PROGRESS_EVERY_S = 30.0


def now_text() -> str:
    """Return the time now, UTC, ISO 8601, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Recorder:
    """Takes the events of one job into its run log and writes that from time to time.

    ``failures`` maps names to reasons, those known before the job included; ``done_files`` and ``done_bytes``
    count what this job sent.
    """

    def __init__(self, run_log: RunLog, path: str, job: Job, failures: dict[str, str]) -> None:
        self.log = run_log
        self.failures = dict(failures)
        self.done_files = 0
        self.done_bytes = 0
        self._path = path
        self._job = job
        self._part_bytes = 0
        self._saved_at = self._told_at = time.monotonic()
        self._save_pause_s = SAVE_EVERY_S
        for name, reason in failures.items():
            self._tell_failure(name, reason)

    def take(self, event: FileDone | FileFailed | BytesSent) -> None:
        """Take one event; linear in the number of events, whatever the size of the run."""
        if isinstance(event, FileDone):
            name = self._job.names[event.number]
            self.log.files[name] = FileRecord(event.etag, event.size, event.mtime_ns, event.crc64nvme, now_text())
            self.done_files += 1
            self.done_bytes += event.size
        elif isinstance(event, FileFailed):
            name = self._job.names[event.number]
            self.failures[name] = event.error
            self._tell_failure(name, event.error)
        else:
            self._part_bytes += event.count
        self._sometimes()

    def _tell_failure(self, name: str, reason: str) -> None:
        log.error("failed: %s: %s", printable(os.path.join(self.log.run_path, name)), reason)

    def _sometimes(self) -> None:
        now = time.monotonic()
        if now - self._saved_at >= self._save_pause_s:
            self._save_if_possible()
        if now - self._told_at >= PROGRESS_EVERY_S:
            self._told_at = now
            log.info(
                "%s: %s of %s files sent, %s of %s",
                printable(self.log.run_id),
                f"{self.done_files:,}",
                f"{len(self._job.items):,}",
                size_text(max(self.done_bytes, self._part_bytes)),
                size_text(self._job.total_bytes),
            )

    def _save_if_possible(self) -> None:
        try:
            self.save()
        except LogDirError as error:
            self._saved_at = time.monotonic()
            log.error("%s; the upload goes on", error)

    def save(self) -> None:
        """Write the run log now.

        Raises:
            LogDirError: it cannot be written; what was written before is intact.
        """
        began = time.monotonic()
        self.log.updated_at = now_text()
        try:
            write_run_log(self.log, self._path)
        except OSError as error:
            raise LogDirError(f"run log {self._path} cannot be written: {error.strerror or error}") from error
        self._saved_at = time.monotonic()
        self._save_pause_s = max(SAVE_EVERY_S, SAVE_SHARE * (self._saved_at - began))

    def finish(self, expected: Collection[str]) -> None:
        """Note the end of the job, complete or not, and write the run log.

        Raises:
            LogDirError: as ``save``.
        """
        self.log.finish(expected, self.failures, now_text())
        self.save()
