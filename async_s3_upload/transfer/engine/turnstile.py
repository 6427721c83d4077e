"""A bounded amount of anything, given out in the order of asking; nothing is lost with a waiter that is cancelled."""

from __future__ import annotations

import asyncio
from collections import deque


class Turnstile:
    """At most ``capacity`` is out at a time. ``peak`` is the most that ever was.

    Who asks for more than is free waits, and whoever comes later waits behind. ``capacity`` may be changed with
    ``resize``; what is out then stays out.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.used = 0
        self.peak = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._onlookers: list[asyncio.Future[None]] = []

    async def take(self, amount: int) -> None:
        """Take ``amount``, which has to be given back, as soon as it is free."""
        if not self._waiting and self._has_room(amount):
            self._grant(amount)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((amount, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # granted in the same moment: give it back
                self.used -= amount
            self._wake()
            raise

    def give_back(self, amount: int) -> None:
        """Return what was taken."""
        self.used -= amount
        if self._waiting:
            self._wake()

    def resize(self, capacity: int) -> None:
        """Change how much may be out."""
        self.capacity = capacity
        if self._waiting:
            self._wake()

    @property
    def crowded(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    async def nobody_waits(self) -> None:
        """Return once nobody waits."""
        while self._waiting:
            gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._onlookers.append(gone)
            await gone

    def _has_room(self, amount: int) -> bool:
        """What is more than a capacity that has shrunk meanwhile gets the whole alone."""
        return not self.used or self.used + amount <= self.capacity

    def _grant(self, amount: int) -> None:
        self.used += amount
        if self.used > self.peak:
            self.peak = self.used

    def _wake(self) -> None:
        while self._waiting:
            amount, turn = self._waiting[0]
            if not turn.cancelled() and not self._has_room(amount):
                return
            self._waiting.popleft()
            if not turn.cancelled():  # its task may have been cancelled in this very moment and not run since
                self._grant(amount)
                turn.set_result(None)
        for onlooker in self._onlookers:
            if not onlooker.done():
                onlooker.set_result(None)
        self._onlookers.clear()
