"""The worker processes: forked from a fresh server, told what to do through a pipe, replaced when they die."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from async_s3_upload.errors import WorkersError
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
from async_s3_upload.transfer.workers import nursery
from async_s3_upload.transfer.workers.bandwidth import Lender
from async_s3_upload.transfer.workers.hand import Hand

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

log = logging.getLogger(__name__)

KILLED_WITHIN_S = 2.0
"""A process that waits for a hanging file system does not even die of SIGKILL: it is left alone then."""


class WorkerHandle(Hand):
    """The coordinator's side of one worker."""

    def __init__(self, process: nursery.Process, pipe: Connection[Any, Any]) -> None:
        super().__init__()
        self.process = process
        self.pipe = pipe
        # a thread sends: the loop must never wait for a full pipe while the worker waits for it
        self._outbox: queue.SimpleQueue[ToWorker | LendingToWorker | None] = queue.SimpleQueue()
        self._sender = threading.Thread(target=self._send_all, daemon=True)
        self._sender.start()

    def give(self, share: Share) -> None:
        """Hand over a share of the files."""
        self.took(share)
        self.tell(share)

    def tell(self, message: ToWorker | LendingToWorker) -> None:
        """Send a message."""
        self._outbox.put(message)

    def kill(self) -> None:
        """End the process at once; ``messages`` then says that it is gone."""
        self.process.kill()

    def lend(self, grant: BandwidthGrant) -> None:
        """Answer a worker that asked for bandwidth."""
        self.tell(grant)

    def stop(self, grace_s: float) -> None:
        """Ask the worker to leave."""
        self.tell(Stop(grace_s))

    def release(self) -> None:
        """Let go of a worker that is gone."""
        self._outbox.put(None)
        self.process.join(KILLED_WITHIN_S)
        if self.process.exitcode is None:
            log.error("worker process %d cannot be killed, a file system may hang", self.process.pid)
            return
        self._sender.join()
        self.pipe.close()
        self.process.close()

    def _send_all(self) -> None:
        while (message := self._outbox.get()) is not None:
            try:
                self.pipe.send(message)
            except OSError:  # it died; the loop hears of it by itself
                return


Message = tuple[WorkerHandle, FromWorker | LendingFromWorker | None]


class WorkerPool:
    """Workers of one command.

    ``messages`` yields (worker, message); a message of None: the worker is gone. None alone comes from ``wake``.
    """

    def __init__(self, settings: WorkerSettings, waiting: nursery.Nursery | None = None) -> None:
        """Take those who are ``waiting`` first."""
        self._settings = settings
        self._nursery = waiting
        self._lender = Lender(settings.bandwidth, WorkerHandle.lend) if settings.bandwidth is not None else None
        self.activity = Activity()
        self.workers: list[WorkerHandle] = []
        self.messages: asyncio.Queue[Message | None] = asyncio.Queue()

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
            log.warning("%d worker processes did not leave in time and were killed", len(self.workers))
        finally:
            self.kill_all()
            while not self.messages.empty():  # they came in the last moment
                message = self.messages.get_nowait()
                if message is not None:
                    said.append(message)
        return [(worker, message) for worker, message in said if isinstance(message, Events)]

    def grow_to(self, count: int) -> None:
        """Start workers until there are ``count``.

        Raises:
            WorkersError: the system starts no more processes.
        """
        while len(self.workers) < count:
            self._start()

    def _start(self) -> None:
        born = self._nursery.take(self._settings) if self._nursery is not None else None
        if born is None:
            try:
                born = nursery.start(self._settings)
            except (OSError, EOFError) as error:
                reason = getattr(error, "strerror", None) or error
                raise WorkersError(f"no worker process can be started: {reason}") from error
        process, ours = born
        worker = WorkerHandle(process, ours)
        self.workers.append(worker)
        asyncio.get_running_loop().add_reader(ours.fileno(), self._receive, worker)

    def _receive(self, worker: WorkerHandle) -> bool:
        """Take one message, as the loop calls again as long as there are more; returns whether more may come."""
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(worker.pipe.fileno())
            self.messages.put_nowait((worker, None))
            return False
        if isinstance(message, BandwidthWanted) and self._lender is not None:
            self._lender.asked(worker, message)  # at once, also while the coordinator only waits for the end
        elif isinstance(message, Counts):
            self.activity.told(worker, message)
        else:
            self.messages.put_nowait((worker, message))
        return True

    def remove(self, worker: WorkerHandle) -> None:
        """Forget a worker whose pipe is closed."""
        self.workers.remove(worker)
        self.activity.gone(worker)
        if worker.process.is_alive():
            worker.process.kill()
        worker.release()

    def kill_all(self) -> None:
        """End all workers at once; what they said before is in ``messages``."""
        loop = asyncio.get_running_loop()
        for worker in self.workers:
            worker.process.kill()
        for worker in list(self.workers):
            with suppress(OSError):
                while worker.pipe.poll() and self._receive(worker):
                    pass
            loop.remove_reader(worker.pipe.fileno())
            self.remove(worker)
