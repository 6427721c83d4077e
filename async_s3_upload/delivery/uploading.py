"""Uploads runs, and tells beforehand what it would do."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from async_s3_upload.delivery.remaining import left_to_send
from async_s3_upload.delivery.row import RunRow
from async_s3_upload.delivery.run_upload import RunUpload
from async_s3_upload.delivery.running_run import RunningRun
from async_s3_upload.delivery.watching import RunWatch, Watchers
from async_s3_upload.delivery.whole_run import WholeRun
from async_s3_upload.errors import LogDirError
from async_s3_upload.runs.instrument import Instrument
from async_s3_upload.runs.order import Markers
from async_s3_upload.runs.ripe import ripe_files
from async_s3_upload.runs.scan import scan
from async_s3_upload.runs.selection import Reason
from async_s3_upload.state.lock import AlreadyRunning, taken
from async_s3_upload.state.run_logs import Identity, Remembered, RunLogs
from async_s3_upload.state.run_state import recall
from async_s3_upload.text import plural, printable
from async_s3_upload.transfer.coordination.coordinator import Coordinator
from async_s3_upload.transfer.messages import ObjectSettings
from async_s3_upload.transfer.plan import DEFAULTS, key_prefix
from async_s3_upload.transfer.stores.store import ObjectStore

log = logging.getLogger(__name__)


class _StoppedError(Exception):
    """The command was asked to stop while it waited."""


@dataclass(frozen=True, slots=True)
class RunTask:
    """One run to upload.

    ``reason`` is why: ``new`` or ``partial``. ``rule`` is the phrase that says what ends the run, None where
    nobody asked.
    """

    identity: Identity
    exclude: Sequence[re.Pattern[str]]
    reason: Reason
    detail: str = ""
    settings: ObjectSettings = DEFAULTS
    instrument: Instrument | None = None
    rule: str | None = None
    markers: Sequence[str] = ()
    """Patterns of files that end the run, beside those that instruments write."""
    min_file_age_s: float | None = None
    """Given for a run in progress: its files go up when they have been still for so long."""
    manifest: bool = False

    @property
    def prefix(self) -> str:
        """Start of the run's keys."""
        return key_prefix(self.identity.remote_path, self.identity.run_id)

    def row(self) -> RunRow:
        """Return a row of the report with nothing done yet."""
        identity = self.identity
        return RunRow(
            identity.run_id,
            identity.run_path,
            identity.bucket,
            self.prefix,
            "partial" if self.min_file_age_s is None else "in_progress",
            self.reason,
            self.detail,
            instrument=self.instrument,
            rule=self.rule,
        )


def preview(task: RunTask, logs: RunLogs) -> RunRow:
    """Return what ``Uploader.upload`` would do, without doing it."""
    row = task.row()
    remembered = logs.find(task.identity)
    recalled = recall(task.identity, remembered)
    try:
        found = scan(task.identity.run_path, task.exclude)
    except OSError as error:
        row.state, row.detail = "skipped", f"the folder cannot be listed: {error.strerror or error}"
        return row
    left = left_to_send(found, recalled.log)
    waiting = ""
    if task.min_file_age_s is not None:
        ripe = ripe_files(found.files, time.time(), task.min_file_age_s, Markers(task.markers).include)
        left, waiting = left.both(ripe.files), f"{ripe.waiting_text}; {task.detail}"
    row.files, row.bytes = found.regular_files, found.total_bytes
    row.failed_files = [(os.path.join(found.root, item.name), item.reason) for item in found.unsendable]
    if task.min_file_age_s is not None:
        row.state, row.failed_files = "would_upload" if remembered.log is None else "would_resume", []
        row.detail = f"{plural(len(left), 'file')} to send now, {waiting}"
    elif task.reason == "new":
        row.state = "would_upload"
    elif left or found.unsendable or not recalled.log.completed:
        row.state = "would_resume"
        row.detail = f"{plural(len(left), 'file')} of {found.regular_files:,} still to send"
    else:
        row.state, row.reason, row.detail = "skipped", "already_uploaded", "nothing is new or changed"
    return row


class Uploader:
    """Uploads runs with one coordinator and one folder of run logs.

    ``control`` is an open store for the few requests that carry no bytes. ``doomed`` are buckets to which
    nothing more can go, with the reason; ``gave_up`` is the reason why no further run should be begun.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        control: ObjectStore,
        logs: RunLogs,
        *,
        verify: bool,
        watchers: Watchers | None = None,
    ) -> None:
        self._watchers = watchers or Watchers()
        self._coordinator = coordinator
        self._control = control
        self._logs = logs
        self._verify = verify
        self.doomed: dict[str, str] = {}
        self.gave_up: str | None = None

    async def upload(
        self,
        task: RunTask,
        resend: Collection[str] = (),
        probe: Collection[str] = (),
        on_handed_out: Callable[[], None] | None = None,
    ) -> RunRow:
        """Upload one run; whatever fails is in the row and in the run log. Names as in ``RunUpload.upload``.

        Another run may be uploaded at the same time; ``on_handed_out`` is called when this one leaves workers room for
        it.

        Raises:
            UploadError: the command cannot go on: no credentials, no log folder, no workers.
        """
        row = task.row()
        started = time.monotonic()
        watch = self._watchers.begin(row)
        with ExitStack() as held:
            held.callback(self._end, watch, row, started)
            try:
                expected = self._logs.find(task.identity)
                held.enter_context(await taken(expected.lock, self._sleep))
                # once more under the lock: another run of the same name may just have taken the plain log
                remembered = self._logs.find(task.identity)
                if remembered.path != expected.path:
                    held.enter_context(await taken(remembered.lock, self._sleep))
                run = self._run_upload(task, row, remembered, watch, on_handed_out)
                await run.upload(task.identity, task.exclude, remembered, resend, probe)
                if run.doom:
                    self.doomed[row.bucket] = run.doom
                self.gave_up = self.gave_up or run.gave_up
            except LogDirError as error:
                row.detail = self.gave_up = str(error)
                log.error("%s", error)
            except _StoppedError:
                row.detail = "stopped while another process was looked for that may upload this run"
                log.warning("%s: %s", printable(row.run_id), row.detail)
            except AlreadyRunning as other:
                row.detail = f"another process uploads this run at the moment{other.by}"
                log.warning("%s: %s", printable(row.run_id), row.detail)
        return row

    async def _sleep(self, seconds: float) -> None:
        """Let the time pass, unless the command is to stop.

        Raises:
            _StoppedError: it is.
        """
        with suppress(TimeoutError):
            await asyncio.wait_for(self._coordinator.stop_requested(), seconds)
            raise _StoppedError

    def _end(self, watch: RunWatch, row: RunRow, started: float) -> None:
        row.seconds = time.monotonic() - started
        watch.ended(row)

    def _run_upload(
        self,
        task: RunTask,
        row: RunRow,
        remembered: Remembered,
        watch: RunWatch,
        on_handed_out: Callable[[], None] | None,
    ) -> RunUpload:
        kind = WholeRun if task.min_file_age_s is None else RunningRun
        run: RunUpload = kind(
            self._coordinator,
            self._control,
            task.settings,
            row,
            Markers(task.markers),
            verify=self._verify,
            watch=watch,
            on_handed_out=on_handed_out,
        )
        if isinstance(run, RunningRun):
            run.min_file_age_s = task.min_file_age_s or 0.0
        elif isinstance(run, WholeRun) and task.manifest:
            run.manifest_folder = remembered.manifest_folder
        return run
