"""Both kinds of pools as the contract's tests open them, and what their workers say."""

import asyncio
import os
import random
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from async_s3_upload.runs.scan import scan
from async_s3_upload.timetable import Timetable
from async_s3_upload.transfer.cluster.address import SchedulerAddress
from async_s3_upload.transfer.cluster.handle import DaskHandle
from async_s3_upload.transfer.cluster.pool import open_pool
from async_s3_upload.transfer.messages import AwsAccess, Event, Events, Limits, Ready, Share, WorkerSettings
from async_s3_upload.transfer.plan import Job, plan_job
from async_s3_upload.transfer.rows import event_of
from async_s3_upload.transfer.workers.pool import Said, WorkerHandle, WorkerPool
from async_s3_upload.transfer.workers.process_pool import ProcessHandle, ProcessPool
from tests.support.cluster import DaskCluster, DaskWorker
from tests.support.s3server import REGION, S3Server

Kind = TypeVar("Kind", bound=Said)
DEADLINE_S = 60.0
WORKERS = 2
PATIENCE_S = 1.0
"""For so long messages are waited for at a time."""


class Ground(Protocol):
    """Where workers run."""

    name: str

    def open(self, settings: WorkerSettings) -> AbstractAsyncContextManager[WorkerPool]:
        """Open a pool for the block."""

    def kill_9(self, worker: WorkerHandle) -> None:
        """Kill the process of a worker."""


class ThisMachine:
    """Processes of this machine."""

    name = "processes"

    @asynccontextmanager
    async def open(self, settings: WorkerSettings) -> AsyncIterator[WorkerPool]:
        pool = ProcessPool(settings)
        try:
            yield pool
        finally:
            pool.kill_all()

    def kill_9(self, worker: WorkerHandle) -> None:
        assert isinstance(worker, ProcessHandle)
        assert worker.process.pid is not None
        os.kill(worker.process.pid, signal.SIGKILL)


class Cluster:
    """Workers of Dask, as many as the contract needs: those that were killed are replaced before the next test."""

    name = "cluster"

    def __init__(self, dask: DaskCluster) -> None:
        self._dask = dask
        self._alive: list[DaskWorker] = []

    @asynccontextmanager
    async def open(self, settings: WorkerSettings) -> AsyncIterator[WorkerPool]:
        names = [f"worker-{secrets.token_hex(3)}" for _ in range(WORKERS - len(self._alive))]
        self._alive += await asyncio.to_thread(self._dask.add_workers, *names)
        async with open_pool(SchedulerAddress.parse(self._dask.address), settings) as pool:
            try:
                yield pool
            finally:
                pool.kill_all()

    def kill_9(self, worker: WorkerHandle) -> None:
        assert isinstance(worker, DaskHandle)
        (killed,) = [found for found in self._alive if found.address == worker.address]
        self._alive.remove(killed)
        killed.kill()


def settings_for(
    server: S3Server, limits: Limits | None = None, bandwidth: Timetable | None = None, profile: str | None = None
) -> WorkerSettings:
    """Return what workers are told; the keys stay here where they are on other machines, which have their own."""
    access = AwsAccess(profile, server.access_key, server.secret_key, endpoint_url=server.endpoint, region=REGION)
    if profile is not None:
        access = AwsAccess(profile, endpoint_url=server.endpoint, region=REGION)
    return WorkerSettings(access, limits or Limits(concurrency=2, attempts=3), 30, bandwidth)


def job_of(folder: Path, bucket: str, sizes: Sequence[int], prefix: str = "run") -> Job:
    """Make files of these sizes in the folder, and plan to send them."""
    names = {f"{number:04d}.bcl": size for number, size in enumerate(sizes)}
    for name, size in names.items():
        (folder / name).write_bytes(random.Random(name).randbytes(size))
    files = [file for file in scan(str(folder)).files if file.name in names]
    return plan_job(bucket, prefix, str(folder), files)


def share_of(job: Job, first: int = 0, end: int | None = None, base: int = 0) -> Share:
    """Return a share with the files of the job from ``first`` up to ``end``."""
    return Share(job.bucket, tuple(job.items[first:end]), base=base)


class Crew:
    """A pool whose workers are there, and all they said so far."""

    def __init__(self, pool: WorkerPool) -> None:
        self.pool = pool
        self.said: list[tuple[WorkerHandle, Said | None]] = []

    async def begin(self, job: Job) -> list[WorkerHandle]:
        """Have workers, each of which has said that it is ready; returns them."""
        known = len(self.said)
        await self.pool.prepare(job)
        self.pool.grow_to(WORKERS)
        await self.until(lambda: len(self.ready(known)) == WORKERS)
        return list(self.pool.workers)

    def ready(self, after: int = 0) -> set[WorkerHandle]:
        """Return the workers that said so, later than ``after`` messages."""
        return {worker for worker, message in self.said[after:] if isinstance(message, Ready)}

    async def until(self, there: Callable[[], object]) -> None:
        """Take messages until something is there."""
        async with asyncio.timeout(DEADLINE_S):
            while not there():
                self.said += await self.pool.next_messages(PATIENCE_S)

    def of(self, worker: WorkerHandle) -> list[Said | None]:
        """Return what one worker said."""
        return [message for sender, message in self.said if sender is worker]

    def events(self, worker: WorkerHandle | None = None) -> list[Event]:
        """Return the events of one worker, or of all."""
        return events_in([message for sender, message in self.said if worker in (sender, None)])

    def answers(self, worker: WorkerHandle, kind: type[Kind]) -> list[Kind]:
        """Return the messages of the kind that one worker sent."""
        return [message for message in self.of(worker) if isinstance(message, kind)]

    async def have(self, worker: WorkerHandle, kind: type[Kind], count: int) -> list[Kind]:
        """Return them when there are so many."""
        await self.until(lambda: len(self.answers(worker, kind)) >= count)
        return self.answers(worker, kind)


def events_in(messages: Sequence[Said | None]) -> list[Event]:
    """Return the events of messages."""
    return [event_of(row) for message in messages if isinstance(message, Events) for row in message.rows]
