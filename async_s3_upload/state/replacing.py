"""Replaces a file as a whole: whoever opens it finds the old content or the new one, never a part."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from typing import BinaryIO

_DIGITS = f"{secrets.randbelow(10**9):09}"


def temporary_name(path: str) -> str:
    """Return a name beside ``path`` that no other process writes to, also on another host with the same pid."""
    return f"{path}.{os.getpid()}{_DIGITS}.tmp"


@contextlib.contextmanager
def replacing(path: str, *, temporary: str | None = None, keep_as: str | None = None) -> Iterator[BinaryIO]:
    """Open a file beside ``path`` for writing; at the end of the block it is on the disk and takes the place of that.

    It is named ``temporary`` (default: see ``temporary_name``), and is gone where the block raises: then, and where the
    file cannot be written, what was there is untouched. With ``keep_as`` the old file gets that name.

    Raises:
        OSError: the disk is full, read-only or gone.
    """
    temporary = temporary or temporary_name(path)
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if keep_as is not None:
            os.replace(path, keep_as)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(os.path.dirname(path) or ".")


def _sync_folder(folder: str) -> None:
    """Make the rename itself durable; file systems that cannot (some network ones) are left alone."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
