"""The program's log: console (stderr) and ``<log_dir>/s3_upload.log``, rotated at midnight, five backups."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging.handlers import TimedRotatingFileHandler
from typing import Protocol, TextIO

from async_s3_upload.cli.streams import say
from async_s3_upload.errors import LogDirError
from async_s3_upload.state.run_logs import LOCKS, UPLOADS
from async_s3_upload.text import one_line

LOGGER = "async_s3_upload"
PROGRESS_LOGGER = "async_s3_upload.cli.progress.plain"
LOG_FILE = "s3_upload.log"
LOCK_FILE = "s3_upload.lock"
BACKUPS = 5
FORMAT = "%(asctime)s %(levelname)s %(message)s"


def prepare_log_dir(log_dir: str) -> None:
    """Create the log folder and make sure that it can be written.

    Raises:
        LogDirError: it cannot.
    """
    uploads = os.path.join(log_dir, UPLOADS)
    probe = os.path.join(uploads, f".writable.{os.getpid()}")
    try:
        for folder in (uploads, os.path.join(log_dir, LOCKS)):
            os.makedirs(folder, exist_ok=True)
        with open(probe, "w", encoding="ascii"):
            pass
        os.unlink(probe)
        with open(os.path.join(log_dir, LOG_FILE), "a", encoding="utf-8"):
            pass
    except OSError as error:
        raise LogDirError(
            f"log folder {log_dir} cannot be written: {error.strerror or error}; "
            "give this user the right to write there, or name another folder "
            "(log_dir in the config, --log-dir for upload)"
        ) from error


class _LogFile(TimedRotatingFileHandler):
    """The log file; when it cannot be written that is said once, and the console goes on telling everything."""

    _told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Take the place of a traceback for each line."""
        if not self._told:
            self._told = True
            error = sys.exc_info()[1]
            why = (error.strerror if isinstance(error, OSError) else None) or error
            say(f"the log file cannot be written: {self.baseFilename}: {why}; what is missing there is told here")

    def close(self) -> None:
        """Close; lines that a full disk did not take are lost."""
        with suppress(OSError):
            super().close()


class View(Protocol):
    """Something at the lower end of the terminal, above which the log is written."""

    @property
    def is_there(self) -> bool:
        """Whether it is shown now."""
        ...

    def take(self, line: str) -> bool:
        """Take a line to be written soon; False where the view is not shown."""
        ...


class _AboveView(logging.StreamHandler[TextIO]):
    """The console while there may be a view, which tells progress better than lines."""

    def __init__(self, view: View) -> None:
        super().__init__(sys.stderr)
        self._view = view

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, or let the view do that."""
        if record.name == PROGRESS_LOGGER and self._view.is_there:
            return
        if not self._view.take(self.format(record)):
            super().emit(record)


@contextmanager
def console_log(level: int, *, quiet: bool = False, view: View | None = None) -> Iterator[None]:
    """Log to the console for the block, above a ``view``; where ``quiet`` only warnings and errors."""
    logger = logging.getLogger(LOGGER)
    logger.setLevel(level)
    logger.propagate = False
    handler = logging.StreamHandler(sys.stderr) if view is None else _AboveView(view)
    if quiet:
        handler.setLevel(logging.WARNING)
    with _handling(handler):
        yield


def silence(stream: TextIO) -> None:
    """Drop what is written to a stream whose other end is gone: it would be an error, also when the process ends."""
    with suppress(OSError, ValueError), open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), stream.fileno())


@contextmanager
def file_log(log_dir: str) -> Iterator[None]:
    """Log to the file in ``log_dir`` for the block, beside the console."""
    path = os.path.join(log_dir, LOG_FILE)
    with _handling(_LogFile(path, when="midnight", backupCount=BACKUPS, encoding="utf-8", errors="backslashreplace")):
        yield


@contextmanager
def _handling(handler: logging.Handler) -> Iterator[None]:
    logger = logging.getLogger(LOGGER)
    handler.setFormatter(_OneLine(FORMAT))
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


class _OneLine(logging.Formatter):
    """One record is one line, whatever the names in it hold; only tracebacks follow on lines of their own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        record.message = one_line(record.message)
        return super().formatMessage(record)
