"""``upload``: one folder, now."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from async_s3_upload.cli.logs import file_log, prepare_log_dir
from async_s3_upload.cli.progress.output import Output
from async_s3_upload.cli.report import Report
from async_s3_upload.cli.session import (
    Resources,
    alert_webhook,
    require_buckets,
    tell,
    trouble_code,
    upload_all,
    worker_settings,
)
from async_s3_upload.cli.signals import Interruption
from async_s3_upload.cli.workplace import early_workers
from async_s3_upload.delivery.row import RunRow
from async_s3_upload.delivery.uploading import RunTask, preview
from async_s3_upload.delivery.watching import Watchers
from async_s3_upload.destination import check_bucket_name, check_remote_path, is_web_address
from async_s3_upload.errors import AwsAccessError, NotACompleteRun, UploadError, UsageError
from async_s3_upload.notify import slack
from async_s3_upload.runs.completion import RUN_INFO, RunFolder, look_at
from async_s3_upload.runs.selection import Reason
from async_s3_upload.state.run_logs import Identity, RunLogs
from async_s3_upload.text import printable
from async_s3_upload.timetable import Timetable, rate_of, timetable_of
from async_s3_upload.transfer.access import choose_access
from async_s3_upload.transfer.messages import Transport
from async_s3_upload.transfer.workers.nursery import Nursery

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """The options of the command, checked."""

    run_path: str
    bucket: str
    remote_path: str
    skip_check: bool
    exclude: Sequence[re.Pattern[str]]
    resources: Resources
    endpoint_url: str | None
    profile: str | None
    region: str | None
    transport: Transport
    manifest: bool = False


def run_folder_path(local_path: str) -> str:
    """Return the absolute path of the folder, whose last part is the run folder's name.

    Raises:
        UsageError: there is no such folder.
    """
    if os.path.basename(local_path.rstrip("/")) in ("", ".", ".."):
        path = os.path.realpath(local_path)
    else:
        path = os.path.abspath(local_path)
    if not os.path.isdir(path):
        what = "is no folder" if os.path.lexists(path) else "does not exist"
        raise UsageError(f"--local-path: {printable(local_path)} {what}")
    if not os.path.basename(path):
        raise UsageError("--local-path: the root folder has no name that could be the run's")
    return path


def checked_destination(bucket: str, remote_path: str, endpoint_url: str | None) -> None:
    """Return if a destination can be meant by these options.

    Raises:
        UsageError: naming every one that cannot.
    """
    problems = []
    for option, check, value in (
        ("--bucket", check_bucket_name, bucket),
        ("--remote-path", check_remote_path, remote_path),
    ):
        try:
            check(value)
        except ValueError as error:
            problems.append(f"{option}: {error}")
    if endpoint_url is not None and not is_web_address(endpoint_url):
        problems.append(
            f'--endpoint-url: must be an address such as http://s3.lab:9000, not "{printable(endpoint_url)}"'
        )
    if problems:
        raise UsageError("\n".join(problems))


def compiled(patterns: Sequence[str]) -> list[re.Pattern[str]]:
    """Compile the patterns of ``--exclude``.

    Raises:
        UsageError: naming every one that is no regular expression.
    """
    found, problems = [], []
    for pattern in patterns:
        try:
            found.append(re.compile(pattern))
        except re.error as error:
            problems.append(f'--exclude: "{pattern}" is not a valid regular expression: {error}')
    if problems:
        raise UsageError("\n".join(problems))
    return found


def limited_to(max_bandwidth: str | None) -> Timetable | None:
    """Return what ``--max-bandwidth`` stands for, None without a limit.

    Raises:
        UsageError: it is no rate.
    """
    try:
        return timetable_of(rate_of(max_bandwidth), {}) if max_bandwidth is not None else None
    except ValueError as error:
        raise UsageError(f"--max-bandwidth: {error}") from error


def run_upload(request: UploadRequest, environ: Mapping[str, str], *, dry_run: bool, output: Output) -> Report:
    """Upload the folder; all trouble is in the report's exit code and on the log, not raised."""
    # before anything else: see there
    waiting = early_workers(request.resources, dry_run=dry_run)
    with waiting, output.console(request.resources.log_level):
        command = _Command(request, environ, waiting, output.watchers)
        try:
            command.check_complete()
            if dry_run:
                return asyncio.run(command.run(dry_run=True))
            prepare_log_dir(request.resources.log_dir)
            with file_log(request.resources.log_dir):
                return asyncio.run(command.run(dry_run=False))
        except UploadError as error:
            command.note(error)
            return command.report


