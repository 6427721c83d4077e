"""Keeps run log and journal in step with what the workers report."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import replace
from datetime import UTC, datetime

from async_s3_upload.delivery.watching import RunProgress, RunWatch, Watchers
from async_s3_upload.errors import LogDirError
from async_s3_upload.state.journal import OpenUpload, PartRecord
from async_s3_upload.state.records import FileRecord, time_text
from async_s3_upload.state.run_state import RunState
from async_s3_upload.text import printable
from async_s3_upload.transfer.messages import (
    FileDone,
    FileFailed,
    FileItem,
    KnownPart,
    KnownUpload,
    Note,
    PartDone,
    TransferEvent,
    UploadBegun,
    UploadGone,
)
from async_s3_upload.transfer.parts import is_multipart
from async_s3_upload.transfer.plan import Job

log = logging.getLogger(__name__)

SNAPSHOT_EVERY_S = 3.0
SNAPSHOT_SHARE = 20
"""The log of a big run takes longer to write: it is written so seldom that it costs 1/20 of the time at most."""
TICK_S = 0.5
DOOMING = ("access_denied", "no_such_bucket", "bad_credentials")
"""Kinds of failure that may meet every file: then they are one message, not one for each file."""


def now_text() -> str:
    """Return the time now, UTC, ISO 8601, to the second."""
    return time_text(int(datetime.now(UTC).timestamp()))  # there are many files a second


def known_upload(upload: OpenUpload) -> KnownUpload:
    """Return a remembered upload as the workers take it."""
    return KnownUpload(
        upload.upload_id,
        upload.size,
        upload.mtime_ns,
        upload.inode,
        upload.part_size,
        upload.with_checksum,
        tuple(KnownPart(part.number, part.size, part.etag, part.crc64nvme) for _, part in sorted(upload.parts.items())),
    )


def _nothing() -> None:
    """Stand in until there is something to stop."""


class Recorder:
    """Takes the events of a run's jobs into its state, writes that from time to time, and tells who watches.

    ``failures`` maps names to reasons; those of ``changed`` may succeed with a new plan. ``sent_files`` and
    ``sent_bytes`` count what was sent. ``trouble`` is set when the state can no longer be written: then
    ``on_trouble`` was called, once.
    """

    def __init__(self, state: RunState, failures: dict[str, str], watch: RunWatch | None = None) -> None:
        self.state = state
        self._watch = watch or RunWatch(Watchers(), RunProgress(0, state.log.run_id))
        self.failures = dict(failures)
        self.changed: set[str] = set()
        self.sent_files = 0
        self.trouble: LogDirError | None = None
        self._untold: list[str] = []
        self._job: Job
        self._stop: Callable[[], None] = _nothing
        self._snapshot_at = time.monotonic()
        self._snapshot_pause_s = SNAPSHOT_EVERY_S
        for name, reason in failures.items():
            self.fail(name, reason)

    @property
    def sent_bytes(self) -> int:
        """Bytes sent by this start, as far as S3 accepted them."""
        return self._watch.progress.bytes_sent

    def begin(self, job: Job) -> None:
        """Expect the events of ``job``; the uploads it may begin are in the journal before it starts."""
        self._job = job
        planned, in_parts = {}, {}
        for item in job.in_parts():
            if item.known is None:
                planned[job.names[item.number]] = item.key
            else:
                in_parts[item.number] = sum(part.size for part in item.known.parts)
        self._watch.sending(len(job.items), job.total_bytes, in_parts)
        self.state.plan(planned)
        self.state.flush()
        if planned:  # also a machine that loses its power must not forget what it was about to begin
            self.state.sync()

    @asynccontextmanager
    async def writing(self, stop: Callable[[], None]) -> AsyncIterator[None]:
        """Write the state in the background of the block; ``stop()`` is called if it cannot be written."""
        self._stop = stop
        ticker = asyncio.create_task(self._tick())
        try:
            yield
        finally:
            ticker.cancel()
            with suppress(asyncio.CancelledError):
                await ticker

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                await self._sync_if_due()
                if self.snapshot_due():
                    await self._snapshot()
            except LogDirError as error:
                self._note_trouble(error)

    async def _sync_if_due(self) -> None:
        if self.state.sync_due():
            await asyncio.to_thread(self.state.sync)

    async def _snapshot(self) -> None:
        """Write the log; the workers' reports are taken meanwhile, the log of a big run takes seconds."""
        began = time.monotonic()
        with closing(self.state.snapshot(now_text())) as steps:
            for _ in steps:
                await self._sync_if_due()
                await asyncio.sleep(0)
        self.snapshot_taken(began)

    def snapshot_due(self) -> bool:
        """Tell whether it is time to write the log."""
        return time.monotonic() - self._snapshot_at >= self._snapshot_pause_s

    def snapshot_taken(self, began: float) -> None:
        """Wait the longer for the next one the longer it took: in all, what is written grows as the run does."""
        self._snapshot_at = time.monotonic()
        self._snapshot_pause_s = max(SNAPSHOT_EVERY_S, SNAPSHOT_SHARE * (self._snapshot_at - began))

    def _note_trouble(self, error: LogDirError) -> None:
        if self.trouble is None:
            self.trouble = error
            log.error("%s; the upload stops, what was recorded before is kept", error)
            self._stop()

    def take(self, event: TransferEvent) -> None:
        """Take one event; the cost does not depend on the size of the run."""
        self._apply(event)
        try:
            self.state.flush()
        except LogDirError as error:
            self._note_trouble(error)

    def _apply(self, event: TransferEvent) -> None:
        state = self.state
        if isinstance(event, Note):
            state.note(event.text)
            return
        name = self._job.names[event.number]
        if isinstance(event, FileDone):
            record = FileRecord(event.etag, event.size, event.mtime_ns, event.crc64nvme, now_text(), event.part_size)
            state.record(name, record)
            self._settle(name)
            self.sent_files += bool(event.sent) or not event.size
            self._watch.file_done(name, event)
        elif isinstance(event, FileFailed):
            self._settle(name)
            self._watch.file_left(event.number, self._job.items[event.number].size)
            if event.kind == "changed":
                self.changed.add(name)
                self.failures[name] = event.error
                self._watch.file_changed(name, event.error)
                log.warning("%s: %s", printable(os.path.join(state.log.run_path, name)), event.error)
            elif event.kind in DOOMING:
                self.failures[name] = event.error
                self._untold.append(name)
            else:
                self.fail(name, event.error)
        elif isinstance(event, PartDone):
            part = event.part
            state.part_done(name, event.upload_id, PartRecord(part.number, part.size, part.etag, part.crc64nvme))
            self._watch.part_done(name, event)
        elif isinstance(event, UploadBegun):
            item = self._job.items[event.number]
            upload = OpenUpload(
                item.key,
                event.upload_id,
                item.size,
                item.mtime_ns,
                item.inode,
                event.part_size,
                event.with_checksum,
            )
            state.upload_begun(name, upload)
        elif isinstance(event, UploadGone):
            state.upload_gone(name, event.upload_id)
            self._watch.parts_gone(event.number)

    def refreshed(self, item: FileItem) -> FileItem:
        """Return the item to be sent again after its worker died: its upload goes on with the parts that arrived."""
        upload = self.state.uploads.get(self._job.names[item.number])
        return replace(item, known=known_upload(upload) if upload else None, stray=is_multipart(item.size))

    def _settle(self, name: str) -> None:
        self.failures.pop(name, None)
        self.changed.discard(name)

    def tell_refusals(self) -> None:
        """Log the files that S3 refused: it is known now that they are single files, and not the whole bucket."""
        for name in self._untold:
            if name in self.failures:
                self.fail(name, self.failures[name])
        self._untold.clear()

    def fail(self, name: str, reason: str) -> None:
        """Note that a file is not in S3, for a reason that another try of this start would not change."""
        self.failures[name] = reason
        if name:
            self._watch.file_failed(name, reason)
        log.error("failed: %s: %s", printable(os.path.join(self.state.log.run_path, name)), reason)
