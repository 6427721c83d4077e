"""Where worker processes come from.

The first ones are forked from the command itself at its very start, while it is one thread without a loop, a lock or
a connection: what costs most of a start, the imports, is then done once for all, and its memory is shared. They wait
for work. A worker that replaces a dead one, or comes where nothing was forked, is forked from a fresh server process
(Python's ``forkserver``) that has imported the same. See docs/adr/0006.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import multiprocessing
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkProcess, ForkServerProcess
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from async_s3_upload.transfer.messages import WorkerSettings
from async_s3_upload.transfer.workers.worker import worker_main

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    Pipe = Connection[Any, Any]

Process = ForkProcess | ForkServerProcess
Born = tuple[Process, "Pipe"]

PRELOADED = [
    "async_s3_upload.transfer.workers.worker",
    "async_s3_upload.transfer.stores.lean.store",
    "aiobotocore.client",
    "aiobotocore.endpoint",
    "botocore.parsers",
    "botocore.regions",
    "uvloop",
]
LEAVE_S = 1.0
MOST_FORKED = 8
"""So many workers wait for work from the start at most; more are started when there is work for them."""


class Nursery:
    """Workers that were forked early and wait for work; those that nobody took end with the block."""

    def __init__(self, count: int) -> None:
        """Fork ``count`` workers, if it is safe here, at the begin of the block."""
        self._count = min(count, MOST_FORKED)
        self._born: list[Born] = []
        self._settings: WorkerSettings | None = None

    def __enter__(self) -> Self:
        """Fork. What fails here is no trouble: workers are then started when they are needed."""
        if sys.platform == "linux" and threading.active_count() == 1:
            _preload()
            gc.collect()
            gc.freeze()  # a collection would touch, and so copy, what the processes share
            with contextlib.suppress(OSError), _signals_blocked():
                for _ in range(self._count):
                    self._born.append(self._fork())
            self._born.reverse()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of those that nobody took: they leave when their pipe closes."""
        for _, pipe in self._born:
            pipe.close()
        for process, _ in self._born:
            process.join(LEAVE_S)
            if process.exitcode is None:  # it may wait for a server that gives credentials
                process.kill()
        self._born.clear()

    def begin(self, settings: WorkerSettings) -> None:
        """Let those who wait open their stores; workers for other settings are then not taken from here."""
        self._settings = settings
        for _, pipe in self._born:
            with contextlib.suppress(OSError):  # it died; who takes it hears of it
                pipe.send(settings)

    def take(self, settings: WorkerSettings) -> Born | None:
        """Return a worker that has these settings and the pipe to it, if there is one left."""
        if self._settings is None:
            self.begin(settings)
        return self._born.pop() if self._born and self._settings == settings else None

    def _fork(self) -> Born:
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe(duplex=True)
        # a worker that held the coordinator's end of a pipe would hide the coordinator's death from the other one
        inherited = [ours, *(pipe for _, pipe in self._born)]
        process = context.Process(target=_wait_for_work, args=(theirs, inherited), daemon=True)
        try:
            process.start()
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        return process, ours


def _wait_for_work(pipe: Pipe, inherited: list[Pipe]) -> None:
    for other in inherited:
        other.close()
    worker_main(pipe)


def _preload() -> None:
    for name in PRELOADED:
        with contextlib.suppress(ImportError):  # uvloop is not for every platform
            importlib.import_module(name)
    from async_s3_upload.transfer.stores.store_client import load_model

    with contextlib.suppress(Exception):  # a profile that does not exist is said where it is used
        load_model()


def start(settings: WorkerSettings) -> Born:
    """Start one worker from the server process, with these settings, and return it with the pipe to it.

    Raises:
        OSError: the system starts no more processes; EOFError: the server process died.
    """
    multiprocessing.set_forkserver_preload(PRELOADED)
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe(duplex=True)
    process = context.Process(target=worker_main, args=(theirs,), daemon=True)
    try:
        # it is started with the server otherwise, and unblocks the signals meanwhile
        resource_tracker.ensure_running()
        with _signals_blocked():
            forkserver.ensure_running()
            process.start()
    except (OSError, EOFError):
        ours.close()
        raise
    finally:
        theirs.close()
    ours.send(settings)
    return process, ours


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Block SIGINT and SIGTERM for the block: a process started in it inherits that.

    No signal hits it before it has said what to do with it; they are the coordinator's business.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
