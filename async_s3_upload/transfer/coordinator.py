"""Hands shares of a run's files to the workers on demand and passes on what they report."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from async_s3_upload.errors import AwsAccessError, WorkersError
from async_s3_upload.transfer.doom import DoomWatch
from async_s3_upload.transfer.messages import (
    BytesSent,
    CannotStart,
    Event,
    Events,
    FileDone,
    FileFailed,
    FileItem,
    FromWorker,
    LogLine,
    Ready,
    Share,
    WorkerSettings,
)
from async_s3_upload.transfer.plan import Job, worker_count
from async_s3_upload.transfer.pool import WorkerHandle, WorkerPool

log = logging.getLogger(__name__)

SHARE_MAX = 64
"""Most files of one share: small enough for an even end, large enough to be cheap."""
STOP_GRACE_S = 3.0
STOP_LIMIT_S = 9.0
"""After so many seconds from a request to stop, workers that are still there are killed."""
DEATHS_PER_FILE = 3
IDLE_DEATHS = 4
"""So many workers that died in a row without one file done: something is wrong with the machine or set-up."""

OnEvent = Callable[[FileDone | FileFailed | BytesSent], None]


@dataclass(frozen=True, slots=True)
class Sent:
    """How a job ended: ``doom`` is the reason nothing more can go to that bucket, ``stopped`` that it was cut short."""

    doom: str | None
    stopped: bool


class Coordinator:
    """Sends jobs, one after the other, with workers that live as long as the coordinator.

    An async context manager; the workers are gone when it closes.
    """

    def __init__(self, settings: WorkerSettings, cores: int) -> None:
        self._settings = settings
        self._cores = cores
        self._pool = WorkerPool(settings)
        self._stopping = asyncio.Event()
        self._deaths: Counter[int] = Counter()
        self._idle_deaths = 0
        self._queue: deque[FileItem] = deque()

    async def __aenter__(self) -> Self:
        """Nothing is started before there is work."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers, softly unless an error came."""
        events = await self._close(grace_s=0.0 if error else STOP_GRACE_S, limit_s=1.0 if error else STOP_LIMIT_S)
        for event in events:
            if isinstance(event, LogLine):
                _write(event)

    def stop(self) -> None:
        """Stop soon: requests in flight end for a few seconds, ``send`` then returns."""
        self._stopping.set()

    async def send(self, job: Job, on_event: OnEvent, *, some_succeeded: bool = False) -> Sent:
        """Send the files of ``job``; each is reported once through ``on_event``, unless stopped or doomed before.

        Raises:
            AwsAccessError: the workers find no credentials.
            WorkersError: workers die again and again without getting anything done.
        """
        watch = DoomWatch(job.bucket, some_succeeded=some_succeeded)
        self._queue = deque(job.items)
        self._deaths.clear()
        left = len(job.items)
        if left and not self._stopping.is_set():
            self._pool.grow_to(worker_count(left, job.total_bytes, self._cores))
        while left and watch.reason is None and not self._stopping.is_set():
            self._distribute(job.bucket)
            for event in await self._next_events():
                left -= self._pass_on(event, on_event, watch)
        if left:
            await self._drain(on_event, watch)
        else:
            watch.at_end()
        return Sent(watch.reason, self._stopping.is_set())

    def _pass_on(self, event: Event, on_event: OnEvent, watch: DoomWatch) -> int:
        """Report one event; returns the number of files it settles."""
        if isinstance(event, LogLine):
            _write(event)
            return 0
        on_event(event)
        if isinstance(event, BytesSent):
            return 0
        watch.note(event)
        return 1

    def _distribute(self, bucket: str) -> None:
        """Give each worker that can take more a share, biggest files first."""
        limits = self._settings.limits
        for worker in sorted(self._pool.workers, key=lambda worker: worker.outstanding_bytes):
            if not worker.ready:
                continue
            room = 8 * limits.concurrency - len(worker.outstanding)
            fair = -(-len(self._queue) // (2 * len(self._pool.workers)))
            items: list[FileItem] = []
            held = worker.outstanding_bytes
            while (
                self._queue
                and len(items) < min(room, fair, SHARE_MAX)
                and (held < 2 * limits.memory_bytes or not (items or worker.outstanding))
            ):
                items.append(self._queue.popleft())
                held += items[-1].size
            if items:
                worker.give(Share(bucket, tuple(items)))

    async def _next_events(self) -> list[Event]:
        """Wait for the next message, or for the request to stop."""
        stop = asyncio.ensure_future(self._stopping.wait())
        message = asyncio.ensure_future(self._pool.messages.get())
        try:
            await asyncio.wait((stop, message), return_when=asyncio.FIRST_COMPLETED)
            return self._understand(*message.result()) if message.done() else []
        finally:
            stop.cancel()
            message.cancel()

    def _understand(self, worker: WorkerHandle, message: FromWorker | None) -> list[Event]:
        if message is None:
            return self._after_death(worker)
        if isinstance(message, Ready):
            worker.ready = True
            return []
        if isinstance(message, CannotStart):
            raise AwsAccessError(message.error)
        events: list[Event] = []
        for event in message.events:
            if isinstance(event, (FileDone, FileFailed)):
                self._idle_deaths = 0
                if worker.settle(event.number) is None:
                    continue
            events.append(event)
        return events

    def _after_death(self, worker: WorkerHandle) -> list[Event]:
        """Replace a dead worker; what it held goes back to the front, unless it died of it too often."""
        lost = list(worker.outstanding.values())
        self._pool.remove(worker)
        if self._stopping.is_set():
            return []
        self._idle_deaths += 1
        log.error("a worker process died; %d files it had in hand are tried again", len(lost))
        if self._idle_deaths >= IDLE_DEATHS:
            raise WorkersError(
                f"{IDLE_DEATHS} worker processes in a row died without finishing a file: "
                "look for a lack of memory (dmesg) or a broken installation"
            )
        failed: list[Event] = []
        for item in reversed(lost):
            self._deaths[item.number] += 1
            if self._deaths[item.number] >= DEATHS_PER_FILE:
                text = f"the worker process died {DEATHS_PER_FILE} times with this file in hand"
                failed.append(FileFailed(item.number, "file", text))
            else:
                self._queue.appendleft(item)
        self._pool.grow_to(len(self._pool.workers) + 1)
        return failed

    async def _drain(self, on_event: OnEvent, watch: DoomWatch) -> None:
        """End the workers, and still take what they report meanwhile."""
        self._queue.clear()
        grace = STOP_GRACE_S if self._stopping.is_set() else 0.0
        for event in await self._close(grace_s=grace, limit_s=STOP_LIMIT_S):
            self._pass_on(event, on_event, watch)

    async def _close(self, *, grace_s: float, limit_s: float) -> list[Event]:
        events: list[Event] = []
        for worker in self._pool.workers:
            worker.stop(grace_s)
        try:
            async with asyncio.timeout(limit_s):
                while self._pool.workers:
                    worker, message = await self._pool.messages.get()
                    if message is None:
                        self._pool.remove(worker)
                    elif isinstance(message, Events):
                        events += self._understand(worker, message)
        except TimeoutError:
            log.warning("%d worker processes did not leave in time and were killed", len(self._pool.workers))
        finally:
            self._pool.kill_all()
            while not self._pool.messages.empty():  # they came in the last moment
                worker, message = self._pool.messages.get_nowait()
                if isinstance(message, Events):
                    events += self._understand(worker, message)
        return events


def _write(line: LogLine) -> None:
    logging.getLogger(line.logger).log(line.level, "%s", line.text)
