"""What both commands share around an upload: access, bucket check, workers, signals."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from async_s3_upload.cli.sequel import Sequel
from async_s3_upload.cli.signals import Interruption
from async_s3_upload.cli.workplace import coordinator_of
from async_s3_upload.delivery.row import RunRow
from async_s3_upload.delivery.uploading import RunTask, Uploader
from async_s3_upload.delivery.watching import Watchers
from async_s3_upload.errors import AwsAccessError, Interrupted, UploadError
from async_s3_upload.notify import slack
from async_s3_upload.state.run_logs import RunLogs
from async_s3_upload.text import plural
from async_s3_upload.timetable import Timetable
from async_s3_upload.transfer.access import choose_access
from async_s3_upload.transfer.cluster.address import SchedulerAddress
from async_s3_upload.transfer.coordination.coordinator import GIVE_UP_S
from async_s3_upload.transfer.cores import available_cores
from async_s3_upload.transfer.messages import AwsAccess, Checksum, Limits, ObjectSettings, WorkerSettings
from async_s3_upload.transfer.stores.preflight import (
    CHECK_LIMIT_S,
    CONTROL_LIMIT_S,
    check_buckets,
    likely_cause,
    open_s3,
)
from async_s3_upload.transfer.stores.store import ObjectStore, StoreError
from async_s3_upload.transfer.workers.nursery import Nursery

if TYPE_CHECKING:  # what the config is made with takes a while to import, and `upload` has none
    from async_s3_upload.config import Config, ObjectProperties

log = logging.getLogger(__name__)


LEAST_CONCURRENCY = 16
MOST_CONCURRENCY = 128
"""Requests in flight per worker where no number is given: as many as are worth it. Two workers with 64 each at 30 ms
come to 4,000 small PUTs a second; S3 takes 3,500 a prefix, and asks for fewer where there are more."""


@dataclass(frozen=True, slots=True)
class Resources:
    """How much of the machine may be used, and where the state lies."""

    cores: int
    limits: Limits
    log_dir: str
    log_level: int
    verify: bool = True
    give_up_s: float = GIVE_UP_S
    bandwidth: Timetable | None = None
    running_limit_s: float = math.inf
    """So long files of runs that are not complete go up in one round."""
    scheduler: SchedulerAddress | None = None
    """Of the Dask cluster whose workers send the files; None: processes of this machine, as ``verify`` always takes."""


def limits_of(concurrency: int | None, **others: Any) -> Limits:
    """Return limits with a fixed number of requests in flight, or with one that is found out; others by name."""
    if concurrency is None:
        return Limits(concurrency=LEAST_CONCURRENCY, most_concurrency=MOST_CONCURRENCY, **others)
    return Limits(concurrency=concurrency, **others)


def resources_of(
    config: Config,
    *,
    log_dir: str | None = None,
    cores: int | None = None,
    concurrency: int | None = None,
    checksum: Checksum | None = None,
) -> Resources:
    """Return what the config allows; options of the command line come before it."""
    available = available_cores()
    limits = limits_of(
        concurrency or config.max_threads,
        part_size=config.part_size,
        memory_bytes=config.memory_per_core,
        request_base_s=config.request_timeout,
        min_rate=config.min_rate,
        checksum=checksum or config.checksum,
    )
    return Resources(
        cores or min(config.max_cores or available, available),
        limits,
        log_dir or config.log_dir,
        config.log_level,
        config.verify_after_upload,
        config.give_up_after_minutes * 60,
        config.bandwidth,
        config.max_minutes_per_tick * 60,
        SchedulerAddress.parse(config.dask_scheduler) if config.dask_scheduler is not None else None,
    )


def object_settings(properties: ObjectProperties) -> ObjectSettings:
    """Return the properties of the config as the workers take them."""
    return ObjectSettings(
        storage_class=properties.storage_class,
        server_side_encryption=properties.server_side_encryption,
        kms_key_id=properties.kms_key_id,
        acl=properties.acl,
        expected_bucket_owner=properties.expected_bucket_owner,
        tags=tuple((properties.tags or {}).items()),
        metadata=tuple((properties.metadata or {}).items()),
    )


def alert_webhook(configured: str | None, environ: Mapping[str, str]) -> str | None:
    """Return where alerts go; like the replaced tool, SLACK_ALERT_WEBHOOK counts where none is configured."""
    return configured or environ.get("SLACK_ALERT_WEBHOOK") or None


async def tell(webhook: str | None, text: str) -> None:
    """Post to Slack where there is a webhook."""
    if webhook:
        await slack.post(webhook, text)


def access_for(
    environ: Mapping[str, str],
    config: Config | None,
    *,
    profile: str | None = None,
    endpoint_url: str | None = None,
    region: str | None = None,
) -> AwsAccess:
    """Return how to reach S3: options first, then environment, then what the config says about addresses.

    Raises:
        AwsAccessError: both ways of authentication at once, or half of a key pair.
    """
    access = choose_access(environ, profile=profile, endpoint_url=endpoint_url, region=region)
    if config is None:
        return access
    return replace(
        access,
        use_accelerate_endpoint=config.use_accelerate_endpoint,
        use_dualstack_endpoint=config.use_dualstack_endpoint,
        addressing_style=config.addressing_style,
        transport=config.transport,
    )


async def require_buckets(access: AwsAccess, buckets: Sequence[str], limit_s: float = CHECK_LIMIT_S) -> None:
    """Return if the credentials resolve and each bucket answers within ``limit_s`` seconds.

    Raises:
        AwsAccessError: naming each bucket that does not, with the likely cause.
    """
    log.info("checking access to %s: %s", plural(len(buckets), "bucket"), ", ".join(buckets))
    try:
        troubles = await check_buckets(open_s3(access), buckets, min(limit_s, CHECK_LIMIT_S))
    except StoreError as error:
        raise AwsAccessError(likely_cause(error)) from error
    if troubles:
        lines = [f"bucket {bucket}: {trouble}" for bucket, trouble in troubles.items()]
        raise AwsAccessError("; ".join(lines))


@dataclass(frozen=True, slots=True)
class Ending:
    """Why not everything could be tried: ``doom`` for good (a bucket takes nothing more), ``gave_up`` for now."""

    doom: str | None = None
    gave_up: str | None = None


def worker_settings(access: AwsAccess, resources: Resources) -> WorkerSettings:
    """Return what workers are told at their start."""
    return WorkerSettings(access, resources.limits, resources.log_level, resources.bandwidth)


async def upload_all(
    tasks: Sequence[RunTask],
    access: AwsAccess,
    resources: Resources,
    interruption: Interruption,
    rows: list[RunRow],
    waiting: Nursery | None = None,
    running: Sequence[RunTask] = (),
    watchers: Watchers | None = None,
) -> Ending:
    """Upload the runs in order and append a row for each to ``rows``; workers who are ``waiting`` begin.

    Then those that are ``running`` still, as far as the time for them goes: what is on its way then ends softly.

    A run is begun as soon as the one before it has no more files to hand out. When a bucket takes nothing more, runs to
    other buckets go on.

    Raises:
        UploadError: the command cannot go on; Interrupted after a signal. The state is kept.
    """
    if resources.bandwidth is not None:
        log.info("bandwidth is limited: %s", resources.bandwidth)
    async with (
        control_store(access, 2 * resources.limits.request_base_s) as control,
        coordinator_of(worker_settings(access, resources), resources, waiting) as coordinator,
        (watchers or Watchers()).looking(coordinator.activity),
    ):
        logs = RunLogs(resources.log_dir)
        uploader = Uploader(coordinator, control, logs, verify=resources.verify, watchers=watchers)
        with interruption.softly(coordinator.stop):
            await Sequel(uploader, tasks, rows, interruption).upload()
            if running and interruption.signal_number is None:
                over = asyncio.Event()

                def end_of_time() -> None:
                    over.set()
                    coordinator.stop()

                timer = asyncio.get_running_loop().call_later(resources.running_limit_s, end_of_time)
                try:
                    await Sequel(uploader, running, rows, interruption, over).upload()
                finally:
                    timer.cancel()
    return Ending("; ".join(uploader.doomed.values()) or None, uploader.gave_up)


@asynccontextmanager
async def control_store(
    access: AwsAccess, limit_s: float = CONTROL_LIMIT_S, connections: int = 8
) -> AsyncIterator[ObjectStore]:
    """Open a store for the few requests that carry no bytes; a page of a listing has ``limit_s`` seconds.

    Raises:
        AwsAccessError: there are no credentials.
    """
    try:
        store = await open_s3(access, limit_s, connections).__aenter__()
    except StoreError as error:
        raise AwsAccessError(likely_cause(error)) from error
    try:
        yield store
    finally:
        await store.__aexit__(None, None, None)


def trouble_code(error: UploadError) -> int:
    """Return the exit code for an error that ended a command."""
    return error.code if isinstance(error, Interrupted) else error.exit_code
