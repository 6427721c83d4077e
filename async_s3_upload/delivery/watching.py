"""Counts how far runs are, and tells those who watch: a live view, plain lines, a stream of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from async_s3_upload.delivery.events import (
    Phase,
    RunBegun,
    RunEnded,
    RunFileChanged,
    RunFileDone,
    RunFileFailed,
    RunPartDone,
    RunSending,
    RunVerifying,
    WatchEvent,
)
from async_s3_upload.delivery.row import RunRow
from async_s3_upload.text import printable
from async_s3_upload.transfer.activity import Activity
from async_s3_upload.transfer.messages import FileDone, PartDone
from async_s3_upload.transfer.parts import is_multipart

LOOK_EVERY_S = 0.25


@dataclass(slots=True, eq=False)
class RunProgress:
    """How far a run is, in files and bytes that this start has to send; ``number`` is its number in the command.

    ``*_total`` is what is known to be sent by now, without what failed. ``bytes_done`` are in S3, ``bytes_sent`` of
    these were sent by this start.
    """

    number: int
    run_id: str
    phase: Phase = "looking"
    files_total: int = 0
    files_done: int = 0
    files_failed: int = 0
    bytes_total: int = 0
    bytes_done: int = 0
    bytes_sent: int = 0


class Watcher(Protocol):
    """Somebody who is told. It is called in the event loop, between the workers' reports: it has to be quick."""

    each_file: bool
    """Whether it wants the events of each file and part too."""

    def tell(self, event: WatchEvent) -> None:
        """Take an event."""
        ...

    def look(self, runs: Sequence[RunProgress], activity: Activity) -> None:
        """Look how far the runs on their way are; called several times a second."""
        ...

    def rest(self) -> None:
        """Nothing is on its way any more; ``look`` may be called again later."""
        ...


@dataclass(slots=True, eq=False)
class Watchers:
    """All who watch a command; nobody by default."""

    watchers: Sequence[Watcher] = ()
    runs: list[RunProgress] = field(default_factory=list)
    """Those on their way, the first one first."""
    begun: int = 0
    activity: Activity | None = None
    """What the workers did last, once there were any."""

    @property
    def each_file(self) -> bool:
        """Whether anybody wants events of each file."""
        return any(watcher.each_file for watcher in self.watchers)

    def tell(self, event: WatchEvent) -> None:
        """Pass an event on."""
        for watcher in self.watchers:
            watcher.tell(event)

    def begin(self, row: RunRow) -> RunWatch:
        """Return what is to be told about a run whose turn has come."""
        self.begun += 1
        progress = RunProgress(self.begun, printable(row.run_id))
        self.runs.append(progress)
        self.tell(
            RunBegun(
                self.begun,
                progress.run_id,
                printable(row.run_path),
                row.bucket,
                printable(row.prefix),
                row.reason,
                row.state == "in_progress",
            )
        )
        return RunWatch(self, progress)

    @asynccontextmanager
    async def looking(self, activity: Activity) -> AsyncIterator[None]:
        """Let all look now and then during the block."""
        self.activity = activity
        looker = asyncio.create_task(self._look(activity))
        try:
            yield
        finally:
            looker.cancel()
            with suppress(asyncio.CancelledError):
                await looker
            for watcher in self.watchers:
                watcher.rest()

    async def _look(self, activity: Activity) -> None:
        while self.watchers:
            await asyncio.sleep(LOOK_EVERY_S)
            for watcher in self.watchers:
                watcher.look(self.runs, activity)


class RunWatch:
    """What happens to one run; each call costs the same whatever the size of the run."""

    def __init__(self, watchers: Watchers, progress: RunProgress) -> None:
        self.progress = progress
        self._watchers = watchers
        self._each_file = watchers.each_file
        self._parts: dict[int, int] = {}
        """Bytes of files under way that are in S3 as parts."""

    def sending(self, files: int, size: int, in_parts: Mapping[int, int]) -> None:
        """Files are about to be sent, of ``size`` bytes; by their numbers, the bytes that are there as parts."""
        progress = self.progress
        progress.bytes_done -= sum(self._parts.values())  # what was left behind of earlier files
        self._parts = dict(in_parts)
        progress.phase = "sending"
        progress.files_total += files
        progress.bytes_total += size
        progress.bytes_done += sum(in_parts.values())
        self._watchers.tell(RunSending(progress.number, progress.run_id, files, size))

    def file_done(self, name: str, event: FileDone) -> None:
        """Count a file that is in S3."""
        progress = self.progress
        progress.files_done += 1
        progress.bytes_done += event.size
        if is_multipart(event.size):
            progress.bytes_done -= self._parts.pop(event.number, 0)
        else:
            progress.bytes_sent += event.sent
        if self._each_file:
            self._watchers.tell(
                RunFileDone(
                    progress.number,
                    progress.run_id,
                    printable(name),
                    event.size,
                    event.sent,
                    event.etag,
                    event.crc64nvme,
                )
            )

    def file_left(self, number: int, size: int) -> None:
        """Take off a planned file of ``size`` bytes that is not sent: it failed, or is planned anew."""
        progress = self.progress
        progress.files_total -= 1
        progress.bytes_total -= size
        progress.bytes_done -= self._parts.pop(number, 0)

    def file_changed(self, name: str, error: str) -> None:
        """Tell that a file will be planned anew."""
        progress = self.progress
        self._watchers.tell(RunFileChanged(progress.number, progress.run_id, printable(name), error))

    def file_failed(self, name: str, error: str) -> None:
        """Count a file that is not in S3."""
        progress = self.progress
        progress.files_failed += 1
        self._watchers.tell(RunFileFailed(progress.number, progress.run_id, printable(name), error))

    def part_done(self, name: str, event: PartDone) -> None:
        """Count a part."""
        progress, size = self.progress, event.part.size
        self._parts[event.number] = self._parts.get(event.number, 0) + size
        progress.bytes_done += size
        progress.bytes_sent += size
        if self._each_file:
            self._watchers.tell(RunPartDone(progress.number, progress.run_id, printable(name), event.part.number, size))

    def parts_gone(self, number: int) -> None:
        """Take off the parts of a file: it is begun anew."""
        self.progress.bytes_done -= self._parts.pop(number, 0)

    def verifying(self) -> None:
        """Tell that S3 is asked what it holds."""
        self.progress.phase = "verifying"
        self._watchers.tell(RunVerifying(self.progress.number, self.progress.run_id))

    def ended(self, row: RunRow) -> None:
        """Tell what became of the run."""
        progress = self.progress
        if progress in self._watchers.runs:
            self._watchers.runs.remove(progress)
        self._watchers.tell(
            RunEnded(
                progress.number,
                progress.run_id,
                row.state,
                row.reason,
                printable(row.detail),
                row.files,
                row.bytes,
                row.uploaded_files,
                progress.bytes_sent,
                len(row.failed_files),
                round(row.seconds, 3),
            )
        )
