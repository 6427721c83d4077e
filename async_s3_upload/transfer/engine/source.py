"""Reads local files for sending, and notices when one changes meanwhile."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass

from async_s3_upload.transfer.engine.checksum import Crc, crc_of

THREAD_FROM = 256 * 1024
"""Reads of more bytes than this go to a thread: below, the hop costs more than the read."""
SLOW_READ_S = 0.002
"""Reading a small file takes some 20 us from the page cache; a hop to a thread and back costs about 60 us."""
# O_NONBLOCK: should the file have become a FIFO meanwhile, open must not wait for a writer
OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
CHANGED = "the file changed while it was being uploaded"
CHANGED_SINCE_SCAN = "the file changed since the run was looked through"


class SourceError(Exception):
    """The local file cannot be sent as it is; the text is the reason."""


class ChangedError(SourceError):
    """The file is no longer what it was; with a new plan it may be sent."""


@dataclass(frozen=True, slots=True)
class FileState:
    """What identifies the contents of a file: size in bytes, mtime in ns, inode and device."""

    size: int
    mtime_ns: int
    inode: int
    device: int


def state_of(path: str) -> FileState:
    """Return the state of the file at ``path`` now.

    Raises:
        SourceError: it is gone, unreadable, or no regular file any more.
    """
    try:
        return _state(os.stat(path))
    except OSError as error:
        raise SourceError(f"the file cannot be read: {error.strerror or error}") from error


def state_of_open(descriptor: int) -> FileState:
    """Return the state of an open file.

    Raises:
        OSError: it cannot be told; SourceError: it is no regular file.
    """
    return _state(os.fstat(descriptor))


def _state(found: os.stat_result) -> FileState:
    if not stat.S_ISREG(found.st_mode):
        raise SourceError("it is no regular file any more")
    return FileState(found.st_size, found.st_mtime_ns, found.st_ino, found.st_dev)


@dataclass(frozen=True, slots=True)
class Contents:
    """A whole file as it was read, the state it was in, and its CRC64NVME."""

    state: FileState
    body: bytes
    crc: Crc


class SmallFiles:
    """Reads files of at most THREAD_FROM bytes as a whole.

    Directly, where that takes a few system calls on what the kernel has; in a thread, while the file system is
    so slow that the requests in flight would wait for it.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._average_s = 0.0

    @property
    def slow(self) -> bool:
        """Whether reads go to threads at the moment."""
        return self._average_s > SLOW_READ_S

    async def read(self, path: str, planned: tuple[int, int, int]) -> Contents:
        """Read a file that was planned with this size, mtime (ns) and inode.

        Raises:
            SourceError: unreadable, or no longer as it was planned.
        """
        began = self._clock()
        found = await asyncio.to_thread(_read_whole, path, planned) if self.slow else _read_whole(path, planned)
        self._average_s += (self._clock() - began - self._average_s) / 16
        return found


def _read_whole(path: str, planned: tuple[int, int, int]) -> Contents:
    try:
        descriptor = os.open(path, OPEN_FLAGS)
        try:
            state = _state(os.fstat(descriptor))
            if (state.size, state.mtime_ns, state.inode) != planned:
                raise ChangedError(CHANGED_SINCE_SCAN)
            body = os.pread(descriptor, state.size, 0)
            if len(body) < state.size:
                rest = bytearray(state.size - len(body))
                read_all(descriptor, len(body), memoryview(rest))
                body += rest
        finally:
            os.close(descriptor)
    except OSError as error:
        raise SourceError(f"the file cannot be read: {error.strerror or error}") from error
    return Contents(state, body, crc_of(body))


async def fill(view: memoryview, path: str, expected: FileState, offset: int) -> Crc:
    """Fill ``view`` with the file's bytes from ``offset`` and return their CRC64NVME.

    Raises:
        SourceError: unreadable, shorter than expected, or no longer in the ``expected`` state.
    """
    if len(view) > THREAD_FROM:
        return await asyncio.to_thread(_fill, view, path, expected, offset)
    return _fill(view, path, expected, offset)


def _fill(view: memoryview, path: str, expected: FileState, offset: int) -> Crc:
    try:
        descriptor = os.open(path, OPEN_FLAGS)
        try:
            if _state(os.fstat(descriptor)) != expected:
                raise ChangedError(CHANGED)
            read_all(descriptor, offset, view)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise SourceError(f"the file cannot be read: {error.strerror or error}") from error
    return crc_of(view)


def read_all(descriptor: int, offset: int, view: memoryview) -> None:
    """Fill ``view`` from ``offset`` of an open file.

    Raises:
        ChangedError: the file is shorter; OSError: it cannot be read.
    """
    while view:  # one read gives 2 GiB at most, and less from some network file systems
        count = os.preadv(descriptor, [view], offset)
        if not count:
            raise ChangedError(f"the file was truncated while it was being uploaded ({len(view):,} bytes short)")
        view = view[count:]
        offset += count


def check_unchanged(path: str, expected: FileState) -> None:
    """Return if the file is still in the ``expected`` state.

    Raises:
        SourceError: it changed, vanished or became unreadable.
    """
    if state_of(path) != expected:
        raise ChangedError(CHANGED)
