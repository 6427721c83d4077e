"""SIGINT and SIGTERM: the first stops softly and keeps the state, the second at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from async_s3_upload.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Turns signals into a soft stop of what runs at the moment.

    While an upload runs, its ``soft_stop`` is called; at any other time the main task is cancelled.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._soft_stop: Callable[[], None] | None = None
        self._main: asyncio.Task[object] | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Handle the signals for the block, in the running loop and task.

        Raises:
            Interrupted: at the end of the block, if a signal came.
        """
        loop = asyncio.get_running_loop()
        self._main = asyncio.current_task()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._on_signal, number)
        try:
            yield
        except asyncio.CancelledError:
            if self.signal_number is None:
                raise
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)
        if self.signal_number is not None:
            raise Interrupted(self.signal_number)

    @contextmanager
    def softly(self, stop: Callable[[], None]) -> Iterator[None]:
        """Call ``stop`` for a signal that comes during the block."""
        self._soft_stop = stop
        try:
            yield
        finally:
            self._soft_stop = None

    def _on_signal(self, number: int) -> None:
        if self.signal_number is not None:
            sys.stderr.write("stopped at once\n")
            sys.stderr.flush()
            os._exit(128 + number)  # workers leave by themselves when the pipe closes
        self.signal_number = number
        if self._soft_stop is not None:
            self._soft_stop()
        elif self._main is not None:
            self._main.cancel()
