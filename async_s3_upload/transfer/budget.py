"""A budget of bytes in memory, shared by the coroutines of one worker."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class ByteBudget:
    """At most ``total`` bytes at a time, given out in the order of asking.

    A request for more than ``total`` waits until it has the whole budget alone. ``peak`` is the most that
    was ever out, in bytes.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self.peak = 0

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        """Hold ``size`` bytes for the block; take the token before the buffer."""
        share = min(size, self._total)
        await self._take(share)
        try:
            yield
        finally:
            self._used -= share
            self._wake()

    def resize(self, total: int) -> None:
        """Give out at most ``total`` from now on; what is out stays out."""
        self._total = total
        self._wake()

    async def _take(self, share: int) -> None:
        if not self._waiting and self._used + share <= self._total:
            self._grant(share)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((share, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # granted in the same moment: give it back
                self._used -= share
            self._wake()
            raise

    def _grant(self, share: int) -> None:
        self._used += share
        self.peak = max(self.peak, self._used)

    def _wake(self) -> None:
        while self._waiting:
            share, turn = self._waiting[0]
            # what is more than a total that has shrunk meanwhile gets the whole alone
            if not turn.cancelled() and self._used and self._used + share > self._total:
                break
            self._waiting.popleft()
            if not turn.cancelled():  # its task may have been cancelled in this very moment and not run since
                self._grant(share)
                turn.set_result(None)
