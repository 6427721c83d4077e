"""Where the files are sent from: worker processes of this machine, or the workers of a Dask cluster."""

from __future__ import annotations

import importlib
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from async_s3_upload.errors import UsageError
from async_s3_upload.transfer.cluster import require_dask
from async_s3_upload.transfer.cluster.address import SchedulerAddress
from async_s3_upload.transfer.coordination.coordinator import Coordinator
from async_s3_upload.transfer.messages import WorkerSettings
from async_s3_upload.transfer.workers.nursery import Nursery

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


def coordinator_of(
    settings: WorkerSettings, resources: Resources, waiting: Nursery | None
) -> AbstractAsyncContextManager[Coordinator]:
    """Return the coordinator of processes of this machine, or of the workers of a Dask cluster.

    Raises:
        ClusterError: when the block begins, where the cluster cannot be used.
    """
    if resources.scheduler is None:
        return Coordinator(settings, resources.cores, resources.give_up_s, waiting)
    # only here, and only now: it needs Dask
    pool = importlib.import_module("async_s3_upload.transfer.cluster.pool")
    found: AbstractAsyncContextManager[Coordinator] = pool.open_coordinator(
        resources.scheduler, settings, resources.give_up_s
    )
    return found
