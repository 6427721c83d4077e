"""Whether the Dask cluster of a config can be used: Dask is there, the scheduler answers, its workers could work."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from async_s3_upload.cli.config_check.findings import Finding
from async_s3_upload.cli.session import access_for
from async_s3_upload.cli.workplace import KEY
from async_s3_upload.config import Config
from async_s3_upload.errors import AwsAccessError, ClusterError, UsageError
from async_s3_upload.text import plural
from async_s3_upload.transfer.cluster import require_dask
from async_s3_upload.transfer.cluster.address import SchedulerAddress


def check_dask(config: Config) -> list[Finding]:
    """Tell that Dask is lacking, if it is and the config asks for it; nobody is asked."""
    if config.dask_scheduler is None:
        return []
    try:
        require_dask(KEY)
    except UsageError as error:
        return [Finding("scheduler", "problem", f"{KEY} {config.dask_scheduler}", str(error))]
    return []


async def check_cluster(config: Config, environ: Mapping[str, str]) -> list[Finding]:
    """Tell whether the scheduler answers, and which workers cannot be used; nothing where there is none, or no Dask."""
    if config.dask_scheduler is None or check_dask(config):
        return []
    scheduler = SchedulerAddress.parse(config.dask_scheduler)
    look = importlib.import_module("async_s3_upload.transfer.cluster.look")  # it needs Dask
    folders = {folder: None for section in config.monitor for folder in section.monitored_directories}
    try:
        access = access_for(environ, config)
    except AwsAccessError:
        return []  # it is said with the credentials
    buckets = {section.bucket: None for section in config.monitor}
    try:
        troubles = await look.troubles_of_workers(scheduler, list(folders), list(buckets), access)
    except ClusterError as error:
        return [Finding("scheduler", "problem", f"{KEY} {scheduler}", str(error))]
    return cluster_findings(scheduler, troubles)


def cluster_findings(scheduler: SchedulerAddress, troubles: Mapping[str, str | None]) -> list[Finding]:
    """Return what is to be said of a scheduler that answers and of its workers; pure."""
    subject = f"{KEY} {scheduler}"
    if not troubles:
        return [Finding("scheduler", "warning", subject, "answers, and has no workers", "start some (dask worker)")]
    usable = sum(trouble is None for trouble in troubles.values())
    text = f"answers, and has {plural(len(troubles), 'worker')}"
    found = [Finding("scheduler", "ok", subject, text if usable == len(troubles) else f"{text}, {usable} to be used")]
    for worker, trouble in troubles.items():
        if trouble is not None:  # the others do its work
            found.append(Finding("worker", "warning" if usable else "problem", f"worker {worker}", trouble))
    return found
