"""A Dask worker as a session sees it, in one process with the tests."""

import asyncio
import logging
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import distributed

from async_s3_upload import __version__
from async_s3_upload.transfer.cluster import check, host
from async_s3_upload.transfer.cluster.opening import Opening
from async_s3_upload.transfer.cluster.sentences import scheduler_lost
from async_s3_upload.transfer.cluster.session import Session
from async_s3_upload.transfer.messages import AwsAccess, Event, Events, FileItem, Limits, Share, WorkerSettings
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
        self._queue: asyncio.Queue[tuple[int, int, bytes]] | None = asyncio.Queue()
        self._number = 0

    def add_callback(self, callback: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(callback)

    async def queue_get(self, name: str, timeout: float) -> dict[str, tuple[int, int, bytes]]:
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

    def bring(self, *messages: object, after: int = 0) -> None:
        """Put messages into the mailbox, told after so many shares were given."""
        assert self._queue is not None
        self._number += 1
        self._queue.put_nowait((self._number, after, pickle.dumps(messages)))

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


@dataclass(frozen=True, slots=True)
class Called:
    """A function that was called on a worker."""

    address: str
    function: Callable[..., Any]
    args: tuple[Any, ...]


class FakeFuture:
    """A task as its client sees it."""

    def __init__(self, key: str, options: dict[str, Any]) -> None:
        self.key = key
        self.options = options
        self.status = "pending"
        self.released = False
        self._error: Exception | None = None
        self._then: Callable[[FakeFuture], None] = lambda _: None

    def add_done_callback(self, then: Callable[["FakeFuture"], None]) -> None:
        self._then = then

    def release(self) -> None:
        self.released = True

    def end(self, error: Exception | None = None) -> None:
        """Let the task end; called in another thread, as Dask does."""
        self.status, self._error = "error" if error else "finished", error
        self._then(self)

    async def exception(self) -> Exception | None:
        return self._error


class FakeClient:
    """A client of a scheduler: what is called on workers, given to them as tasks and put into queues."""

    def __init__(self) -> None:
        self.calls: list[Called] = []
        self.versions: dict[str, object] = {}
        self.troubles: dict[str, object] = {}
        self.refusals: dict[str, Exception] = {}
        self.hang: set[str] = set()
        self.hang_sessions: set[str] = set()
        self.openings: dict[str, list[Opening]] = {}
        self.submitted: list[FakeFuture] = []
        self.probes: list[FakeFuture] = []
        self.put: dict[str, list[tuple[int, int, bytes]]] = {}
        self.open_queues: set[str] = set()
        self.deaf = False

    async def run(self, function: Callable[..., Any], address: str, *args: Any) -> Any:
        self.calls.append(Called(address, function, args))
        if address in self.hang or (function is host.open_session and address in self.hang_sessions):
            await asyncio.Event().wait()
        if function is check.version:
            return self.versions.get(address, __version__)
        if function is check.examine:
            return self.troubles.get(address)
        if address in self.refusals:
            return self.refusals[address]
        self.openings.setdefault(address, []).append(args[0])
        return None

    def submit(
        self,
        function: Callable[..., Any],
        mailbox: str = "",
        share: Share | None = None,
        number: int = 0,
        *,
        key: str,
        **options: Any,
    ) -> FakeFuture:
        if function is host.nothing:
            self.probes.append(FakeFuture(key, options))
            return self.probes[-1]
        assert function is host.run_share
        assert mailbox in self.open_queues
        assert share is not None
        assert share.items
        assert number > 0
        self.submitted.append(FakeFuture(key, options))
        return self.submitted[-1]

    async def queue(self, name: str, client: object) -> "FakeQueue":
        assert client is self
        self.put.setdefault(name, [])
        self.open_queues.add(name)
        return FakeQueue(self, name)

    def examined(self, address: str) -> list[Any]:
        """The buckets for which a worker was examined."""
        return [
            called.args[1] for called in self.calls if called.address == address and called.function is check.examine
        ]

    def told(self, mailbox: str) -> list[Any]:
        """What was told through a mailbox."""
        return [message for _, _, data in self.put[mailbox] for message in pickle.loads(data)]


class FakeQueue:
    """A queue of the scheduler."""

    def __init__(self, client: FakeClient, name: str) -> None:
        self._client = client
        self._name = name

    async def put(self, value: tuple[int, int, bytes]) -> None:
        if self._client.deaf:
            raise OSError("the connection is closed")
        self._client.put[self._name].append(value)

    def close(self) -> None:
        self._client.open_queues.remove(self._name)


class FakeLink:
    """A link to a scheduler whose workers are those that a test names."""

    def __init__(self) -> None:
        self.client = FakeClient()
        self.session = "session"
        self.topic = "topic"
        self.scheduler = "tcp://scheduler:8786"
        self.workers: frozenset[str] = frozenset()
        self.lost: str | None = None
        self.on_heard: Callable[[str, int, list[Any]], None]
        self.on_workers: Callable[[], None]
        self.on_lost: Callable[[], None]
        self.breaks = asyncio.Event()

    def are(self, *addresses: str) -> None:
        """Let these be the workers."""
        self.workers = frozenset(addresses)
        self.on_workers()

    async def call(self, worker: str, function: Callable[..., Any], *args: Any) -> Any:
        found = await self.client.run(function, worker, *args)
        if isinstance(found, OSError):
            raise found
        return found

    def lose(self, reason: str) -> None:
        if self.lost is None:
            self.lost = scheduler_lost(reason)
            self.on_lost()

    async def watch(self) -> None:
        await self.breaks.wait()
        raise ValueError("the watch broke")
