"""How many requests in flight are worth it: more where latency is the limit, not where processor or line are.

A small PUT to S3 takes some 20 to 60 ms, of which the client works less than one: 16 in flight leave it idle. Whether
more help is tried, in steps, and seen in what gets done.
"""

from __future__ import annotations

import math

STEP = 2.0
WORTH = 0.4
"""A step is kept where it brings at least this share of what it would bring if latency alone were the limit."""
BUSY = 0.8
"""A process that uses so much of a core is not tried: it cannot do more."""
REST = 20
"""Observations until another step is tried after one that was not worth it."""


class Widener:
    """Decides the number of requests in flight between ``start`` and ``most`` from what is observed; pure."""

    def __init__(self, start: int, most: int) -> None:
        self._most = most
        self._now = start
        self._before: tuple[int, float] | None = None
        self._rest = 0
        self._settling = False

    def observe(self, rate: float, cpu_share: float, *, full: bool) -> int:
        """Take what was seen since the last call and return how many may be in flight from now on.

        ``rate`` is the work done a second, in any unit; ``cpu_share`` the cores this process used; ``full`` tells
        that work waited for a place in flight all the time.
        """
        if not full:
            self._before, self._settling = None, False
            return self._now
        if self._settling:  # connections were opened meanwhile, and answers waited for
            self._settling = False
            return self._now
        if self._before is not None:
            number, rate_before = self._before
            self._before = None
            if rate < rate_before * (1 + WORTH * (self._now / number - 1)):
                self._now, self._rest = number, REST
                return self._now
        if self._rest:
            self._rest -= 1
        elif self._now < self._most and cpu_share < BUSY:
            self._before = (self._now, rate)
            self._settling = True
            self._now = min(self._most, math.ceil(self._now * STEP))
        return self._now