def _lack_of(run: RunFolder | None) -> tuple[Reason, str]:
    """Return why a folder is not a complete run."""
    if run is None:
        return "not_complete", f"it has no {RUN_INFO}, nor does its name or another file say which instrument wrote it"
    if run.verdict.state == "failed":
        return "failed_on_instrument", run.verdict.detail
    return "not_complete", f"{run.verdict.detail.removesuffix(' yet')}, so it has not completed"


class _Command:
    def __init__(
        self, request: UploadRequest, environ: Mapping[str, str], waiting: Nursery, watchers: Watchers
    ) -> None:
        self._watchers = watchers
        self._request = request
        self._waiting = waiting
        self._environ = environ
        self._interruption = Interruption()
        self._logs = RunLogs(request.resources.log_dir)
        self._run: RunFolder | None = None
        self.report = Report()

    def note(self, error: UploadError) -> None:
        log.error("%s", error)
        self.report.problems.append(str(error))
        self.report.exit_code = trouble_code(error)

    def _task(self, reason: Reason, detail: str) -> RunTask:
        request = self._request
        identity = Identity(request.run_path, request.bucket, request.remote_path)
        task = RunTask(identity, request.exclude, reason, detail, manifest=request.manifest)
        if self._run is None:
            return task
        return replace(task, instrument=self._run.instrument, rule=self._run.verdict.rule)

    def check_complete(self) -> None:
        """Raise NotACompleteRun unless the folder is a complete run, or the check is to be skipped."""
        if self._request.skip_check:
            return
        path = self._request.run_path
        try:
            run = self._run = look_at(path)
        except OSError as error:
            raise UsageError(f"{printable(path)} cannot be looked into: {error.strerror or error}") from error
        if run is not None and run.is_complete:
            return
        reason, lack = _lack_of(run)
        row = self._task(reason, lack).row()
        row.state = "skipped"
        self.report.rows.append(row)
        raise NotACompleteRun(
            f"{printable(path)} is not a complete sequencing run: {lack}; "
            "check the path, or give --skip-check to upload the folder as it is"
        )

    async def run(self, *, dry_run: bool) -> Report:
        try:
            with self._interruption.watching():
                await (self._preview() if dry_run else self._upload())
        except UploadError as error:
            self.note(error)
            if isinstance(error, AwsAccessError) and not dry_run:
                await tell(alert_webhook(None, self._environ), slack.aws_trouble_text(str(error)))
        return self.report

    def _planned(self) -> RunTask:
        memory = self._logs.find(self._task("new", "").identity)
        if memory.problem is not None:
            self.report.problems.append(memory.problem)
            return self._task("partial", "its run log is torn, nothing is known")
        if memory.log is not None:
            return self._task("partial", "a part of it is uploaded already")
        return self._task("new", "nothing of it is recorded as uploaded")

    async def _preview(self) -> None:
        self.report.rows.append(preview(self._planned(), self._logs))
        for problem in self.report.problems:
            log.error("%s", problem)
        await self._check_access()

    async def _check_access(self) -> None:
        request = self._request
        access = choose_access(
            self._environ, profile=request.profile, endpoint_url=request.endpoint_url, region=request.region
        )
        self._access = replace(access, transport=request.transport)
        # they open their connections to come while the bucket is asked and the folder is looked through
        self._waiting.begin(worker_settings(self._access, request.resources))
        await require_buckets(self._access, [request.bucket])

    async def _upload(self) -> None:
        await self._check_access()
        rows: list[RunRow] = self.report.rows
        ending = await upload_all(
            [self._planned()],
            self._access,
            self._request.resources,
            self._interruption,
            rows,
            self._waiting,
            watchers=self._watchers,
        )
        if ending.doom:
            raise AwsAccessError(ending.doom)
        if self.report.with_state("partial"):
            self.report.exit_code = 3
