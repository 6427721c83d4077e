"""Workers inside the test's process: engines over any store, which can die, behind the real coordinator."""

import asyncio
import itertools
import pickle
from collections.abc import Sequence
from contextlib import nullcontext

from async_s3_upload.transfer.coordination.completing import Completer
from async_s3_upload.transfer.coordination.coordinator import Coordinator
from async_s3_upload.transfer.engine.engine import Engine
from async_s3_upload.transfer.lending import (
    CutOff,
    CutOffDone,
    GiveBack,
    LendingFromWorker,
    LendingToWorker,
    PartsBack,
    PartShare,
    PartsQueued,
)
from async_s3_upload.transfer.messages import (
    AwsAccess,
    Event,
    Events,
    FromWorker,
    Limits,
    PartDone,
    Ready,
    Share,
    ToWorker,
    UploadBegun,
    WorkerSettings,
)
from async_s3_upload.transfer.rows import rows_of
from async_s3_upload.transfer.stores.retry import RetryPolicy
from async_s3_upload.transfer.stores.store import ObjectStore
from async_s3_upload.transfer.workers.hand import Hand
from async_s3_upload.transfer.workers.pool import WorkerHandle, WorkerPool
from async_s3_upload.transfer.workers.worker import FLUSH_S

RETRY = RetryPolicy(attempts=3, base_s=0.1, cap_s=1.0)


class LocalWorker(WorkerHandle):
    """An engine whose events reach the coordinator as late as those of a process do."""

    def __init__(self, pool: "LocalPool", store: ObjectStore, settings: WorkerSettings) -> None:
        Hand.__init__(self)
        self._pool = pool
        self._events: list[Event] = []
        self._engine = Engine(store, settings.limits, self._emit, RETRY, completes=settings.completes)
        self._task = asyncio.create_task(self._engine.run())
        self._leaving: asyncio.Task[None] | None = None
        self._cutting: list[asyncio.Task[None]] = []
        self._alive = True

    def tell(self, message: ToWorker | LendingToWorker) -> None:
        """Take it as late as a process does, and as it comes through a pipe."""
        if self._alive:
            asyncio.get_running_loop().call_soon(self._take, pickle.loads(pickle.dumps(message)))

    def _take(self, message: ToWorker | LendingToWorker) -> None:
        if not self._alive:
            return
        if isinstance(message, Share):
            for item in message.items:
                self._engine.submit(message.bucket, item, message.settings)
        elif isinstance(message, GiveBack):
            self._flush()
            self._say(self._engine.give_back())
        elif isinstance(message, PartShare):
            self._engine.borrow(message)
        elif isinstance(message, PartsBack):
            self._engine.parts_back(message)
        elif isinstance(message, CutOff):
            self._cutting.append(asyncio.create_task(self._cut_off(message)))

    async def _cut_off(self, message: CutOff) -> None:
        await self._engine.cut_off(range(message.first, message.end))
        self._flush()
        self._say(CutOffDone(message.first))

    def stop(self, grace_s: float) -> None:
        if self._leaving is None:
            self._leaving = asyncio.create_task(self._leave(grace_s))

    def die(self) -> None:
        """End like a process that is killed: what was not told is lost."""
        if self._alive:
            self._alive = False
            self._events.clear()
            for task in (self._task, *self._cutting):
                task.cancel()
            self._pool.messages.put_nowait((self, None))

    def kill(self) -> None:
        self.die()

    def release(self) -> None:
        self.die()

    async def _leave(self, grace_s: float) -> None:
        self._engine.drop_queued()
        await asyncio.wait([self._task], timeout=grace_s)
        self._flush()
        self.die()

    def _emit(self, event: Event) -> None:
        if not self._events:
            asyncio.get_running_loop().call_later(FLUSH_S, self._flush)
        self._events.append(event)
        if isinstance(event, (PartDone, UploadBegun, PartsQueued)):
            self._flush()

    def _flush(self) -> None:
        if self._events:
            events, self._events = self._events, []
            self._say(Events(rows_of(events)))

    def _say(self, message: FromWorker | LendingFromWorker) -> None:
        if self._alive:
            self._pool.messages.put_nowait((self, pickle.loads(pickle.dumps(message))))


class LocalPool(WorkerPool):
    """Starts local workers instead of processes."""

    def __init__(self, stores: Sequence[ObjectStore], settings: WorkerSettings) -> None:
        super().__init__(settings)
        self._stores = itertools.cycle(stores)

    def grow_to(self, count: int) -> None:
        while len(self.workers) < count:
            worker = LocalWorker(self, next(self._stores), self.settings)
            self.workers.append(worker)
            self.messages.put_nowait((worker, Ready()))

    def remove(self, worker: WorkerHandle) -> None:
        assert isinstance(worker, LocalWorker)
        self.workers.remove(worker)
        worker.release()

    def kill_all(self) -> None:
        for worker in list(self.workers):
            self.remove(worker)

    def kill_one(self) -> None:
        """Let the worker that has the most in hand die."""
        local = [worker for worker in self.workers if isinstance(worker, LocalWorker)]
        if local:
            max(local, key=lambda worker: len(worker.outstanding)).die()


def local_coordinator(
    *stores: ObjectStore, limits: Limits, cores: int = 2, completes_with: ObjectStore | None = None
) -> tuple[Coordinator, LocalPool]:
    """Return a coordinator of local workers, each with the next of the stores, and its pool.

    With a store in ``completes_with`` the coordinator completes uploads, through that one.
    """
    settings = WorkerSettings(AwsAccess(), limits, log_level=0, completes="coordinator" if completes_with else "worker")
    completer = (
        Completer(limits, open_store=lambda: nullcontext(completes_with), retry=RETRY) if completes_with else None
    )
    pool = LocalPool(stores, settings)
    return Coordinator(pool, cores, completer=completer), pool
