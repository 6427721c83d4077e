"""How many requests may be in flight now: fewer when the server asks for it, slowly more again (AIMD)."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from async_s3_upload.transfer.engine.turnstile import Turnstile

HALVE_EVERY_S = 1.0
"""The requests in flight at one moment are all refused together: that counts once."""
EASED_TO = 0.75
"""So much is left when only requests of others were refused: all halving at once would leave the server half idle."""


class AdaptiveGate:
    """Lets at most ``limit`` through at a time; ``limit`` moves between 1 and ``most``.

    Additive increase: one more after as many successes as are let through. Multiplicative decrease: half, at
    most once a second; ``ease`` takes a quarter, which counts as a part of it. ``least`` is the lowest limit
    there ever was, ``peak`` the most ever let through.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._halved_at = self._eased_at = -HALVE_EVERY_S
        self._places = Turnstile(most)
        self.limit = float(most)
        self.least = most

    @property
    def peak(self) -> int:
        """The most that were ever let through at a time."""
        return self._places.peak

    def passing(self) -> Self:
        """Wait for a place and hold it for an ``async with`` block."""
        return self

    async def __aenter__(self) -> None:
        """Wait for a place."""
        await self._places.take(1)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the place."""
        self._places.give_back(1)

    @property
    def in_flight(self) -> int:
        """So many are let through at this moment."""
        return self._places.used

    @property
    def full(self) -> bool:
        """Whether as many are let through as may be at the very most."""
        return self._places.used >= self._most

    def widen(self, most: int) -> None:
        """Let at most ``most`` through from now on; where the server asked for fewer, that stays."""
        limit = float(most) if self.limit >= self._most else min(self.limit, float(most))
        self._most = most
        self._move(limit)

    def succeeded(self) -> None:
        """Note a request that was served."""
        if self.limit < self._most:
            self._move(min(float(self._most), self.limit + 1.0 / self.limit))

    def throttled(self) -> bool:
        """Note a request that was refused because there are too many; tells whether that halved ``limit``."""
        now = self._clock()
        if now - self._halved_at < HALVE_EVERY_S:
            return False
        eased = now - self._eased_at < HALVE_EVERY_S
        self._halved_at = now
        self._lower(0.5 / EASED_TO if eased else 0.5)
        return True

    def ease(self) -> bool:
        """Note that requests of other workers were refused, where this one's were not in the last second.

        Tells whether that lowered ``limit``, which it does once a second.
        """
        now = self._clock()
        if now - max(self._halved_at, self._eased_at) < HALVE_EVERY_S:
            return False
        self._eased_at = now
        self._lower(EASED_TO)
        return True

    def _lower(self, to: float) -> None:
        self._move(max(1.0, self.limit * to))
        self.least = min(self.least, int(self.limit))

    def _move(self, limit: float) -> None:
        self.limit = limit
        self._places.resize(int(limit))
