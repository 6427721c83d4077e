"""What S3 holds of a run: listed once, and compared with what is remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from async_s3_upload.transfer.retry import RetryPolicy, retrying, within
from async_s3_upload.transfer.store import ListedUpload, ObjectInfo, ObjectStore

CONTROL_LIMIT_S = 60.0
_POLICY = RetryPolicy(attempts=6, base_s=0.5, cap_s=10.0)
HEADS_AT_A_TIME = 16


@dataclass(frozen=True, slots=True)
class Expected:
    """What an object should be: ``size`` in bytes, None where it is not known; ``etag`` without quotes."""

    size: int | None
    etag: str


@dataclass(slots=True)
class Differences:
    """How S3 differs from what is expected, by key: what is not there, what is another object, what is extra.

    ``other_size`` are those of ``different`` whose size is not the expected one.
    """

    missing: list[str] = field(default_factory=list)
    different: dict[str, str] = field(default_factory=dict)
    other_size: set[str] = field(default_factory=set)
    extra: list[str] = field(default_factory=list)

    def note(self, key: str, expected: Expected, there: ObjectInfo | None) -> None:
        """Take one object into account; None: there is none."""
        if there is None:
            self.missing.append(key)
            return
        text = difference(expected, there)
        if text is not None:
            self.different[key] = text
        if expected.size is not None and expected.size != there.size:
            self.other_size.add(key)

    def __bool__(self) -> bool:
        """Whether something that should be there is missing or different; extra objects do no harm."""
        return bool(self.missing or self.different)


def difference(expected: Expected, found: ObjectInfo) -> str | None:
    """Return how an object differs from what is expected, as a sentence, or None."""
    if expected.size is not None and found.size != expected.size:
        return f"it has {found.size:,} bytes in S3 instead of {expected.size:,}"
    if expected.etag and found.etag != expected.etag:
        return f"its ETag in S3 is {found.etag}, {expected.etag} was recorded"
    return None


def compare(expected: Mapping[str, Expected], listed: Mapping[str, ObjectInfo]) -> Differences:
    """Compare by key; pure."""
    found = Differences()
    for key, what in expected.items():
        found.note(key, what, listed.get(key))
    found.extra = [key for key in listed if key not in expected]
    return found


async def list_all(store: ObjectStore, bucket: str, prefix: str) -> dict[str, ObjectInfo]:
    """Return all objects under ``prefix`` by key: one request for 1,000 of them.

    Raises:
        StoreError: the listing failed for good.
    """

    async def listing(_: int) -> dict[str, ObjectInfo]:
        await store.refresh()
        return {found.key: found async for found in store.list_objects(bucket, prefix)}

    return await retrying(_POLICY, listing, lambda _number, _error: None)


async def list_open_uploads(store: ObjectStore, bucket: str, prefix: str) -> list[ListedUpload]:
    """Return the multipart uploads in progress under ``prefix``.

    Raises:
        StoreError: the listing failed for good.
    """

    async def listing(_: int) -> list[ListedUpload]:
        await store.refresh()
        return [found async for found in store.list_uploads(bucket, prefix)]

    return await retrying(_POLICY, listing, lambda _number, _error: None)


async def abort_uploads(
    store: ObjectStore, bucket: str, uploads: Iterable[tuple[str, str]], on_aborted: Callable[[str, str], None]
) -> None:
    """Abort uploads given as (key, id); ``on_aborted(key, id)`` is told of each.

    Raises:
        StoreError: one could not be aborted.
    """
    for key, upload_id in uploads:

        async def abort(_: int, key: str = key, upload_id: str = upload_id) -> None:
            await store.refresh()
            await within(CONTROL_LIMIT_S, store.abort_multipart(bucket, key, upload_id))

        await retrying(_POLICY, abort, lambda _number, _error: None)
        on_aborted(key, upload_id)


async def compare_with_s3(
    store: ObjectStore, bucket: str, prefix: str, expected: Mapping[str, Expected]
) -> Differences:
    """List everything under ``prefix`` and compare.

    What the listing lacks is asked for by HEAD before it counts as missing: some servers list odd names
    differently.

    Raises:
        StoreError: S3 could not be asked.
    """
    found = compare(expected, await list_all(store, bucket, prefix))
    asked = await check_keys(store, bucket, expected, found.missing)
    found.missing = asked.missing
    found.different |= asked.different
    found.other_size |= asked.other_size
    return found


async def head(store: ObjectStore, bucket: str, key: str) -> ObjectInfo | None:
    """Ask for one object, with retries.

    Raises:
        StoreError: S3 could not be asked.
    """

    async def asking(_: int) -> ObjectInfo | None:
        await store.refresh()
        return await within(CONTROL_LIMIT_S, store.head(bucket, key))

    return await retrying(_POLICY, asking, lambda _number, _error: None)


async def check_keys(
    store: ObjectStore, bucket: str, expected: Mapping[str, Expected], keys: Collection[str]
) -> Differences:
    """Compare single objects by HEAD.

    Raises:
        StoreError: S3 could not be asked.
    """
    found = Differences()
    turn = asyncio.Semaphore(HEADS_AT_A_TIME)

    async def check(key: str) -> None:
        async with turn:
            there = await head(store, bucket, key)
        found.note(key, expected[key], there)

    await asyncio.gather(*(check(key) for key in keys))
    return found
