"""Whether this Dask worker can do what it will be asked to: same program, same files, credentials, buckets."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Sequence

from async_s3_upload import __version__
from async_s3_upload.errors import AwsAccessError
from async_s3_upload.transfer.cluster.access import access_on_worker
from async_s3_upload.transfer.cluster.opening import Sample
from async_s3_upload.transfer.cluster.sentences import (
    does_not_see,
    finds_no_credentials,
    has_another_version,
    sees_another_inode,
    sees_another_size,
)
from async_s3_upload.transfer.messages import AwsAccess
from async_s3_upload.transfer.stores.preflight import check_buckets, likely_cause, open_s3
from async_s3_upload.transfer.stores.store import StoreError

HEAD_BYTES = 4096


def version() -> str:
    """Return the version of the package here. It is asked first: other versions may not understand the rest."""
    return __version__


def trouble_with_version(theirs: str | None) -> str | None:
    """Return why a worker with that version cannot be used; None: it can. No version: no such package there."""
    return None if theirs == __version__ else has_another_version(theirs, __version__)


async def examine(samples: Sequence[Sample], buckets: Collection[str], access: AwsAccess) -> str | None:
    """Return why nothing can be sent from here, as a sentence; None: all is well."""
    return await asyncio.to_thread(_examine, samples, buckets, access)


def _examine(samples: Sequence[Sample], buckets: Collection[str], access: AwsAccess) -> str | None:
    for sample in samples:
        if (trouble := trouble_with(sample)) is not None:
            return trouble
    if not buckets:
        return None
    try:
        found = access_on_worker(access, os.environ)
        # a loop of its own: making a client takes a while, and the Dask worker has to answer the scheduler
        troubles = asyncio.run(check_buckets(open_s3(found), buckets))
    except AwsAccessError as error:
        return finds_no_credentials(str(error))
    except StoreError as error:
        return finds_no_credentials(likely_cause(error))
    return "; ".join(f"bucket {bucket}: {trouble}" for bucket, trouble in troubles.items()) or None


def trouble_with(sample: Sample) -> str | None:
    """Return why a file is not here what it is where it was found; None: it is. Opening it makes NFS look anew."""
    try:
        with open(sample.path, "rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            file.read(HEAD_BYTES)
    except OSError as error:
        return does_not_see(sample.path, error.strerror or str(error))
    if (found.st_size, found.st_mtime_ns) != (sample.size, sample.mtime_ns):
        return sees_another_size(sample.path)
    if found.st_ino != sample.inode:
        return sees_another_inode(sample.path)
    return None
