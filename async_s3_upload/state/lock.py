"""One ``monitor`` per log folder, one upload per run log, on one host and on several that share the folder.

Two things keep others out. The lock file is the replaced tool's, and held the same way (flock), so that the two exclude
each other too. Beside it a record says who holds it, for file systems whose locks do not reach other hosts
(``owner``, ``claim``, ``holding``).
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager

from async_s3_upload.errors import LogDirError
from async_s3_upload.state.claim import AlreadyRunning, claim, silent_s
from async_s3_upload.state.holding import Holding, keep, let_go
from async_s3_upload.state.owner import Records, decode
from async_s3_upload.state.this_host import Process, life_of

__all__ = ["AlreadyRunning", "exclusive", "holder_of", "is_held", "taken"]

log = logging.getLogger(__name__)

GRACE_S = 0.1
"""So long a lock that is held is asked for again: ``is_held`` may have it for a moment."""
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What flock fails with where a file system has no locks (NFS 3 without lockd is one)."""


@contextmanager
def exclusive(path: str, *, patient: bool = True) -> Iterator[None]:
    """Hold the lock file ``path`` for the block; the system lets go of it when the process ends in any way.

    Waits for up to a minute where a process of another host has left it behind; who is not ``patient`` takes that one
    for being at work.

    Raises:
        AlreadyRunning: another process holds it; within GRACE_S, if that is on this host.
        LogDirError: the file cannot be opened, or the record beside it not be written.
    """
    with _flocked(path):
        taking = _taking(path, patient=patient)
        while True:
            try:
                pause = next(taking)
            except StopIteration as end:
                holding: Holding = end.value
                break
            time.sleep(pause)
        with _kept(holding):
            yield


async def taken(path: str, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> ExitStack:
    """Take the lock as ``exclusive`` does, and return what lets go of it: to be entered with ``with``.

    The event loop goes on while this one waits, by ``sleep``, which may raise.
    """
    with ExitStack() as held:
        held.enter_context(_flocked(path))
        taking = _taking(path, patient=True)
        while True:
            try:
                pause = next(taking)
            except StopIteration as end:
                held.enter_context(_kept(end.value))
                return held.pop_all()
            await sleep(pause)


def is_held(path: str) -> bool:
    """Tell whether a process seems to hold the lock file ``path``; writes nothing and keeps nobody out.

    False also where that cannot be found out: there is no such file, or it may not be read. To show people, not to
    decide: a holder on another host may be known by the time of its record alone, and clocks differ.
    """
    return _is_flocked(path) or holder_of(path) is not None


def holder_of(path: str) -> Process | None:
    """Return who seems to hold the lock file ``path``, as its record says; as true as ``is_held`` is."""
    records = Records(path)
    try:
        number = max(records.numbers(), default=0)
        owner = decode(records.read(number) or b"")
        if owner is None or not owner.held:
            return None
        life = life_of(owner.process)
        recent = time.time() - os.stat(records.path(number)).st_mtime < silent_s()
    except OSError:
        return None
    return owner.process if life == "runs" or (life == "unknown" and (recent or _is_flocked(path))) else None


@contextmanager
def _flocked(path: str) -> Iterator[None]:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise _cannot_open(path, error) from error
    try:
        try:
            taken = _take(descriptor)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise _cannot_open(path, error) from error
            log.warning("%s is on a file system without locks: only its record keeps other processes out", path)
            taken = True
        if not taken:
            raise AlreadyRunning(path, holder_of(path))
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    until = time.monotonic() + GRACE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            if time.monotonic() > until:
                return False
            time.sleep(GRACE_S / 5)
        else:
            return True


def _cannot_open(path: str, error: OSError) -> LogDirError:
    return LogDirError(f"lock {path} cannot be opened: {error.strerror or error}")


def _taking(path: str, *, patient: bool) -> Generator[float, None, Holding]:
    try:
        return (yield from claim(path, secrets.token_hex(8), patient=patient))
    except OSError as error:
        raise LogDirError(f"who holds lock {path} cannot be written down: {error.strerror or error}") from error


@contextmanager
def _kept(holding: Holding) -> Iterator[None]:
    keep(holding)
    try:
        yield
    finally:
        let_go(holding)


def _is_flocked(path: str) -> bool:
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
