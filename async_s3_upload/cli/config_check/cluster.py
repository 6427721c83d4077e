"""Whether the Dask cluster of a config can be used: Dask is installed, the scheduler answers and has workers."""

from __future__ import annotations

from async_s3_upload.cli.config_check.findings import Finding
from async_s3_upload.cli.workplace import KEY
from async_s3_upload.config import Config
from async_s3_upload.errors import ClusterError, UsageError
from async_s3_upload.text import plural
from async_s3_upload.transfer.cluster import require_dask
from async_s3_upload.transfer.cluster.address import SchedulerAddress
from async_s3_upload.transfer.cluster.reach import ANSWER_LIMIT_S, workers_of


def check_dask(config: Config) -> list[Finding]:
    """Tell that Dask is lacking, if it is and the config asks for it; nobody is asked."""
    if config.dask_scheduler is None:
        return []
    try:
        require_dask(KEY)
    except UsageError as error:
        return [Finding("scheduler", "problem", f"{KEY} {config.dask_scheduler}", str(error))]
    return []


async def check_cluster(config: Config, limit_s: float = ANSWER_LIMIT_S) -> list[Finding]:
    """Tell whether the scheduler answers and how many workers it has; nothing where there is none, or no Dask."""
    if config.dask_scheduler is None or check_dask(config):
        return []
    subject = f"{KEY} {config.dask_scheduler}"
    try:
        workers = await workers_of(SchedulerAddress.parse(config.dask_scheduler), limit_s)
    except ClusterError as error:
        return [Finding("scheduler", "problem", subject, str(error))]
    if not workers:
        return [Finding("scheduler", "warning", subject, "answers, and has no workers", "start some (dask worker)")]
    return [Finding("scheduler", "ok", subject, f"answers, and has {plural(len(workers), 'worker')}")]
