"""One ``monitor`` per log folder, one upload per run log.

The lock file is the replaced tool's, and held the same way (flock), so that the two exclude each other too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from async_s3_upload.errors import LogDirError


class AlreadyRunning(Exception):
    """Another process holds the lock."""


@contextmanager
def exclusive(path: str) -> Iterator[None]:
    """Hold the lock file ``path`` for the block; the system lets go of it when the process ends in any way.

    Raises:
        AlreadyRunning: at once, where another process holds it.
        LogDirError: the file cannot be opened.
    """
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise AlreadyRunning(path) from error
    except OSError as error:
        raise LogDirError(f"lock {path} cannot be opened: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()
