"""Reads local files for sending, and notices when one changes meanwhile."""

from __future__ import annotations

import asyncio
import os
import stat
from dataclasses import dataclass

THREAD_FROM = 256 * 1024
"""Reads of more bytes than this go to a thread: below, the hop costs more than the read."""


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


def _state(found: os.stat_result) -> FileState:
    if not stat.S_ISREG(found.st_mode):
        raise SourceError("it is no regular file any more")
    return FileState(found.st_size, found.st_mtime_ns, found.st_ino, found.st_dev)


async def read_range(path: str, expected: FileState, offset: int, length: int) -> bytes:
    """Read ``length`` bytes from ``offset``.

    Raises:
        SourceError: unreadable, shorter than expected, or no longer in the ``expected`` state.
    """
    if length > THREAD_FROM:
        return await asyncio.to_thread(_read_range, path, expected, offset, length)
    return _read_range(path, expected, offset, length)


def _read_range(path: str, expected: FileState, offset: int, length: int) -> bytes:
    try:
        # O_NONBLOCK: should the file have become a FIFO meanwhile, open must not wait for a writer
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            if _state(os.fstat(descriptor)) != expected:
                raise ChangedError("the file changed while it was being uploaded")
            return _read_all(descriptor, offset, length)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise SourceError(f"the file cannot be read: {error.strerror or error}") from error


def _read_all(descriptor: int, offset: int, length: int) -> bytes:
    data = os.pread(descriptor, length, offset)
    if len(data) == length:
        return data
    pieces = [data]
    missing = length - len(data)
    while missing:  # one read gives 2 GiB at most, and less from some network file systems
        piece = os.pread(descriptor, missing, offset + length - missing)
        if not piece:
            raise ChangedError(f"the file was truncated while it was being uploaded ({missing:,} bytes short)")
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def check_unchanged(path: str, expected: FileState) -> None:
    """Return if the file is still in the ``expected`` state.

    Raises:
        SourceError: it changed, vanished or became unreadable.
    """
    if state_of(path) != expected:
        raise ChangedError("the file changed while it was being uploaded")
