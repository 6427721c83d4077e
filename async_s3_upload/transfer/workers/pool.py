"""The contract of all pools: workers that are given messages and that say what they did, wherever they run."""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

from async_s3_upload.transfer.activity import Activity, Counts
from async_s3_upload.transfer.lending import LendingFromWorker, LendingToWorker
from async_s3_upload.transfer.messages import (
    BandwidthGrant,
    BandwidthWanted,
    Events,
    FromWorker,
    Share,
    Stop,
    ToWorker,
    WorkerSettings,
)
from async_s3_upload.transfer.plan import Job
from async_s3_upload.transfer.slowing import Halved, SlowDown
from async_s3_upload.transfer.workers.bandwidth import Lender
from async_s3_upload.transfer.workers.congestion import Congestion
from async_s3_upload.transfer.workers.hand import Hand

log = logging.getLogger(__name__)


class WorkerHandle(Hand, ABC):
    """The coordinator's side of one worker."""

    def give(self, share: Share) -> None:
        """Hand over a share of the files."""
        self.took(share)
        self.tell(share)

    @abstractmethod
    def tell(self, message: ToWorker | LendingToWorker) -> None:
        """Send a message; it never waits. Messages arrive in their order."""

    @abstractmethod
    def kill(self) -> None:
        """End the worker at once; ``messages`` then says that it is gone."""

    def lend(self, grant: BandwidthGrant) -> None:
        """Answer a worker that asked for bandwidth."""
        self.tell(grant)

    def stop(self, grace_s: float) -> None:
        """Ask the worker to leave."""
        self.tell(Stop(grace_s))


Said = FromWorker | LendingFromWorker
Message = tuple[WorkerHandle, Said | None]


class WorkerPool(ABC):
    """Workers of one command.

    ``messages`` yields (worker, message); a message of None: the worker is gone. None alone comes from ``wake``.
    """

    kind = "worker processes"
    """What its workers are, for messages to people."""
    comes_and_goes = False
    """Whether workers leave and join without anything being wrong: then it is not this pool that replaces them."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.settings = settings
        self._lender = Lender(settings.bandwidth, WorkerHandle.lend) if settings.bandwidth is not None else None
        self.activity = Activity()
        self.workers: list[WorkerHandle] = []
        self.messages: asyncio.Queue[Message | None] = asyncio.Queue()
        self._congestion: Congestion[WorkerHandle | None] = Congestion()
        self.on_slow_down: Callable[[], None] = lambda: None
        """Called when S3 refused so much that who makes requests beside the workers has to make fewer, too."""
        self.lost: str | None = None
        """Why there will be no workers any more, although nothing is wrong with the work; None while there may be."""

    def wake(self) -> None:
        """Let who waits for messages look around."""
        self.messages.put_nowait(None)

    async def next_messages(self, patience_s: float) -> list[Message]:
        """Return all messages that are there; wait for the first, for ``wake``, or for ``patience_s`` seconds."""
        found = []
        if self.messages.empty():
            try:
                async with asyncio.timeout(max(0.0, patience_s)):
                    found.append(await self.messages.get())
            except TimeoutError:
                return []
        while not self.messages.empty():
            found.append(self.messages.get_nowait())
        return [message for message in found if message is not None]

    def received(
        self, worker: WorkerHandle, message: FromWorker | LendingFromWorker | BandwidthWanted | Counts
    ) -> None:
        """Take what a worker said."""
        if isinstance(message, BandwidthWanted):
            if self._lender is not None:
                self._lender.asked(worker, message)  # at once, also while the coordinator only waits for the end
        elif isinstance(message, Halved):
            self.refused(worker)
        elif isinstance(message, Counts):
            self.activity.told(worker, message)
        else:
            self.messages.put_nowait((worker, message))

    def refused(self, who: WorkerHandle | None) -> None:
        """Let the others make fewer requests, where S3 refused those of a worker, or of the coordinator (None)."""
        ready = [worker for worker in self.workers if worker.ready]
        working = sum(not worker.has_nothing() for worker in ready)
        for other in self._congestion.halved(who, [*ready, None], working, time.monotonic()):
            if other is None:
                self.on_slow_down()
            else:
                other.tell(SlowDown())

    async def close(self, grace_s: float, limit_s: float) -> list[tuple[WorkerHandle, Events]]:
        """End all workers within ``limit_s`` seconds, softly for ``grace_s``; return what they reported meanwhile."""
        said: list[Message] = []
        for worker in self.workers:
            worker.stop(grace_s)
        try:
            async with asyncio.timeout(limit_s):
                while self.workers:
                    message = await self.messages.get()
                    if message is not None and message[1] is None:
                        self.remove(message[0])
                    elif message is not None:
                        said.append(message)
        except TimeoutError:
            log.warning("%d %s did not leave in time and were killed", len(self.workers), self.kind)
        finally:
            self.kill_all()
            while not self.messages.empty():  # they came in the last moment
                message = self.messages.get_nowait()
                if message is not None:
                    said.append(message)
        return [(worker, message) for worker, message in said if isinstance(message, Events)]

    async def prepare(self, job: Job) -> None:
        """Make sure that the workers can do something for a job that comes next.

        Raises:
            WorkersError: none of them can.
        """
        return

    def epitaph(self, worker: WorkerHandle) -> str:
        """Return the sentence that tells people of a worker that is gone, with what it had in hand."""
        return f"a worker process died with {len(worker.outstanding)} files in hand, they are tried again one by one"

    @abstractmethod
    def grow_to(self, count: int) -> None:
        """Start workers until there are ``count``, where it is the pool that starts them.

        Raises:
            WorkersError: the system starts no more processes.
        """

    @abstractmethod
    def remove(self, worker: WorkerHandle) -> None:
        """Forget a worker that is gone."""

    @abstractmethod
    def kill_all(self) -> None:
        """End all workers at once; what they said before is in ``messages``."""
