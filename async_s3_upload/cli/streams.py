"""What reaches the terminal or cron's mail: sentences of the program, and nothing that Python says on its own."""

from __future__ import annotations

import errno
import os
import sys
import threading
import warnings
from contextlib import suppress

_REMEDIES = {
    errno.ENOSPC: "free space on the disk",
    errno.EDQUOT: "free space, or raise this user's quota",
    errno.EFBIG: "raise the limit of file sizes (ulimit -f)",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "the whole machine has too many open files",
    errno.ENOMEM: "free memory, or start fewer worker processes (max_cores, --cores)",
}
"""Trouble of the machine that can hit any line of the program, and what helps."""


def stand_in_for_closed() -> None:
    """Put /dev/null where stdin, stdout or stderr was closed: else the next file opened would get its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - as long as the process


def hush_python() -> None:
    """Keep warnings, and errors that nobody can catch, off stderr: they are for the programmer (``--debug``)."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    sys.unraisablehook = lambda _: None
    threading.excepthook = lambda _: None


def let_go() -> None:
    """Write what is still in the buffers; where nobody takes it, it is dropped without a word."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def say(text: str) -> None:
    """Write a line on stderr, as far as anybody takes it."""
    with suppress(OSError, ValueError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def trouble_of_the_machine(error: BaseException) -> str | None:
    """Return the sentence for an error that is no fault of the program, or None."""
    if isinstance(error, MemoryError):
        return f"there is not enough memory: {_REMEDIES[errno.ENOMEM]}"
    if not isinstance(error, OSError) or error.errno is None:
        return None
    remedy = _REMEDIES.get(error.errno)
    if remedy is not None:
        place = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
        return f"{place}{error.strerror}: {remedy}"
    if error.errno == errno.ENOENT and not _has_folder():
        return "the current folder does not exist any more: change to another one and start again"
    return None


def _has_folder() -> bool:
    try:
        os.getcwd()
    except OSError:
        return False
    return True
