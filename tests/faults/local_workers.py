"""Workers inside the test's process: engines over any store, which can die, behind the real coordinator."""

import asyncio
from collections.abc import Callable

from async_s3_upload.transfer.coordinator import Coordinator
from async_s3_upload.transfer.engine import Engine
from async_s3_upload.transfer.messages import (
    AwsAccess,
    Event,
    Events,
    FileItem,
    Limits,
    PartDone,
    Ready,
    Share,
    UploadBegun,
    WorkerSettings,
)
from async_s3_upload.transfer.pool import WorkerHandle, WorkerPool
from async_s3_upload.transfer.retry import RetryPolicy
from async_s3_upload.transfer.store import ObjectStore
from async_s3_upload.transfer.worker import FLUSH_S

RETRY = RetryPolicy(attempts=3, base_s=0.1, cap_s=1.0)


class LocalWorker(WorkerHandle):
    """An engine whose events reach the coordinator as late as those of a process do."""

    def __init__(self, pool: "LocalPool", store: ObjectStore, limits: Limits) -> None:
        self.outstanding: dict[int, FileItem] = {}
        self.outstanding_bytes = 0
        self.ready = False
        self.suspect = None
        self._pool = pool
        self._events: list[Event] = []
        self._engine = Engine(store, limits, self._emit, RETRY)
        self._task = asyncio.create_task(self._engine.run())
        self._leaving: asyncio.Task[None] | None = None
        self._alive = True

    def give(self, share: Share) -> None:
        for item in share.items:
            self.outstanding[item.number] = item
            self.outstanding_bytes += item.size
            if self._alive:
                self._engine.submit(share.bucket, item, share.settings)

    def stop(self, grace_s: float) -> None:
        if self._leaving is None:
            self._leaving = asyncio.create_task(self._leave(grace_s))

    def die(self) -> None:
        """End like a process that is killed: what was not told is lost."""
        if self._alive:
            self._alive = False
            self._events.clear()
            self._task.cancel()
            self._pool.messages.put_nowait((self, None))

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
        if isinstance(event, (PartDone, UploadBegun)):
            self._flush()

    def _flush(self) -> None:
        if self._alive and self._events:
            events, self._events = tuple(self._events), []
            self._pool.messages.put_nowait((self, Events(events)))


class LocalPool(WorkerPool):
    """Starts local workers instead of processes."""

    def __init__(self, store: ObjectStore, settings: WorkerSettings) -> None:
        super().__init__(settings)
        self._store = store

    def _start(self) -> None:
        worker = LocalWorker(self, self._store, self._settings.limits)
        self.workers.append(worker)
        self.messages.put_nowait((worker, Ready()))

    def remove(self, worker: WorkerHandle) -> None:
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


def local_coordinator(store: ObjectStore, limits: Limits) -> tuple[Coordinator, Callable[[], None]]:
    """Return a coordinator of local workers, and a function that kills one of them."""
    settings = WorkerSettings(AwsAccess(), limits, log_level=0)
    coordinator = Coordinator(settings, cores=2)
    pool = LocalPool(store, settings)
    coordinator._pool = pool
    return coordinator, pool.kill_one
