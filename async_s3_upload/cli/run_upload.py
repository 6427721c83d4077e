"""Uploads one run: scan, compare with what is remembered, send, verify, send the markers, remember."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from itertools import chain
from typing import Any, TypeVar

from async_s3_upload.cli.reconcile import Reconciler
from async_s3_upload.cli.recording import Recorder, now_text
from async_s3_upload.cli.remaining import left_to_send
from async_s3_upload.cli.report import RunRow
from async_s3_upload.cli.sending import ROUNDS, Sender
from async_s3_upload.errors import LogDirError
from async_s3_upload.runs.file_table import FileTable, LocalFile, Selection
from async_s3_upload.runs.order import Markers, goes_first
from async_s3_upload.runs.scan import Scan, scan
from async_s3_upload.state.run_logs import Identity, Remembered
from async_s3_upload.state.run_state import RunState, recall
from async_s3_upload.text import duration_text, plural, printable, size_text
from async_s3_upload.transfer.coordinator import Coordinator
from async_s3_upload.transfer.messages import ObjectSettings
from async_s3_upload.transfer.store import ObjectStore, StoreError

T = TypeVar("T")
log = logging.getLogger(__name__)


class _StoppedError(Exception):
    """The command was asked to stop while S3 was asked."""


class RunUpload:
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
        on_handed_out: Callable[[], None] | None = None,
    ) -> None:
        """Call ``on_handed_out`` once when all files of the run are on their way, and one was accepted."""
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
        left = left_to_send(self._found, recalled.log, resend)
        if recalled.log.completed and not left and not self._found.unsendable:
            row.state, row.reason, row.detail = "skipped", "already_uploaded", "nothing is new or changed"
            log.info("%s: %s", printable(row.run_id), row.detail)
            return
        for problem in recalled.problems:
            log.error("%s", problem)
        for file in left if recalled.log.files else ():  # what is recorded of them holds no more, whatever becomes of
            recalled.log.files.pop(file.name, None)  # the journal
        self._state = RunState(recalled, remembered, identity, now_text())
        self._state.log.total_local_files = self._found.regular_files
        self._state.log.exclude_patterns = [pattern.pattern for pattern in exclude]
        self._reconciler = Reconciler(self._control, row.bucket, row.prefix, self._state, self._found)
        self._recorder = Recorder(self._state, {item.name: item.reason for item in self._found.unsendable})
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

    async def _send_all(self, left: Selection, probe: Collection[str]) -> None:
        """Send data, then markers: when these appear, nothing of the run may be missing, or be newer on the disk."""
        failures = self._recorder.failures
        for round_number in range(ROUNDS):
            data, markers = self._parted(left)
            await self._sender.send(data, () if round_number else probe, urgent=bool(round_number))
            if not failures:
                await self._prove([file.name for file in markers])
            if failures or not markers:
                break
            left = await self._look_again()
            if failures:
                break
            if not self._parted(left)[0]:
                await self._send_markers(left, probe)
                break
        else:
            failures[""] = "its files are still being written although its marker is there: the marker waits"
            log.error("%s: %s", printable(self._row.run_id), failures[""])
        if self._sender.may_go_on() and not failures and self._sender.sent_parts:
            await self._unless_stopped(self._reconciler.abort_strays())

    def _parted(self, left: Selection) -> tuple[Selection, Selection]:
        """Return data and markers."""
        return left.parted(frozenset(self._markers.rows(self._found.files)))

    async def _prove(self, unsent: Collection[str]) -> None:
        """All but the markers named in ``unsent`` is recorded: see that S3 has it so."""
        if not self._sender.may_go_on():
            self._recorder.failures[""] = "stopped before it was verified"
        elif self._verify:
            await self._verify_and_mend(unsent)

    async def _look_again(self) -> Selection:
        """Look through the folder once more: what is written late has to be in S3 before the marker."""
        row, root = self._row, self._found.root
        try:
            self._found = await self._unless_stopped(asyncio.to_thread(scan, root, self._exclude))
        except OSError as error:
            self._recorder.fail("", f"the folder cannot be listed: {error.strerror or error}")
            return Selection(FileTable(), ())
        self._reconciler.found = self._found
        for item in self._found.unsendable:
            self._recorder.fail(item.name, item.reason)
        row.files, row.bytes = self._found.regular_files, self._found.total_bytes
        self._state.log.total_local_files = self._found.regular_files
        return left_to_send(self._found, self._state.log)

    async def _send_markers(self, left: Sequence[LocalFile], probe: Collection[str]) -> None:
        """Send the markers, the last word of the run after the others."""
        for group in self._markers.in_turn(left):
            await self._sender.send(group, probe, urgent=True)
            if self._recorder.failures or not self._sender.may_go_on():
                return
            log.info("%s: sent %s", printable(self._row.run_id), ", ".join(printable(file.name) for file in group))

    async def _verify_and_mend(self, unsent: Collection[str]) -> None:
        """Compare S3 with what is recorded; what differs is sent again once, and asked for once more."""
        again, doubts = await self._unless_stopped(self._reconciler.differences(unsent))
        for doubt in doubts:
            log.error("%s; `verify --repair` sends it again", doubt)
        if doubts:
            self._row.detail = f"{plural(len(doubts), 'object')} recorded by s3_upload cannot be found so in S3"
        if not again:
            return
        for file in again:
            self._state.drop(file.name)
        await self._sender.send_once(again, urgent=True)
        if not self._sender.may_go_on():
            self._recorder.failures.setdefault("", "stopped before it was verified")
        if self._recorder.failures:
            return
        still = await self._unless_stopped(self._reconciler.still_wrong(again))
        for name, why in still.items():
            self._state.drop(name)
            self._recorder.fail(name, f"in S3 it is not what was sent: {why}")

    def _finish(self) -> None:
        """Write the outcome to disk and into the row."""
        row, recorder, run_log, sender = self._row, self._recorder, self._state.log, self._sender
        failures = {name: reason for name, reason in recorder.failures.items() if name}
        # a failure to verify or to ask S3 has no file: the run is then not completed all the same
        without_file = [""] if "" in recorder.failures else []
        try:
            self._state.finish(chain(without_file, self._found.names()), failures, now_text())
        except LogDirError as error:
            recorder.trouble = recorder.trouble or error
        self.doom, self.gave_up = sender.doom, sender.gave_up
        if recorder.trouble is not None:
            run_log.completed = False
            self.gave_up = str(recorder.trouble)
        row.uploaded_files = recorder.sent_files
        row.failed_files = [(os.path.join(self._found.root, name), why) for name, why in failures.items()]
        run_id = printable(row.run_id)
        if run_log.completed:
            row.state = "uploaded"
            log.info("%s: uploaded", run_id)
            return
        row.state, row.reason = "partial", "failed_files" if row.failed_files else "partial"
        row.detail = (
            self.doom
            or self.gave_up
            or ("stopped before the end" if self._stopped or sender.stopped else "")
            or recorder.failures.get("", "")
            or f"{plural(len(row.failed_files), 'file')} failed"
        )
        log.error("%s: partially uploaded, the next start goes on: %s", run_id, row.detail)


def _first(files: FileTable) -> frozenset[str]:
    """Return the names of the files that describe the run."""
    return frozenset(base for block in files.blocks() if not block.folder for base in block.bases if goes_first(base))
