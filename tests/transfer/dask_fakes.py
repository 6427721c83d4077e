"""A Dask worker as a session sees it, in one process with the tests."""

import asyncio
import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import distributed

from async_s3_upload.transfer.cluster.opening import Opening
from async_s3_upload.transfer.cluster.session import Session
from async_s3_upload.transfer.messages import AwsAccess, Event, Events, FileItem, Limits, WorkerSettings
from async_s3_upload.transfer.rows import event_of
from async_s3_upload.transfer.stores.store import ObjectStore

DEADLINE_S = 20.0
LONG_S = 60.0
SETTINGS = WorkerSettings(AwsAccess(), Limits(concurrency=2), logging.WARNING)


async def until(there: Callable[[], object]) -> None:
    """Return when something is there that other threads do."""
    async with asyncio.timeout(DEADLINE_S):
        while not there():
            await asyncio.sleep(0.002)


def item_of(path: Path, number: int, size: int = 4) -> FileItem:
    """Make a file, and return it as it was planned."""
    path.write_bytes(b"b" * size)
    found = path.stat()
    return FileItem(number, str(path), f"run/{number}", found.st_size, found.st_mtime_ns, found.st_ino)


class FakeDaskWorker:
    """Its loop, its way to the queue of one mailbox, and what it logs as events."""

    def __init__(self) -> None:
        self.loop = self
        self.scheduler = self
        self.told: list[Any] = []
        self.broken = False
        self.deaf_times = 0
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[tuple[int, bytes]] | None = asyncio.Queue()
        self._number = 0

    def add_callback(self, callback: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(callback)

    async def queue_get(self, name: str, timeout: float) -> dict[str, tuple[int, bytes]]:
        if self.deaf_times:
            self.deaf_times -= 1
            raise OSError("no answer")
        if self._queue is None:
            raise KeyError(name)
        async with asyncio.timeout(timeout):
            return {"value": await self._queue.get()}

    def log_event(self, topic: str, message: Any) -> None:
        if self.broken:
            raise OSError("the connection is closed")
        self.told.append((topic, message))

    # the coordinator's side

    def bring(self, *messages: object) -> None:
        """Put messages into the mailbox."""
        assert self._queue is not None
        self._number += 1
        self._queue.put_nowait((self._number, pickle.dumps(messages)))

    def lose_one(self) -> None:
        """Lose what is put there next."""
        self._number += 1

    def let_go(self) -> None:
        """Forget the mailbox; who waits there waits on."""
        self._queue = None

    @property
    def said(self) -> list[Any]:
        """The messages of the session, in their order."""
        return [message for _, (_, _, _, data) in self.told for message in pickle.loads(data)]

    @property
    def events(self) -> list[Event]:
        """The events among them."""
        return [event_of(row) for message in self.said if isinstance(message, Events) for row in message.rows]

    def said_of(self, kind: type) -> list[Any]:
        """The messages of a kind."""
        return [message for message in self.said if isinstance(message, kind)]


def session_on(
    dask: FakeDaskWorker,
    store: ObjectStore,
    settings: WorkerSettings = SETTINGS,
    lease_s: float = LONG_S,
    mailbox: str = "m",
) -> Session:
    """Return a session that is open."""
    opening = Opening("s", "topic", mailbox, lease_s, settings)
    session = Session(opening, cast("distributed.Worker", dask), lambda _settings, _pace: store)
    session.open()
    return session
