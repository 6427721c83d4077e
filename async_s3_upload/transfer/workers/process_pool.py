"""The worker processes of this machine: forked, told what to do through a pipe, replaced when they die."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from async_s3_upload.errors import WorkersError
from async_s3_upload.transfer.lending import LendingToWorker
from async_s3_upload.transfer.messages import ToWorker, WorkerSettings
from async_s3_upload.transfer.workers import nursery
from async_s3_upload.transfer.workers.pool import WorkerHandle, WorkerPool

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

log = logging.getLogger(__name__)

KILLED_WITHIN_S = 2.0
"""A process that waits for a hanging file system does not even die of SIGKILL: it is left alone then."""


class ProcessHandle(WorkerHandle):
    """A process of this machine, and the pipe to it."""

    def __init__(self, process: nursery.Process, pipe: Connection[Any, Any]) -> None:
        super().__init__()
        self.process = process
        self.pipe = pipe
        # a thread sends: the loop must never wait for a full pipe while the worker waits for it
        self._outbox: queue.SimpleQueue[ToWorker | LendingToWorker | None] = queue.SimpleQueue()
        self._sender = threading.Thread(target=self._send_all, daemon=True)
        self._sender.start()

    def tell(self, message: ToWorker | LendingToWorker) -> None:
        """Send a message."""
        self._outbox.put(message)

    def kill(self) -> None:
        """End the process at once; ``messages`` then says that it is gone."""
        self.process.kill()

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


class ProcessPool(WorkerPool):
    """Worker processes that this one starts."""

    def __init__(self, settings: WorkerSettings, waiting: nursery.Nursery | None = None) -> None:
        """Take those who are ``waiting`` first."""
        super().__init__(settings)
        self._nursery = waiting

    def grow_to(self, count: int) -> None:
        """Start workers until there are ``count``.

        Raises:
            WorkersError: the system starts no more processes.
        """
        while len(self.workers) < count:
            self._start()

    def _start(self) -> None:
        born = self._nursery.take(self.settings) if self._nursery is not None else None
        if born is None:
            try:
                born = nursery.start(self.settings)
            except (OSError, EOFError) as error:
                reason = getattr(error, "strerror", None) or error
                raise WorkersError(f"no worker process can be started: {reason}") from error
        process, ours = born
        worker = ProcessHandle(process, ours)
        self.workers.append(worker)
        asyncio.get_running_loop().add_reader(ours.fileno(), self._receive, worker)

    def _receive(self, worker: ProcessHandle) -> bool:
        """Take one message, as the loop calls again as long as there are more; returns whether more may come."""
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(worker.pipe.fileno())
            self.messages.put_nowait((worker, None))
            return False
        self.received(worker, message)
        return True

    def remove(self, worker: WorkerHandle) -> None:
        """Forget a worker whose pipe is closed."""
        assert isinstance(worker, ProcessHandle)
        self.workers.remove(worker)
        self.activity.gone(worker)
        if worker.process.is_alive():
            worker.process.kill()
        worker.release()

    def kill_all(self) -> None:
        """End all workers at once; what they said before is in ``messages``."""
        loop = asyncio.get_running_loop()
        ours = [worker for worker in self.workers if isinstance(worker, ProcessHandle)]
        for worker in ours:
            worker.process.kill()
        for worker in ours:
            with suppress(OSError):
                while worker.pipe.poll() and self._receive(worker):
                    pass
            loop.remove_reader(worker.pipe.fileno())
            self.remove(worker)
