"""Chooses what a command shows while it works, by its options and by what is at the other end."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from async_s3_upload import __version__
from async_s3_upload.cli.logs import console_log
from async_s3_upload.cli.progress.event_lines import EventLines
from async_s3_upload.cli.progress.live import LiveView, can_show
from async_s3_upload.cli.progress.plain import PlainLines
from async_s3_upload.cli.report import Report
from async_s3_upload.delivery.events import RoundBegun, RoundEnded
from async_s3_upload.delivery.watching import Watchers
from async_s3_upload.errors import Interrupted, UploadError, UsageError
from async_s3_upload.text import printable


class Output:
    """The log on the console, and who else watches a command."""

    def __init__(self, *, quiet: bool = False, live: LiveView | None = None, events: EventLines | None = None) -> None:
        """Show only warnings and errors where ``quiet``."""
        self.report = Report()
        self._quiet = quiet
        self._live = live
        self.watchers = Watchers([watcher for watcher in (PlainLines(), live, events) if watcher is not None])

    @contextmanager
    def console(self, level: int) -> Iterator[None]:
        """Log to the console for the block, above the live view where there is one."""
        with console_log(level, quiet=self._quiet, view=self._live):
            yield


@contextmanager
def shown(
    command: Literal["monitor", "upload"], *, quiet: bool, as_json: bool, json_events: bool, dry_run: bool
) -> Iterator[Output]:
    """Yield what the command shows; the command puts its report there.

    Raises:
        UsageError: options exclude each other.
    """
    if as_json and json_events:
        raise UsageError("--json and --json-events exclude each other: both would write to stdout")
    live = None if quiet or json_events or dry_run or not can_show(sys.stderr, os.environ) else LiveView(sys.stderr)
    events = EventLines(sys.stdout) if json_events else None
    output = Output(quiet=quiet, live=live, events=events)
    began = time.monotonic()
    output.watchers.tell(RoundBegun(command, __version__, dry_run))
    try:
        yield output
    except BaseException as error:
        output.report = Report(problems=str(error).splitlines(), exit_code=_code_of(error))
        raise
    finally:
        report = output.report
        states = Counter(str(row.state) for row in report.rows)
        problems = [printable(problem) for problem in report.problems]
        seconds = round(time.monotonic() - began, 3)
        output.watchers.tell(RoundEnded(report.exit_code, problems, dict(states), seconds))


def _code_of(error: BaseException) -> int:
    if isinstance(error, Interrupted):
        return error.code
    if isinstance(error, UploadError):
        return error.exit_code
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        return error.code
    return 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
