"""Uploads one run: scan, compare with the run log, send what is missing, remember it."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from async_s3_upload.cli.recording import Recorder, now_text
from async_s3_upload.cli.report import RunRow
from async_s3_upload.errors import LogDirError
from async_s3_upload.runs.scan import Scan, scan
from async_s3_upload.runs.selection import Reason
from async_s3_upload.state.lock import AlreadyRunning, exclusive
from async_s3_upload.state.run_log import RunLog
from async_s3_upload.state.run_logs import Identity, Remembered, RunLogs, changed_since
from async_s3_upload.text import duration_text, plural, printable, size_text
from async_s3_upload.transfer.coordinator import Coordinator
from async_s3_upload.transfer.plan import Job, key_prefix, plan_job

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunTask:
    """One run to upload. ``reason`` is why: ``new`` or ``partial``."""

    identity: Identity
    exclude: Sequence[re.Pattern[str]]
    reason: Reason
    detail: str = ""

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
            "partial",
            self.reason,
            self.detail,
        )


def left_to_send(files: Scan, known: RunLog | None) -> dict[str, int]:
    """Return name -> size in bytes of the files that are not recorded, or changed since they were."""
    recorded = known.files if known else {}
    return {
        file.name: file.size
        for file in files.files
        if file.name not in recorded or changed_since(recorded[file.name], file.size, file.mtime_ns)
    }


def preview(task: RunTask, logs: RunLogs) -> RunRow:
    """Return what ``Uploader.upload`` would do, without doing it."""
    row = task.row()
    known = logs.find(task.identity).log
    try:
        found = scan(task.identity.run_path, task.exclude)
    except OSError as error:
        row.state, row.detail = "skipped", f"the folder cannot be listed: {error.strerror or error}"
        return row
    left = left_to_send(found, known)
    row.files, row.bytes = found.regular_files, found.total_bytes
    row.failed_files = [(os.path.join(found.root, item.name), item.reason) for item in found.unsendable]
    if known is None or task.reason == "new":
        row.state = "would_upload"
    elif left or found.unsendable or not known.completed:
        row.state = "would_resume"
        row.detail = f"{plural(len(left), 'file')} of {found.regular_files:,} still to send"
    else:
        row.state, row.reason, row.detail = "skipped", "already_uploaded", "nothing is new or changed"
    return row


class Uploader:
    """Uploads runs one after the other with one coordinator and one folder of run logs."""

    def __init__(self, coordinator: Coordinator, logs: RunLogs) -> None:
        self._coordinator = coordinator
        self._logs = logs
        self.doomed: dict[str, str] = {}
        """Buckets to which nothing more can go, with the reason."""

    async def upload(self, task: RunTask) -> RunRow:
        """Upload one run; whatever fails is in the row and in the run log.

        Raises:
            UploadError: the command cannot go on: no credentials, no log folder, no workers.
        """
        row = task.row()
        started = time.monotonic()
        with ExitStack() as held:
            try:
                expected = self._logs.find(task.identity)
                held.enter_context(exclusive(expected.lock))
                # once more under the lock: another run of the same name may just have taken the plain log
                remembered = self._logs.find(task.identity)
                if remembered.path != expected.path:
                    held.enter_context(exclusive(remembered.lock))
                await self._upload(task, row, remembered)
            except AlreadyRunning:
                row.detail = "another process uploads this run at the moment"
                log.warning("%s: %s", printable(row.run_id), row.detail)
        row.seconds = time.monotonic() - started
        return row

    async def _upload(self, task: RunTask, row: RunRow, remembered: Remembered) -> None:
        run_path = task.identity.run_path
        try:
            found = await asyncio.to_thread(scan, run_path, task.exclude)
        except OSError as error:
            _fail(row, run_path, f"the folder cannot be listed: {error.strerror or error}")
            return
        for warning in found.warnings:
            log.warning("%s", warning)
        if not found.regular_files:
            log.warning("%s holds no files to upload", printable(run_path))
        for rival in remembered.rivals:
            log.warning(
                "%s goes to the same place in the bucket as %s: files of the same name replace each other",
                printable(run_path),
                printable(rival),
            )
        row.files, row.bytes = found.regular_files, found.total_bytes
        left = left_to_send(found, remembered.log)
        if remembered.log is not None and remembered.log.completed and not left and not found.unsendable:
            row.state, row.reason, row.detail = "skipped", "already_uploaded", "nothing is new or changed"
            log.info("%s: %s", printable(row.run_id), row.detail)
            return
        run_log = _begin(task.identity, remembered)
        run_log.total_local_files = found.regular_files
        for name in left:
            run_log.files.pop(name, None)
        job = plan_job(row.bucket, row.prefix, run_path, left)
        failures = {item.name: item.reason for item in found.unsendable} | job.impossible
        await self._send(row, job, Recorder(run_log, remembered.path, job, failures), found)

    async def _send(self, row: RunRow, job: Job, recorder: Recorder, found: Scan) -> None:
        run_id = printable(row.run_id)
        log.info(
            "%s: sending %s of %s, %s, to %s:%s",
            run_id,
            plural(len(job.items), "file"),
            f"{found.regular_files:,}",
            size_text(job.total_bytes),
            row.bucket,
            printable(row.prefix),
        )
        recorder.save()
        began = time.monotonic()
        try:
            sent = await self._coordinator.send(job, recorder.take, some_succeeded=bool(recorder.log.files))
        except BaseException:
            recorder.finish(found.names())
            raise
        recorder.finish(found.names())
        seconds = max(time.monotonic() - began, 1e-9)
        row.uploaded_files = recorder.done_files
        row.failed_files = [(os.path.join(found.root, name), why) for name, why in recorder.failures.items()]
        if sent.doom:
            self.doomed[row.bucket] = sent.doom
        if recorder.log.completed:
            row.state = "uploaded"
            log.info(
                "%s: uploaded, %s in %s (%s/s)",
                run_id,
                size_text(recorder.done_bytes),
                duration_text(seconds),
                size_text(recorder.done_bytes / seconds),
            )
            return
        row.state, row.reason = "partial", "failed_files" if row.failed_files else "partial"
        row.detail = sent.doom or ("stopped before the end" if sent.stopped else "")
        row.detail = row.detail or f"{plural(len(row.failed_files), 'file')} failed"
        log.error("%s: partially uploaded, the next start goes on: %s", run_id, row.detail)


def _fail(row: RunRow, path: str, reason: str) -> None:
    row.reason, row.detail = "failed_files", reason
    row.failed_files = [(path, reason)]
    log.error("%s: %s", printable(path), reason)


def _begin(identity: Identity, remembered: Remembered) -> RunLog:
    """Return the log to go on with: the one remembered, now of this folder and destination, or a new one."""
    if remembered.problem is not None:
        kept = remembered.path + ".torn"
        log.error("%s; kept as %s, the run is sent again from the start", remembered.problem, os.path.basename(kept))
        try:
            os.replace(remembered.path, kept)
        except OSError as error:
            raise LogDirError(f"{remembered.path} cannot be put aside: {error.strerror or error}") from error
    run_log = remembered.log or RunLog(identity.run_id, identity.run_path)
    run_log.run_path = identity.run_path
    run_log.bucket = identity.bucket
    run_log.remote_path = identity.remote_path
    run_log.completed = False
    run_log.started_at = run_log.started_at or now_text()
    return run_log
