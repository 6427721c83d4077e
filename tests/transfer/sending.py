"""What tests of the engine share: local files, an engine at work on them, and what it reported."""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from async_s3_upload.transfer.engine import checksum
from async_s3_upload.transfer.engine.engine import Engine
from async_s3_upload.transfer.messages import (
    Event,
    FileDone,
    FileFailed,
    FileItem,
    Limits,
    ObjectSettings,
    PartDone,
    UploadBegun,
    UploadGone,
)
from async_s3_upload.transfer.stores.retry import RetryPolicy
from async_s3_upload.transfer.stores.store import ObjectStore
from tests.contract.memory_store import DEFAULTS, MemoryStore
from tests.contract.scripted_store import Call

BUCKET = "runs"
PART = 1000
THRESHOLD = 2000
FAST = RetryPolicy(attempts=3, base_s=0.0005, cap_s=0.0005)
DEADLINE_S = 20.0
QUICK = Limits(concurrency=4, request_base_s=0.05, min_rate=10**9)
"""Limits under which a request that hangs is cut off at once."""


class Files:
    """Local files to send, numbered in the order they were made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.items: list[FileItem] = []
        self.bodies: dict[str, bytes] = {}

    def add(self, *sizes: int) -> list[FileItem]:
        return [self._add(size) for size in sizes]

    def again(self, item: FileItem) -> FileItem:
        """Plan the file anew, as it is now."""
        self.bodies[item.key] = Path(item.path).read_bytes()
        return _planned(item.number, item.path, item.key)

    def _add(self, size: int) -> FileItem:
        number = len(self.items)
        key = f"run/{number}"
        body = random.Random(number).randbytes(size)
        path = self.folder / str(number)
        path.write_bytes(body)
        item = _planned(number, str(path), key)
        self.items.append(item)
        self.bodies[key] = body
        return item


def _planned(number: int, path: str, key: str) -> FileItem:
    found = os.stat(path)
    return FileItem(number, path, key, found.st_size, found.st_mtime_ns, found.st_ino)


@asynccontextmanager
async def working(
    store: ObjectStore,
    items: Sequence[FileItem],
    limits: Limits | None = None,
    settings: ObjectSettings = DEFAULTS,
) -> AsyncIterator[tuple[Engine, asyncio.Task[None], list[Event]]]:
    """An engine at work on the items, its task, and the events so far. The task has to end within the block."""
    events: list[Event] = []
    async with store:
        found = Engine(store, limits or Limits(concurrency=4), events.append, FAST)
        task = asyncio.create_task(found.run())
        for item in items:
            found.submit(BUCKET, item, settings)
        try:
            async with asyncio.timeout(DEADLINE_S):
                yield found, task, events
            assert task.done(), "the engine still runs"
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def send(
    store: ObjectStore,
    items: Sequence[FileItem],
    limits: Limits | None = None,
    settings: ObjectSettings = DEFAULTS,
) -> list[Event]:
    """Send the items to their end and return all events."""
    async with working(store, items, limits, settings) as (found, task, events):
        found.close()
        await task
    return events


def done(events: Sequence[Event]) -> dict[int, FileDone]:
    return {event.number: event for event in events if isinstance(event, FileDone)}


def failed(events: Sequence[Event]) -> dict[int, FileFailed]:
    return {event.number: event for event in events if isinstance(event, FileFailed)}


def parts_sent(events: Sequence[Event]) -> list[int]:
    return sorted(event.part.number for event in events if isinstance(event, PartDone))


def begun(events: Sequence[Event]) -> list[str]:
    return [event.upload_id for event in events if isinstance(event, UploadBegun)]


def gone(events: Sequence[Event]) -> list[str]:
    return [event.upload_id for event in events if isinstance(event, UploadGone)]


def outcomes(events: Sequence[Event]) -> Counter[int]:
    return Counter(event.number for event in events if isinstance(event, (FileDone, FileFailed)))


def stored(memory: MemoryStore) -> dict[str, bytes]:
    return {key: found.body for key, found in memory.objects[BUCKET].items()}


def crc_of(body: bytes) -> str:
    return checksum.as_header(checksum.crc_of(body))


def first_body_of(item: FileItem) -> Callable[[Call], bool]:
    """Match the call that brings the first bytes of the file, whole or part."""
    return lambda call: call.key == item.key and (call.name == "put_object" or call.part == 1)


def on_key(name: str, item: FileItem) -> Callable[[Call], bool]:
    return lambda call: call.name == name and call.key == item.key
