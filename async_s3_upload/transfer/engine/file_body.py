"""Bodies of requests that are read from the file while they are sent: nothing of a file is held but two windows.

The checksum has to go before the bytes, so a file is read twice: once for its sum, through one small buffer that
stays in the processor's cache, and once more while it is sent, from the page cache. Where the kernel does not keep what
was just read (a file system without page cache, memory that is short) files are read once, into buffers. See
docs/adr/0007.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from async_s3_upload.transfer.engine.budget import ByteBudget
from async_s3_upload.transfer.engine.buffers import Buffers, buffer_size
from async_s3_upload.transfer.engine.checksum import Crc, crc_of
from async_s3_upload.transfer.engine.source import (
    CHANGED,
    OPEN_FLAGS,
    THREAD_FROM,
    ChangedError,
    FileState,
    SourceError,
    fill,
    read_all,
    state_of_open,
)
from async_s3_upload.transfer.pace import SLICE_BYTES

WINDOW = SLICE_BYTES
_NOWAIT = getattr(os, "RWF_NOWAIT", 0)
_own = threading.local()


class FileBody:
    """``size`` bytes of a file from ``offset``, in the ``expected`` state; may be read again for another attempt.

    ``missed`` tells that the kernel did not have what had been read just before.
    """

    def __init__(self, path: str, expected: FileState, offset: int, size: int) -> None:
        self.size = size
        self.missed = False
        self._path = path
        self._expected = expected
        self._offset = offset
        self._descriptor = -1

    def __len__(self) -> int:
        """Bytes of the body."""
        return self.size

    def open(self) -> Crc:
        """Open the file and return the CRC64NVME of the body; blocks, for a thread.

        Raises:
            SourceError: unreadable, shorter than expected, or no longer in the expected state.
        """
        try:
            self._descriptor = os.open(self._path, OPEN_FLAGS)
            self._check()
            crc, place = 0, 0
            view = _window()
            while place < self.size:
                piece = view[: min(WINDOW, self.size - place)]
                self._fill(piece, place)
                crc = crc_of(piece, crc)
                place += len(piece)
        except OSError as error:
            raise SourceError(f"the file cannot be read: {error.strerror or error}") from error
        return crc

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _check(self) -> None:
        if state_of_open(self._descriptor) != self._expected:
            raise ChangedError(CHANGED)

    def _fill(self, view: memoryview, place: int) -> None:
        read_all(self._descriptor, self._offset + place, view)

    async def read(self, view: memoryview, place: int) -> None:
        """Fill ``view`` with the bytes from ``place`` in the body; without a thread where the kernel has them.

        Raises:
            SourceError: unreadable, truncated, or, at the begin of an attempt, no longer in the expected state.
        """
        try:
            if not place:
                self._check()
            if _NOWAIT and not self.missed:
                try:
                    count = os.preadv(self._descriptor, [view], self._offset + place, _NOWAIT)
                except OSError:  # EAGAIN, or a file system that cannot tell
                    count = 0
                if count == len(view):
                    return
                view, place = view[count:], place + count
            self.missed = True
            await asyncio.to_thread(self._fill, view, place)
        except OSError as error:
            raise SourceError(f"the file cannot be read: {error.strerror or error}") from error

    def __bytes__(self) -> bytes:
        """Return the whole body; blocks. For stores that take nothing else."""
        whole = bytearray(self.size)
        self._fill(memoryview(whole), 0)
        return bytes(whole)


def _window() -> memoryview:
    """Return this thread's own window."""
    try:
        view: memoryview = _own.view
    except AttributeError:
        view = _own.view = memoryview(bytearray(WINDOW))
    return view


class Bodies:
    """Gives the bytes of files as bodies of requests, within a byte budget of what is in flight."""

    def __init__(self, memory: ByteBudget, buffers: Buffers, *, streams: bool) -> None:
        """Say whether the store ``streams``, which is whether it takes a FileBody."""
        self._memory = memory
        self._buffers = buffers
        self._streams = streams
        self._read_once: set[int] = set()

    @asynccontextmanager
    async def lend(
        self, path: str, state: FileState, offset: int, size: int
    ) -> AsyncIterator[tuple[memoryview | FileBody, Crc]]:
        """Give ``size`` bytes of the file from ``offset``, and their sum, for the block.

        Raises:
            SourceError: the file cannot be read as it was planned.
        """
        if not self._streams or size <= THREAD_FROM or state.device in self._read_once:
            async with self._buffers.lend(size) as view:
                yield view, await fill(view, path, state, offset)
            return
        async with self._memory.hold(buffer_size(size)):
            body = FileBody(path, state, offset, size)
            try:
                crc = await asyncio.to_thread(body.open)
                yield body, crc
            finally:
                body.close()
                if body.missed:
                    self._read_once.add(state.device)
