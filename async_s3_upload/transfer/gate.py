"""How many requests may be in flight now: fewer when the server asks for it, slowly more again (AIMD)."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

HALVE_EVERY_S = 1.0
"""The requests in flight at one moment are all refused together: that counts once."""


class AdaptiveGate:
    """Lets at most ``limit`` through at a time; ``limit`` moves between 1 and ``most``.

    Additive increase: one more after as many successes as are let through. Multiplicative decrease: half, at
    most once a second. ``least`` is the lowest limit there ever was, ``peak`` the most ever let through.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._halved_at = -HALVE_EVERY_S
        self._inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.limit = float(most)
        self.least = most
        self.peak = 0

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """Wait for a place and hold it for the block."""
        await self._enter()
        try:
            yield
        finally:
            self._inside -= 1
            self._wake()

    async def _enter(self) -> None:
        if not self._waiting and self._inside < int(self.limit):
            self._let_in()
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # let in at the same moment: give the place back
                self._inside -= 1
                self._wake()
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise

    def _let_in(self) -> None:
        self._inside += 1
        self.peak = max(self.peak, self._inside)

    def _wake(self) -> None:
        while self._waiting and self._inside < int(self.limit):
            turn = self._waiting.popleft()
            if not turn.done():
                self._let_in()
                turn.set_result(None)

    def succeeded(self) -> None:
        """Note a request that was served."""
        if self.limit < self._most:
            self.limit = min(float(self._most), self.limit + 1.0 / self.limit)
            self._wake()

    def throttled(self) -> None:
        """Note a request that was refused because there are too many."""
        now = self._clock()
        if now - self._halved_at >= HALVE_EVERY_S:
            self._halved_at = now
            self.limit = max(1.0, self.limit / 2.0)
            self.least = min(self.least, int(self.limit))
