"""The live view of a terminal: when it is there, what it shows, and the log that goes above it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

from async_s3_upload.cli.logs import silence
from async_s3_upload.cli.progress.estimate import Pace
from async_s3_upload.delivery.events import WatchEvent
from async_s3_upload.delivery.watching import RunProgress
from async_s3_upload.transfer.activity import Activity

if TYPE_CHECKING:
    from async_s3_upload.cli.progress.screen import Screen

APPEAR_AFTER_S = 1.5
"""An upload that ends sooner needs no view, and has not to pay for it."""

DRAW_EVERY_S = 0.5
"""So often it is drawn where there is no line of the log to be written."""


def can_show(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Tell whether there is a terminal behind ``stream`` on which lines can be drawn anew."""
    return stream.isatty() and environ.get("TERM", "") not in ("", "dumb", "unknown")


class LiveView:
    """Watches runs, and shows them at the lower end of the terminal as long as any is on its way.

    A terminal that goes away is no trouble: there is no view any more.
    """

    each_file = False

    def __init__(
        self,
        stream: TextIO,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._environ = environ
        self._clock = clock
        self._paces: dict[RunProgress, Pace] = {}
        self._began_at: float | None = None
        self._drawn_at = 0.0
        self._screen: Screen | None = None
        self._lines: list[str] = []
        self._lock = threading.Lock()  # folders are looked through, and that is logged, in other threads

    @property
    def is_there(self) -> bool:
        """Whether it is shown now."""
        return self._screen is not None

    def take(self, line: str) -> bool:
        """Take a line of the log to be shown above the view soon; False where there is no view now."""
        with self._lock:
            if self._screen is None:
                return False
            self._lines.append(line)
            return True

    def tell(self, event: WatchEvent) -> None:
        """Single events are no concern of the view."""

    def look(self, runs: Sequence[RunProgress], activity: Activity) -> None:
        """Draw how far the runs are."""
        now = self._clock()
        self._paces = {run: self._paces.get(run) or Pace() for run in runs}
        for run, pace in self._paces.items():
            pace.note(now, run)
        if self._began_at is None and runs:
            self._began_at = now
        if self._began_at is None or now - self._began_at < APPEAR_AFTER_S:
            return
        if self._lines or now - self._drawn_at >= DRAW_EVERY_S:
            self._drawn_at = now
            self._draw(activity)

    def _draw(self, activity: Activity) -> None:
        from async_s3_upload.cli.progress.screen import Screen, Shown

        try:
            if self._screen is None:
                screen = Screen(self._stream, self._environ)
                with self._lock:
                    self._screen = screen
            shown = [Shown(run, pace.bytes_per_s, pace.left_s(run)) for run, pace in self._paces.items()]
            self._screen.show(shown, activity, self._taken())
        except OSError:
            self._give_up()

    def rest(self) -> None:
        """Remove the view."""
        with self._lock:
            screen, self._screen = self._screen, None
        self._began_at = None
        if screen is not None:
            try:
                screen.close(self._taken())
            except OSError:
                self._give_up()

    def _give_up(self) -> None:
        self._began_at = float("inf")
        with self._lock:
            self._screen = None
        silence(self._stream)

    def _taken(self) -> list[str]:
        with self._lock:
            lines, self._lines = self._lines, []
        return lines
