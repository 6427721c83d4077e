"""Hands shares of a run's files to the workers on demand and passes on what they report."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from async_s3_upload.errors import AwsAccessError, WorkersError
from async_s3_upload.transfer.bandwidth import patience_s
from async_s3_upload.transfer.doom import RIGHT_TO_PUT, RIGHT_TO_READ, DoomWatch
from async_s3_upload.transfer.messages import (
    CannotStart,
    Event,
    Events,
    FailureKind,
    FileDone,
    FileFailed,
    FileItem,
    FromWorker,
    LogLine,
    Note,
    PartDone,
    Ready,
    Share,
    TransferEvent,
    UploadBegun,
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
DEATHS_ALONE = 2
"""A file with which so many workers died that had nothing else in hand fails alone."""
IDLE_DEATHS = 5
"""So many workers that died in a row without one file done: something is wrong with the machine or set-up."""
GIVE_UP_S = 600.0
ANSWERED: Collection[FailureKind] = ("file", "changed", "missing", "different", "unproved")
"""Failures that do not speak against S3: they are no reason to give up."""

OnEvent = Callable[[TransferEvent], None]
Refresh = Callable[[FileItem], FileItem]


def _as_it_is(item: FileItem) -> FileItem:
    return item


@dataclass(frozen=True, slots=True)
class Sent:
    """How a job ended.

    ``doom`` is the reason why nothing more can go to that bucket; ``gave_up`` why the whole command should
    stop although it may go on later; ``stopped`` that it was asked to stop.
    """

    doom: str | None = None
    gave_up: str | None = None
    stopped: bool = False


class Coordinator:
    """Sends jobs, one after the other, with workers that live as long as the coordinator.

    An async context manager; the workers are gone when it closes.
    """

    def __init__(self, settings: WorkerSettings, cores: int, give_up_s: float = GIVE_UP_S) -> None:
        """Give up when nothing at all succeeds for ``give_up_s`` seconds, and the time that a low bandwidth takes."""
        self._settings = settings
        self._cores = cores
        self._give_up_s = give_up_s + patience_s(settings, cores)
        self._pool = WorkerPool(settings)
        self._stopping = asyncio.Event()
        self._queue: deque[FileItem] = deque()
        self._suspects: deque[FileItem] = deque()
        self._deaths: Counter[int] = Counter()
        self._idle_deaths = 0
        self._succeeded_at = 0.0
        self._refresh: Refresh = _as_it_is

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

    async def stop_requested(self) -> None:
        """Return when ``stop`` was called."""
        await self._stopping.wait()

    async def send(
        self, job: Job, on_event: OnEvent, refresh: Refresh = _as_it_is, *, some_succeeded: bool = False
    ) -> Sent:
        """Send the files of ``job``; each is reported once through ``on_event``, unless it ends before.

        ``refresh`` gives the item anew for a file that has to be sent again because its worker died.

        Raises:
            AwsAccessError: the workers find no credentials.
            WorkersError: workers die again and again without getting anything done.
        """
        self._refresh = refresh
        only_reads = bool(job.items) and job.items[0].mode == "compare"
        right = RIGHT_TO_READ if only_reads else RIGHT_TO_PUT
        watch = DoomWatch(job.bucket, some_succeeded=some_succeeded, right=right)
        self._queue = deque(job.items)
        self._suspects.clear()
        self._deaths.clear()
        self._succeeded_at = time.monotonic()
        left = len(job.items)
        gave_up = None
        if left and not self._stopping.is_set():
            self._pool.grow_to(worker_count(left, job.total_bytes, self._cores))
        while left and watch.reason is None and not self._stopping.is_set():
            self._distribute(job)
            for event in await self._next_events():
                left -= self._pass_on(event, on_event, watch)
            if time.monotonic() - self._succeeded_at >= self._give_up_s:
                gave_up = f"nothing succeeded for {self._give_up_s / 60:.3g} minutes"
                break
        if left:
            await self._drain(on_event, watch)
        else:
            watch.at_end()
        return Sent(watch.reason, gave_up, self._stopping.is_set())

    def _pass_on(self, event: Event, on_event: OnEvent, watch: DoomWatch) -> int:
        """Report one event; returns the number of files it settles."""
        if isinstance(event, LogLine):
            _write(event)
            return 0
        on_event(event)
        if isinstance(event, (FileDone, PartDone, UploadBegun)) or (
            isinstance(event, FileFailed) and event.kind in ANSWERED
        ):
            self._succeeded_at = time.monotonic()
        if not isinstance(event, (FileDone, FileFailed)):
            return 0
        watch.note(event)
        return 1

    def _distribute(self, job: Job) -> None:
        """Give each worker that can take more a share, biggest files first.

        A file with which a worker died is tried alone, by a worker that has nothing else in hand.
        """
        workers = [worker for worker in self._pool.workers if worker.ready and worker.suspect is None]
        if self._suspects and workers:
            alone = min(workers, key=lambda worker: len(worker.outstanding))
            workers.remove(alone)
            if not alone.outstanding:
                item = self._suspects.popleft()
                alone.suspect = item.number
                alone.give(Share(job.bucket, (item,), job.settings))
        for worker in sorted(workers, key=lambda worker: worker.outstanding_bytes):
            items = self._take(worker)
            if items:
                worker.give(Share(job.bucket, tuple(items), job.settings))

    def _take(self, worker: WorkerHandle) -> list[FileItem]:
        limits = self._settings.limits
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
        return items

    async def _next_events(self) -> list[Event]:
        """Wait for the next message, for the request to stop, or until it is time to give up."""
        stop = asyncio.ensure_future(self._stopping.wait())
        message = asyncio.ensure_future(self._pool.messages.get())
        patience = max(0.0, self._succeeded_at + self._give_up_s - time.monotonic())
        try:
            await asyncio.wait((stop, message), return_when=asyncio.FIRST_COMPLETED, timeout=patience)
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
        """Replace a dead worker; what it held is tried again, each file alone."""
        lost = list(worker.outstanding.values())
        alone = worker.suspect
        self._pool.remove(worker)
        if self._stopping.is_set():
            return []
        self._idle_deaths += 1
        text = f"a worker process died with {len(lost)} files in hand, they are tried again one by one"
        log.error("%s", text)
        if self._idle_deaths >= IDLE_DEATHS:
            raise WorkersError(
                f"{IDLE_DEATHS} worker processes in a row died without finishing a file: "
                "look for a lack of memory (dmesg) or a broken installation"
            )
        events: list[Event] = [Note(text)]
        for item in lost:
            self._deaths[item.number] += item.number == alone
            if self._deaths[item.number] >= DEATHS_ALONE:
                self._idle_deaths = 0
                reason = f"{DEATHS_ALONE} worker processes died with this file alone in hand"
                events.append(FileFailed(item.number, "file", reason))
            else:
                self._suspects.append(self._refresh(item))
        self._pool.grow_to(len(self._pool.workers) + 1)
        return events

    async def _drain(self, on_event: OnEvent, watch: DoomWatch) -> None:
        """End the workers, and still take what they report meanwhile."""
        self._queue.clear()
        self._suspects.clear()
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
