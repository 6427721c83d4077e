"""Where worker processes come from: a server process that has imported what they need and forks them.

Each worker is as fresh as with ``spawn``: no loop, thread or connection of the coordinator crosses the fork. But what
costs most of a start, the imports, is done once, beside the coordinator's own work, and its memory is shared.
See docs/adr/0006.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext

PRELOADED = [
    "async_s3_upload.transfer.worker",
    "async_s3_upload.transfer.lean.store",
    "aiobotocore.client",
    "aiobotocore.endpoint",
    "botocore.parsers",
    "botocore.regions",
    "uvloop",
]


def context() -> ForkServerContext:
    """Return the context that workers are started with."""
    return multiprocessing.get_context("forkserver")


def prepare() -> None:
    """Begin the imports in the server process; returns at once. Workers that are started later wait for it."""
    multiprocessing.set_forkserver_preload(PRELOADED)
    with signals_blocked():
        forkserver.ensure_running()


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Block SIGINT and SIGTERM for the block: a process started in it inherits that.

    No signal hits it before it has said what to do with it; they are the coordinator's business.
    """
    # it is started with the first process otherwise, and unblocks the signals meanwhile
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
