"""Before anything is sent: do the credentials resolve, and does each bucket answer?"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from async_s3_upload.transfer.messages import AwsAccess
from async_s3_upload.transfer.stores.retry import RetryPolicy, retrying, within
from async_s3_upload.transfer.stores.store import (
    AccessDenied,
    BadCredentials,
    NoSuchBucket,
    ObjectStore,
    StoreError,
    Transient,
    WrongRegion,
)

CHECK_LIMIT_S = 15.0
UNREACHABLE = "S3 cannot be reached, check network, proxy and endpoint"
_POLICY = RetryPolicy(attempts=3, base_s=0.5, cap_s=2.0)
_LIKELY: tuple[tuple[type[StoreError], str], ...] = (
    (NoSuchBucket, "check its name and the account"),
    (BadCredentials, "check the credentials"),
    (
        AccessDenied,
        "access is forbidden: the credentials are wrong, or lack the right s3:ListBucket on the bucket",
    ),
    (WrongRegion, "the bucket is in another region, set AWS_REGION to it"),
    (Transient, UNREACHABLE),
)


CONTROL_LIMIT_S = 60.0


def open_s3(access: AwsAccess, limit_s: float = CONTROL_LIMIT_S, connections: int = 8) -> ObjectStore:
    """Return a store for control requests of this process, at most ``connections`` at a time, not opened yet.

    No page of a listing, and no piece of an object, takes longer than ``limit_s``.
    """
    from async_s3_upload.transfer.stores.store_aiobotocore import AiobotocoreStore

    return AiobotocoreStore(access, connections=connections, page_limit_s=limit_s)


async def check_buckets(store: ObjectStore, buckets: Collection[str], limit_s: float = CHECK_LIMIT_S) -> dict[str, str]:
    """Ask each bucket with HeadBucket; ListAllMyBuckets is not needed.

    Returns the buckets that cannot be used with the likely cause, in a sentence each. ``store`` is not opened
    yet; it is closed afterwards.

    Raises:
        BadCredentials: no credentials were found at all.
    """
    async with store:
        answers = await asyncio.gather(*(_trouble(store, bucket, limit_s) for bucket in buckets))
    return {bucket: answer for bucket, answer in zip(buckets, answers, strict=True) if answer}


async def _trouble(store: ObjectStore, bucket: str, limit_s: float) -> str | None:
    try:
        await retrying(_POLICY, lambda _: within(limit_s, store.check_bucket(bucket)), lambda _number, _error: None)
    except StoreError as error:
        return likely_cause(error)
    return None


def likely_cause(error: StoreError) -> str:
    """Return what most probably is wrong, and what the server or library said."""
    for kind, cause in _LIKELY:
        if isinstance(error, kind):
            return f"{error}; {cause}"
    return str(error)
