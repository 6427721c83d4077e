"""Which workers of a cluster could do what a config asks for, looked at without any work."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection

from async_s3_upload.transfer.cluster import check
from async_s3_upload.transfer.cluster.access import for_workers
from async_s3_upload.transfer.cluster.address import SchedulerAddress
from async_s3_upload.transfer.cluster.examiner import as_trouble, trouble_with_version
from async_s3_upload.transfer.cluster.link import Link, connected
from async_s3_upload.transfer.cluster.sentences import cannot_open, does_not_see
from async_s3_upload.transfer.messages import AwsAccess

WORKER_LIMIT_S = 45.0


async def troubles_of_workers(
    scheduler: SchedulerAddress, folders: Collection[str], buckets: Collection[str], access: AwsAccess
) -> dict[str, str | None]:
    """Return for each worker (its address) why it cannot be used, as a sentence; None: it can.

    Each has to have this version of the package, to see the ``folders`` and, with its own credentials, the ``buckets``.

    Raises:
        ClusterError: the scheduler does not answer.
    """
    async with connected(scheduler) as link:
        workers = sorted(link.workers)
        sent = for_workers(access)
        found = await asyncio.gather(*(_trouble_of(link, worker, folders, buckets, sent) for worker in workers))
    return dict(zip(workers, found, strict=True))


async def _trouble_of(
    link: Link, worker: str, folders: Collection[str], buckets: Collection[str], access: AwsAccess
) -> str | None:
    try:
        async with asyncio.timeout(WORKER_LIMIT_S):
            trouble = await trouble_with_version(link, worker)
            trouble = trouble or as_trouble(await link.call(worker, unseen, tuple(folders)))
            return trouble or as_trouble(await link.call(worker, check.examine, (), tuple(buckets), access))
    except TimeoutError:
        return cannot_open(f"it did not answer within {WORKER_LIMIT_S:.0f} s")
    except OSError as error:
        return cannot_open(str(error))


def unseen(folders: Collection[str]) -> str | None:
    """Return why a folder is not seen here, as a sentence; None: all are. A part ``*`` stands for any folder."""
    for folder in folders:
        path = folder.partition("/*")[0] or "/"
        try:
            os.scandir(path).close()
        except OSError as error:
            return does_not_see(path, error.strerror or str(error))
    return None
