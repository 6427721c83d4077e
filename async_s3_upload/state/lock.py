"""One ``monitor`` per log folder, one upload per run log.

The lock file is the replaced tool's, and held the same way (flock), so that the two exclude each other too.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from async_s3_upload.errors import LogDirError

GRACE_S = 0.1
"""So long a lock that is held is asked for again: ``is_held`` may have it for a moment."""


class AlreadyRunning(Exception):
    """Another process holds the lock."""


@contextmanager
def exclusive(path: str) -> Iterator[None]:
    """Hold the lock file ``path`` for the block; the system lets go of it when the process ends in any way.

    Raises:
        AlreadyRunning: within GRACE_S, where another process holds it.
        LogDirError: the file cannot be opened.
    """
    lock = FileLock(path, timeout=GRACE_S)
    try:
        lock.acquire(poll_interval=GRACE_S / 5)
    except Timeout as error:
        raise AlreadyRunning(path) from error
    except OSError as error:
        raise LogDirError(f"lock {path} cannot be opened: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()


def is_held(path: str) -> bool:
    """Tell whether a process holds the lock file ``path``; writes nothing and keeps nobody out.

    False also where that cannot be found out: there is no such file, or it may not be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(descriptor)
    return False
