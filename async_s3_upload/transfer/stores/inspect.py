"""What S3 holds of a run: listed once, and compared with what is remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TypeVar

from async_s3_upload.transfer.stores.retry import RetryPolicy, retrying, within
from async_s3_upload.transfer.stores.store import ListedUpload, ObjectInfo, ObjectStore

T = TypeVar("T")
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


async def list_all(
    store: ObjectStore, bucket: str, prefix: str, fresh: Callable[[], Callable[[ObjectInfo], None]]
) -> None:
    """List all objects under ``prefix``, one request for 1,000 of them, and give each to what ``fresh()`` returned.

    A listing that has to begin again asks ``fresh`` again: what was given before counts no more.

    Raises:
        StoreError: the listing failed for good.
    """

    async def listing(_: int) -> None:
        await store.refresh()
        take = fresh()
        async for found in store.list_objects(bucket, prefix):
            take(found)

    await retrying(_POLICY, listing, lambda _number, _error: None)


async def fetch(
    store: ObjectStore, bucket: str, key: str, fresh: Callable[[], None], take: Callable[[bytes], None]
) -> None:
    """Give the bytes of an object to ``take``, piece by piece; before each attempt ``fresh()`` drops what came before.

    What ``take`` raises ends it, and goes on to the caller.

    Raises:
        StoreError: the object could not be had.
    """

    async def fetching(_: int) -> None:
        await store.refresh()
        fresh()
        async with aclosing(store.get_object(bucket, key)) as pieces:
            async for piece in pieces:
                take(piece)

    await retrying(_POLICY, fetching, lambda _number, _error: None)


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


class _Listing:
    """Compares what is listed with what is expected, one after the other."""

    def __init__(self, expected: Mapping[str, Expected]) -> None:
        self._expected = expected
        self._unseen: set[str] = set()
        self._extra: dict[str, None] = {}
        self._found = Differences()

    def begin(self) -> Callable[[ObjectInfo], None]:
        """Return what takes the objects."""
        self._unseen = set(self._expected)
        self._extra = {}
        self._found = Differences()
        return self._take

    def _take(self, there: ObjectInfo) -> None:
        key = there.key
        if key in self._unseen:
            self._unseen.remove(key)
            self._found.note(key, self._expected[key], there)
        elif key not in self._expected:
            self._extra[key] = None

    def differences(self) -> Differences:
        """Return what came out."""
        # in the order of what is expected, not of a set
        self._found.missing = [key for key in self._expected if key in self._unseen] if self._unseen else []
        self._found.extra = list(self._extra)
        return self._found


async def compare_with_s3(
    store: ObjectStore, bucket: str, prefix: str, expected: Mapping[str, Expected]
) -> Differences:
    """List everything under ``prefix`` and compare.

    What the listing lacks is asked for by HEAD before it counts as missing: some servers list odd names
    differently.

    Raises:
        StoreError: S3 could not be asked.
    """
    listing = _Listing(expected)
    await list_all(store, bucket, prefix, listing.begin)
    found = listing.differences()
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

    async def check(key: str) -> None:
        found.note(key, expected[key], await head(store, bucket, key))

    await each(keys, check, min(HEADS_AT_A_TIME, len(keys)))
    return found


async def each(items: Iterable[T], call: Callable[[T], Awaitable[None]], at_a_time: int) -> None:
    """Call for each item, for so many at a time; the first error ends all."""
    left = iter(items)

    async def some() -> None:
        for item in left:
            await call(item)

    tasks = [asyncio.create_task(some()) for _ in range(at_a_time)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
