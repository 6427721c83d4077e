"""What both commands share around an upload: access, bucket check, workers, signals."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from async_s3_upload.cli.report import RunRow
from async_s3_upload.cli.signals import Interruption
from async_s3_upload.cli.uploading import RunTask, Uploader
from async_s3_upload.errors import AwsAccessError, Interrupted, UploadError
from async_s3_upload.notify import slack
from async_s3_upload.state.run_logs import RunLogs
from async_s3_upload.text import plural
from async_s3_upload.transfer.coordinator import Coordinator
from async_s3_upload.transfer.messages import AwsAccess, Limits, WorkerSettings
from async_s3_upload.transfer.preflight import check_buckets, likely_cause, open_s3
from async_s3_upload.transfer.store import StoreError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Resources:
    """How much of the machine may be used, and where the state lies."""

    cores: int
    limits: Limits
    log_dir: str
    log_level: int


def alert_webhook(configured: str | None, environ: Mapping[str, str]) -> str | None:
    """Return where alerts go; like the replaced tool, SLACK_ALERT_WEBHOOK counts where none is configured."""
    return configured or environ.get("SLACK_ALERT_WEBHOOK") or None


async def tell(webhook: str | None, text: str) -> None:
    """Post to Slack where there is a webhook."""
    if webhook:
        await slack.post(webhook, text)


async def require_buckets(access: AwsAccess, buckets: Sequence[str]) -> None:
    """Return if the credentials resolve and each bucket answers.

    Raises:
        AwsAccessError: naming each bucket that does not, with the likely cause.
    """
    log.info("checking access to %s: %s", plural(len(buckets), "bucket"), ", ".join(buckets))
    try:
        troubles = await check_buckets(open_s3(access), buckets)
    except StoreError as error:
        raise AwsAccessError(likely_cause(error)) from error
    if troubles:
        lines = [f"bucket {bucket}: {trouble}" for bucket, trouble in troubles.items()]
        raise AwsAccessError("; ".join(lines))


async def upload_all(
    tasks: Sequence[RunTask],
    access: AwsAccess,
    resources: Resources,
    interruption: Interruption,
    rows: list[RunRow],
) -> str | None:
    """Upload the runs in order and append a row for each that was begun to ``rows``.

    Returns the reason why a bucket takes nothing more, if that happened; runs to other buckets went on.

    Raises:
        UploadError: the command cannot go on; Interrupted after a signal. The state is kept.
    """
    settings = WorkerSettings(access, resources.limits, resources.log_level)
    async with Coordinator(settings, resources.cores) as coordinator:
        uploader = Uploader(coordinator, RunLogs(resources.log_dir))
        with interruption.softly(coordinator.stop):
            for number, task in enumerate(tasks, 1):
                if task.identity.bucket in uploader.doomed:
                    row = task.row()
                    row.detail = "not begun: " + uploader.doomed[task.identity.bucket]
                else:
                    log.info("run %d of %d: %s", number, len(tasks), os.path.basename(task.identity.run_path))
                    row = await uploader.upload(task)
                rows.append(row)
                if interruption.signal_number is not None:
                    raise Interrupted(interruption.signal_number)
    return "\n".join(uploader.doomed.values()) or None


def trouble_code(error: UploadError) -> int:
    """Return the exit code for an error that ended a command."""
    return error.code if isinstance(error, Interrupted) else error.exit_code
