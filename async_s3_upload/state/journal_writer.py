"""Appends to a journal so that a crash at any moment costs at most the last second of results."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from typing import Any

from async_s3_upload.state.journal import encode_line
from async_s3_upload.state.replacing import temporary_name

SYNC_EVERY_S = 1.0
SYNC_COUNT = 1000
"""Lines reach the file when they are added; the disk after so many, or a second."""


class JournalWriter:
    """One open journal; a fresh file replaces what was there before.

    A line is either wholly in the file or not at all, also when the disk is full: what a failed write left
    is cut off again, and the lines stay in memory for the next ``flush``.
    """

    def __init__(self, path: str, events: Iterable[dict[str, Any]] = ()) -> None:
        """Replace the journal at ``path`` atomically by one that holds ``events``.

        Raises:
            OSError: it cannot be written; the old one is intact.
        """
        self.path = path
        self._pending: list[bytes] = []
        self._unsynced = 0
        self._synced_at = time.monotonic()
        temporary = temporary_name(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(temporary, flags, 0o644)
        self._size = 0
        try:
            for event in events:
                self._pending.append(encode_line(event))
            self.flush()
            os.fsync(self._descriptor)
            os.replace(temporary, path)
        except BaseException:
            os.close(self._descriptor)
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise

    def add(self, event: dict[str, Any]) -> None:
        """Take one event; ``flush`` writes it."""
        self.add_line(encode_line(event))

    def add_line(self, line: bytes) -> None:
        """Take one event that is encoded already."""
        self._pending.append(line)

    def flush(self) -> None:
        """Write the events taken so far: they outlive this process from then on.

        Raises:
            OSError: the disk is full or gone; the events are kept for the next call.
        """
        if not self._pending:
            return
        data = b"".join(self._pending)
        try:
            written = 0
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError:
            # never leave half a line: the next write would make it a damaged middle
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(data)
        self._unsynced += len(self._pending)
        self._pending.clear()

    def due(self) -> bool:
        """Tell whether ``sync`` should be called now."""
        late = time.monotonic() - self._synced_at >= SYNC_EVERY_S
        return bool(self._unsynced) and (late or self._unsynced >= SYNC_COUNT)

    def sync(self) -> None:
        """Make what was flushed outlive a crash of the machine. Blocks; may be called from a thread.

        Raises:
            OSError: the disk is gone.
        """
        self._unsynced = 0
        self._synced_at = time.monotonic()
        os.fsync(self._descriptor)

    def close(self, *, remove: bool = False) -> None:
        """Write what is left and close; with ``remove`` the journal has nothing to tell any more.

        One that another process has put in its place stays.

        Raises:
            OSError: as ``flush``; the file is closed all the same.
        """
        try:
            if not remove:
                self.flush()
                os.fsync(self._descriptor)
            else:
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(os.stat(self.path), os.fstat(self._descriptor)):
                        os.unlink(self.path)
        finally:
            os.close(self._descriptor)


def append_line(path: str, event: dict[str, Any]) -> None:
    """Append one event to the journal at ``path``, damaged or not there as it may be, and make it durable.

    Raises:
        OSError: it cannot be written.
    """
    with open(path, "ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(encode_line(event))
        file.flush()
        os.fsync(file.fileno())


def read_lines(path: str) -> Iterator[bytes]:
    """Yield the lines of a journal with their ends; none where there is no journal.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            yield from file
    except FileNotFoundError:
        return
