"""The worker processes: started with spawn, told what to do through a pipe, replaced when they die."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import queue
import signal
import threading
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any

from async_s3_upload.errors import WorkersError
from async_s3_upload.transfer.bandwidth import Lender
from async_s3_upload.transfer.messages import (
    BandwidthGrant,
    BandwidthWanted,
    FileItem,
    FromWorker,
    Share,
    Stop,
    ToWorker,
    WorkerSettings,
)
from async_s3_upload.transfer.worker import worker_main

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

log = logging.getLogger(__name__)

KILLED_WITHIN_S = 2.0
"""A process that waits for a hanging file system does not even die of SIGKILL: it is left alone then."""


class WorkerHandle:
    """The coordinator's side of one worker; ``outstanding`` are the files it was given and has not reported."""

    def __init__(self, process: SpawnProcess, pipe: Connection[Any, Any]) -> None:
        self.process = process
        self.pipe = pipe
        self.outstanding: dict[int, FileItem] = {}
        self.outstanding_bytes = 0
        self.ready = False
        self.suspect: int | None = None
        """Number of the file this worker has alone in hand because workers died with it."""
        # a thread sends: the loop must never wait for a full pipe while the worker waits for it
        self._outbox: queue.SimpleQueue[ToWorker | None] = queue.SimpleQueue()
        self._sender = threading.Thread(target=self._send_all, daemon=True)
        self._sender.start()

    def give(self, share: Share) -> None:
        """Hand over a share of the files."""
        for item in share.items:
            self.outstanding[item.number] = item
            self.outstanding_bytes += item.size
        self._outbox.put(share)

    def settle(self, number: int) -> FileItem | None:
        """Note that a file was reported; None if it was not outstanding."""
        item = self.outstanding.pop(number, None)
        if item is not None:
            self.outstanding_bytes -= item.size
        if number == self.suspect:
            self.suspect = None
        return item

    def lend(self, grant: BandwidthGrant) -> None:
        """Answer a worker that asked for bandwidth."""
        self._outbox.put(grant)

    def stop(self, grace_s: float) -> None:
        """Ask the worker to leave."""
        self._outbox.put(Stop(grace_s))

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


class WorkerPool:
    """Workers of one command. ``messages`` yields (worker, message); a message of None: the worker is gone."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._context = multiprocessing.get_context("spawn")
        self._lender = Lender(settings.bandwidth, WorkerHandle.lend) if settings.bandwidth is not None else None
        self.workers: list[WorkerHandle] = []
        self.messages: asyncio.Queue[tuple[WorkerHandle, FromWorker | None]] = asyncio.Queue()

    def grow_to(self, count: int) -> None:
        """Start workers until there are ``count``.

        Raises:
            WorkersError: the system starts no more processes.
        """
        while len(self.workers) < count:
            self._start()

    def _start(self) -> None:
        ours, theirs = self._context.Pipe(duplex=True)
        process = self._context.Process(target=worker_main, args=(theirs, self._settings), daemon=True)
        # it is started with the first process otherwise, and unblocks the signals meanwhile
        resource_tracker.ensure_running()
        # the child inherits the mask: no signal hits it before it has said what to do with it
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        try:
            process.start()
        except OSError as error:
            ours.close()
            raise WorkersError(f"no worker process can be started: {error.strerror or error}") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
        worker = WorkerHandle(process, ours)
        self.workers.append(worker)
        asyncio.get_running_loop().add_reader(ours.fileno(), self._receive, worker)

    def _receive(self, worker: WorkerHandle) -> None:
        try:
            while worker.pipe.poll():
                message = worker.pipe.recv()
                if isinstance(message, BandwidthWanted) and self._lender is not None:
                    self._lender.asked(worker, message)  # at once, also while the coordinator only waits for the end
                else:
                    self.messages.put_nowait((worker, message))
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(worker.pipe.fileno())
            self.messages.put_nowait((worker, None))

    def remove(self, worker: WorkerHandle) -> None:
        """Forget a worker whose pipe is closed."""
        self.workers.remove(worker)
        if worker.process.is_alive():
            worker.process.kill()
        worker.release()

    def kill_all(self) -> None:
        """End all workers at once; what they said before is in ``messages``."""
        loop = asyncio.get_running_loop()
        for worker in self.workers:
            worker.process.kill()
        for worker in list(self.workers):
            self._receive(worker)
            loop.remove_reader(worker.pipe.fileno())
            self.remove(worker)
