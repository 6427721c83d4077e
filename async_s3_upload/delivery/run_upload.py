"""Uploads one run: scan, compare with what is remembered, send, remember; what and when depends on its state."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Coroutine, Sequence
from typing import Any, TypeVar

from async_s3_upload.delivery.reconcile import Reconciler
from async_s3_upload.delivery.recording import Recorder, now_text
from async_s3_upload.delivery.row import RunRow
from async_s3_upload.delivery.sending import Sender
from async_s3_upload.delivery.watching import RunWatch
from async_s3_upload.errors import LogDirError
from async_s3_upload.runs.file_table import FileTable, Selection
from async_s3_upload.runs.order import Markers, goes_first
from async_s3_upload.runs.scan import Scan, scan
from async_s3_upload.state.run_log import RunLog
from async_s3_upload.state.run_logs import Identity, Remembered
from async_s3_upload.state.run_state import Recalled, RunState, recall
from async_s3_upload.text import duration_text, printable, size_text
from async_s3_upload.transfer.coordination.coordinator import Coordinator
from async_s3_upload.transfer.messages import ObjectSettings
from async_s3_upload.transfer.stores.store import ObjectStore, StoreError

T = TypeVar("T")
log = logging.getLogger(__name__)


class _StoppedError(Exception):
    """The command was asked to stop while S3 was asked."""


class RunUpload(ABC):
    """One run on its way. ``doom``: nothing more can go to its bucket. ``gave_up``: the command should stop."""

    def __init__(
        self,
        coordinator: Coordinator,
        control: ObjectStore,
        settings: ObjectSettings,
        row: RunRow,
        markers: Markers,
        *,
        verify: bool,
        watch: RunWatch,
        on_handed_out: Callable[[], None] | None = None,
    ) -> None:
        """Call ``on_handed_out`` once when all files of the run are on their way, and one was accepted."""
        self._watch = watch
        self._coordinator = coordinator
        self._on_handed_out = on_handed_out
        self._control = control
        self._settings = settings
        self._row = row
        self._markers = markers
        self._verify = verify
        self._exclude: Sequence[re.Pattern[str]] = ()
        self._state: RunState
        self._recorder: Recorder
        self._reconciler: Reconciler
        self._sender: Sender
        self._found: Scan
        self._stopped = False
        self.doom: str | None = None
        self.gave_up: str | None = None

    async def upload(
        self,
        identity: Identity,
        exclude: Sequence[re.Pattern[str]],
        remembered: Remembered,
        resend: Collection[str] = (),
        probe: Collection[str] = (),
    ) -> None:
        """Do all of it; the outcome is in the row and on disk.

        Files of the names in ``resend`` are sent again although they are recorded; those in ``probe`` may be in S3
        although they are not recorded, and are compared first.

        Raises:
            UploadError: the command cannot go on.
        """
        row = self._row
        self._exclude = exclude
        try:
            self._found = await asyncio.to_thread(scan, identity.run_path, exclude)
        except OSError as error:
            reason = f"the folder cannot be listed: {error.strerror or error}"
            row.reason, row.detail, row.failed_files = "failed_files", reason, [(identity.run_path, reason)]
            log.error("%s: %s", printable(identity.run_path), reason)
            return
        self._tell_warnings(remembered)
        row.files, row.bytes = self._found.regular_files, self._found.total_bytes
        recalled = recall(identity, remembered)
        left = self._left(recalled, resend)
        if self._has_nothing_to_do(recalled, left):
            return
        for problem in recalled.problems:
            log.error("%s", problem)
        for file in left if recalled.log.files else ():  # what is recorded of them holds no more, whatever becomes of
            recalled.log.files.pop(file.name, None)  # the journal
        self._describe_run(recalled.log)  # first: the log is written when it is opened
        self._state = RunState(recalled, remembered, identity, now_text())
        self._reconciler = Reconciler(self._control, row.bucket, row.prefix, self._state, self._found)
        self._recorder = Recorder(self._state, self._unsendable(), self._watch)
        self._sender = Sender(self._coordinator, self._recorder, row, self._settings, self._on_handed_out)
        self._sender.first = _first(self._found.files)
        try:
            if recalled.uncertain:
                probe = await self._unless_stopped(self._reconciler.may_be_there(left))
            await self._unless_stopped(self._reconciler.abort_leftovers(left))
            await self._send(left, probe)
        except StoreError as error:
            self._recorder.failures.setdefault("", f"S3 could not be asked what it holds: {error}")
            log.error("%s: %s", printable(row.run_id), error)
        except _StoppedError:
            self._stopped = True
            self._recorder.failures.setdefault("", "stopped before the end")
        finally:
            self._finish()

    def _describe_run(self, run_log: RunLog) -> None:
        row = self._row
        run_log.total_local_files = self._found.regular_files
        run_log.exclude_patterns = [pattern.pattern for pattern in self._exclude]
        run_log.in_progress = row.state == "in_progress"
        run_log.instrument = row.instrument.name if row.instrument else run_log.instrument
        run_log.rule = row.rule or run_log.rule

    async def _unless_stopped(self, asking: Coroutine[Any, Any, T]) -> T:
        """Await requests of this process to S3; when the command is asked to stop they end at once.

        Raises:
            _StoppedError: they did.
        """
        work = asyncio.create_task(asking)
        stop = asyncio.create_task(self._coordinator.stop_requested())
        try:
            await asyncio.wait((work, stop), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise _StoppedError
            return work.result()
        finally:
            work.cancel()
            stop.cancel()
            await asyncio.gather(work, stop, return_exceptions=True)

    def _tell_warnings(self, remembered: Remembered) -> None:
        for warning in self._found.warnings:
            log.warning("%s", warning)
        if not self._found.regular_files:
            log.warning("%s holds no files to upload", printable(self._row.run_path))
        for rival in remembered.rivals:
            log.warning(
                "%s goes to the same place in the bucket as %s: files of the same name replace each other",
                printable(self._row.run_path),
                printable(rival),
            )

    async def _send(self, left: Selection, probe: Collection[str]) -> None:
        began = time.monotonic()
        recorder = self._recorder
        async with recorder.writing(self._coordinator.stop):
            await self._send_all(left, probe)
        seconds = max(time.monotonic() - began, 1e-9)
        log.info(
            "%s: sent %s in %s (%s/s)",
            printable(self._row.run_id),
            size_text(recorder.sent_bytes),
            duration_text(seconds),
            size_text(recorder.sent_bytes / seconds),
        )

    @abstractmethod
    def _left(self, recalled: Recalled, resend: Collection[str]) -> Selection:
        """Return the files that are to be sent."""

    @abstractmethod
    def _has_nothing_to_do(self, recalled: Recalled, left: Selection) -> bool:
        """Tell, also in the row, that the run needs nothing; nothing is written then."""

    @abstractmethod
    def _unsendable(self) -> dict[str, str]:
        """Return what cannot be sent, and why."""

    @abstractmethod
    async def _send_all(self, left: Selection, probe: Collection[str]) -> None:
        """Send; what fails is among the failures of the recorder."""

    @abstractmethod
    def _note_outcome(self) -> None:
        """Write the outcome to disk."""

    @abstractmethod
    def _note_in_row(self) -> None:
        """Tell the outcome in the row and in the log."""

    def _finish(self) -> None:
        """Write the outcome to disk and into the row."""
        recorder, sender = self._recorder, self._sender
        try:
            self._note_outcome()
        except LogDirError as error:
            recorder.trouble = recorder.trouble or error
        self.doom, self.gave_up = sender.doom, sender.gave_up
        if recorder.trouble is not None:
            self._state.log.completed = False
            self.gave_up = str(recorder.trouble)
        self._row.uploaded_files, self._row.uploaded_bytes = recorder.sent_files, recorder.sent_bytes
        self._note_in_row()


def _first(files: FileTable) -> frozenset[str]:
    """Return the names of the files that describe the run."""
    return frozenset(base for block in files.blocks() if not block.folder for base in block.bases if goes_first(base))
