"""A terminal without anybody before it: a pty whose screen can be read as text."""

import fcntl
import os
import pty
import struct
import termios
import threading
from collections.abc import Callable
from types import TracebackType

import pyte

LIMIT_S = 30.0


class Terminal:
    """A terminal of some size; what is written to ``end`` shows on its screen. To be used in ``with``."""

    def __init__(self, columns: int, lines: int = 24) -> None:
        self.raw = ""
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.Stream(self._screen)
        self._changed = threading.Condition(threading.RLock())
        self._ours, self.end = pty.openpty()
        fcntl.ioctl(self.end, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hang_up()
        os.close(self._ours)

    def hang_up(self) -> None:
        """Close our copy of the end, and wait for the last that was written to it."""
        if self.end >= 0:
            os.close(self.end)
            self.end = -1
            self._reader.join(LIMIT_S)

    def vanish(self) -> None:
        """Close both ends, as when the window is closed: who writes gets an error."""
        os.close(self.end)
        self.end = -1
        os.close(os.dup2(os.open(os.devnull, os.O_RDONLY), self._ours, inheritable=False))

    @property
    def screen(self) -> list[str]:
        """The lines that are not empty."""
        with self._changed:
            return [line.rstrip() for line in self._screen.display if line.strip()]

    @property
    def cursor_hidden(self) -> bool:
        """Whether nobody sees where the next letter goes."""
        return bool(self._screen.cursor.hidden)

    def wait_for(self, seen: Callable[[list[str]], bool]) -> list[str]:
        """Return the screen as soon as it is as wanted."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: seen(self.screen), LIMIT_S)
        assert arrived, "\n".join(self.screen)
        return self.screen

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._ours, 65536).decode(errors="replace")
            except OSError:  # nobody has the other end any more
                return
            if not piece:
                return
            with self._changed:
                self.raw += piece
                self._stream.feed(piece)
                self._changed.notify_all()
