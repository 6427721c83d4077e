"""``verify``: is everything in S3 that should be there, and is it what was sent?"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from async_s3_upload.cli.logs import console_log, file_log, prepare_log_dir
from async_s3_upload.cli.session import Resources, access_for, control_store, require_buckets, trouble_code
from async_s3_upload.cli.signals import Interruption
from async_s3_upload.cli.verify.report import Level, VerifiedRun, VerifyReport
from async_s3_upload.cli.verify.targets import NoTarget, Target
from async_s3_upload.cli.verify.verifier import Verifier
from async_s3_upload.config import Config
from async_s3_upload.delivery.uploading import Uploader
from async_s3_upload.errors import AwsAccessError, Interrupted, UploadError
from async_s3_upload.state.run_logs import RunLogs
from async_s3_upload.text import plural, printable
from async_s3_upload.transfer.coordination.coordinator import Coordinator
from async_s3_upload.transfer.messages import WorkerSettings
from async_s3_upload.transfer.workers.process_pool import ProcessPool

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """The options of the command, checked. ``find`` returns what to verify; it is called once."""

    find: Callable[[], Sequence[Target | NoTarget]]
    level: Level
    repair: bool
    resources: Resources
    config: Config | None = None
    endpoint_url: str | None = None
    profile: str | None = None
    region: str | None = None


def run_verify(request: VerifyRequest, environ: Mapping[str, str]) -> VerifyReport:
    """Verify; trouble with AWS or the log folder is in the report, not raised.

    Raises:
        UsageError: there is nothing of that name.
    """
    log_dir = request.resources.log_dir
    targets = request.find()
    command = _Command(request, environ)
    with console_log(request.resources.log_level), ExitStack() as logs:
        try:
            if request.repair:
                prepare_log_dir(log_dir)
                logs.enter_context(file_log(log_dir))
            asyncio.run(command.run(targets))
        except UploadError as error:
            log.error("%s", error)
            command.report.problems.append(str(error))
            command.report.trouble_code = trouble_code(error)
    return command.report


class _Command:
    def __init__(self, request: VerifyRequest, environ: Mapping[str, str]) -> None:
        self._request = request
        self._environ = environ
        self._interruption = Interruption()
        self.report = VerifyReport()

    async def run(self, targets: Sequence[Target | NoTarget]) -> None:
        with self._interruption.watching():
            known = []
            for target in targets:
                if isinstance(target, Target):
                    known.append(target)
                else:
                    level = self._request.level
                    row = VerifiedRun(target.run_id, target.run_path, "", "/", level, trouble=target.reason)
                    self.report.rows.append(row)
            if known:
                await self._verify(known)

    async def _verify(self, targets: Sequence[Target]) -> None:
        request, resources = self._request, self._request.resources
        access = access_for(
            self._environ,
            request.config,
            profile=request.profile,
            endpoint_url=request.endpoint_url,
            region=request.region,
        )
        buckets = sorted({target.identity.bucket for target in targets})
        await require_buckets(access, buckets, resources.limits.request_base_s)
        settings = WorkerSettings(access, resources.limits, resources.log_level, resources.bandwidth)
        async with (
            control_store(access, 2 * resources.limits.request_base_s) as control,
            Coordinator(ProcessPool(settings), resources.cores, resources.give_up_s) as coordinator,
        ):
            logs = RunLogs(resources.log_dir)
            uploader = Uploader(coordinator, control, logs, verify=resources.verify)
            verifier = Verifier(coordinator, control, uploader, logs, self._interruption)
            for number, target in enumerate(targets, 1):
                log.info("run %d of %d: %s", number, len(targets), printable(target.identity.run_id))
                await self._verify_run(verifier, target)
                if self._interruption.signal_number is not None:
                    raise Interrupted(self._interruption.signal_number)
        log.info("verified %s", plural(len(targets), "run"))
        if verifier.doomed:
            raise AwsAccessError("; ".join(verifier.doomed.values()))

    async def _verify_run(self, verifier: Verifier, target: Target) -> None:
        identity = target.identity
        row = VerifiedRun(
            identity.run_id, identity.run_path, identity.bucket, identity.remote_path, self._request.level
        )
        self.report.rows.append(row)
        if identity.bucket in verifier.doomed:
            row.trouble = "not begun: " + verifier.doomed[identity.bucket]
        else:
            await verifier.verify(target, row, repair=self._request.repair)
