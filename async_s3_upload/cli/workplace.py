"""Where the files are sent from: worker processes of this machine, or the workers of a Dask cluster."""

from __future__ import annotations

import gc
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from async_s3_upload.errors import UsageError
from async_s3_upload.transfer.cluster import require_dask
from async_s3_upload.transfer.cluster.address import SchedulerAddress
from async_s3_upload.transfer.coordination.completing import Completer
from async_s3_upload.transfer.coordination.coordinator import Coordinator
from async_s3_upload.transfer.messages import WorkerSettings
from async_s3_upload.transfer.workers.nursery import Nursery
from async_s3_upload.transfer.workers.pool import WorkerPool
from async_s3_upload.transfer.workers.process_pool import ProcessPool

if TYPE_CHECKING:
    from async_s3_upload.cli.session import Resources
    from async_s3_upload.config import Config

OPTION = "--scheduler"
KEY = "dask_scheduler"


def scheduler_of(option: str | None) -> SchedulerAddress | None:
    """Return what ``--scheduler`` names, None where it is not given. DASK_SCHEDULER_ADDRESS is not looked at.

    Raises:
        UsageError: it can be no scheduler, or Dask is not installed.
    """
    if option is None:
        return None
    try:
        found = SchedulerAddress.parse(option)
    except ValueError as error:
        raise UsageError(f"{OPTION}: {error}") from error
    require_dask(OPTION)
    return found


def with_scheduler(config: Config, option: str | None) -> Config:
    """Return the config with what ``--scheduler`` says in place of its own key, where it is given.

    Raises:
        UsageError: it can be no scheduler, or Dask is not installed and the option or the key asks for it.
    """
    if (found := scheduler_of(option)) is not None:
        return config.model_copy(update={KEY: found.address or found.file})
    if config.dask_scheduler is not None:
        require_dask(KEY)
    return config


def early_workers(resources: Resources, *, dry_run: bool) -> Nursery:
    """Return the workers to fork at the very start: none for a dry run, nor where others send the files."""
    return Nursery(0 if dry_run or resources.scheduler is not None else resources.cores)


def _cluster_module() -> Any:
    """Import what needs Dask: only here, and only now.

    Without garbage collections meanwhile: hardly anything of what an import makes is garbage, and looking for it takes
    a tenth of the time.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return importlib.import_module("async_s3_upload.transfer.cluster.pool")
    finally:
        if collects:
            gc.enable()


@asynccontextmanager
async def coordinator_of(
    settings: WorkerSettings, resources: Resources, waiting: Nursery | None
) -> AsyncIterator[Coordinator]:
    """Open the coordinator of processes of this machine, or of the workers of a Dask cluster.

    Raises:
        ClusterError: the cluster cannot be used.
    """
    if resources.scheduler is None:
        async with Coordinator(ProcessPool(settings, waiting), resources.cores, resources.give_up_s) as coordinator:
            yield coordinator
        return
    cluster = _cluster_module()
    pool: WorkerPool
    async with (
        cluster.open_pool(resources.scheduler, settings) as pool,
        Coordinator(
            pool, resources.cores, resources.give_up_s, Completer(settings.limits, settings.access)
        ) as coordinator,
    ):
        yield coordinator
