"""A limit of bytes a second for all workers together.

The coordinator's process has the one true bucket of bytes, which fills at the rate of the hour. A worker asks when
it has none left and is lent a quantum, for a fraction of a second: messages are few, bandwidth goes where
bytes wait for it, and a worker that is idle, dead or on another machine holds nothing back.

In any 10 seconds at most ``10 s + BURST_S + LEASE_S`` and what a message takes, as worth of bytes, can go: what the
bucket held, what came in, and what was lent just before. Whatever the number of workers, that is within 5 % for
messages of up to 50 ms. They take less than 1 ms through a pipe, and 2 to 15 ms through a Dask scheduler.

Nothing is lost for messages that take long: who asks is lent what has gathered meanwhile, as much as the bucket holds.
A scheduler works 1 to 2 ms for each time that is lent, so that a lot of workers are lent more at a time, less often.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from async_s3_upload.timetable import Timetable
from async_s3_upload.transfer.messages import BandwidthGrant, BandwidthWanted, WorkerSettings
from async_s3_upload.transfer.pace import SLICE_BYTES

W = TypeVar("W", bound=Hashable)
BURST_S = 0.15
"""The bucket holds the bytes of so many seconds: what nobody asks for while messages are on their way is not lost."""
QUANTUM_S = 0.1
"""All askers together are lent the bytes of so many seconds at a time: about 10 messages a second from each."""
LEAST_QUANTUM_S = 0.02
"""Each is lent the bytes of so many seconds at least: about 50 messages a second from all, however many they are."""
ACTIVE_S = 1.0
"""A worker shares in the bandwidth until it has not asked for so long."""


class Bucket(Generic[W]):
    """Decides who is lent how much and when. It has no clock: each call is told ``now`` and the ``rate`` of now."""

    def __init__(self) -> None:
        self._level = 0.0
        self._rate: float | None = None
        self._at: float | None = None
        self._asking: dict[W, None] = {}
        self._asked_at: dict[W, float] = {}

    def want(self, who: W, back: float, now: float, rate: float | None) -> None:
        """Note that a worker asks, and gives ``back`` what lapsed."""
        self._advance(now, rate)
        if rate is not None:
            self._level = min(self._level + back, rate * BURST_S)
        self._asking[who] = None
        self._asked_at[who] = now

    def due(self, now: float, rate: float | None) -> list[tuple[W, BandwidthGrant]]:
        """Return what is lent now, to whom: in the order of asking, a quantum each."""
        self._advance(now, rate)
        if rate is None:
            everybody, self._asking = self._asking, {}
            return [(who, BandwidthGrant(None, None)) for who in everybody]
        active = self._active(now)
        quantum = _quantum(rate, active)
        grants = []
        while self._asking and self._level >= quantum:
            # more than a quantum each has gathered while what they asked was on its way
            size = max(quantum, int(self._level / len(self._asking)))
            who = next(iter(self._asking))
            del self._asking[who]
            self._level -= size
            grants.append((who, BandwidthGrant(size, rate / active)))
        return grants

    def wait_s(self, now: float, rate: float | None) -> float | None:
        """Return in how many seconds something is due next, None where nobody asks."""
        if not self._asking:
            return None
        if rate is None:
            return 0.0
        return max(0.0, (_quantum(rate, self._active(now)) - self._level) / rate)

    def _active(self, now: float) -> int:
        for who in [who for who, asked in self._asked_at.items() if now - asked > ACTIVE_S]:
            if who not in self._asking:
                del self._asked_at[who]
        return max(1, len(self._asked_at))

    def _advance(self, now: float, rate: float | None) -> None:
        if self._at is None and rate is not None:
            self._level = rate * BURST_S
        elif self._at is not None and self._rate is not None:
            self._level += self._rate * (now - self._at)
        # what was unlimited until now starts with nothing: enough is on its way
        self._level = 0.0 if rate is None else min(self._level, rate * BURST_S)
        self._rate, self._at = rate, now


def _quantum(rate: float, active: int) -> int:
    whole = rate * QUANTUM_S
    return max(1, int(max(whole / active, rate * LEAST_QUANTUM_S, min(whole, SLICE_BYTES))))


def minute_of_day() -> int:
    """Return the local time in minutes since midnight."""
    now = time.localtime()
    return 60 * now.tm_hour + now.tm_min


class Lender(Generic[W]):
    """The coordinator's side, in its event loop: answers each worker that asks, as soon as there is bandwidth."""

    def __init__(
        self,
        timetable: Timetable,
        answer: Callable[[W, BandwidthGrant], None],
        clock: Callable[[], float] = time.monotonic,
        minute: Callable[[], int] = minute_of_day,
    ) -> None:
        self._timetable = timetable
        self._answer = answer
        self._clock = clock
        self._minute = minute
        self._bucket: Bucket[W] = Bucket()
        self._timer: asyncio.TimerHandle | None = None

    def asked(self, who: W, wanted: BandwidthWanted) -> None:
        """Take what a worker asks; the answer comes at once or later."""
        self._bucket.want(who, wanted.back, self._clock(), self._rate())
        if self._timer is None:
            self._lend()

    def _rate(self) -> float | None:
        return self._timetable.rate_at(self._minute())

    def _lend(self) -> None:
        self._timer = None
        now, rate = self._clock(), self._rate()
        for who, grant in self._bucket.due(now, rate):
            self._answer(who, grant)
        wait_s = self._bucket.wait_s(now, rate)
        if wait_s is not None:
            self._timer = asyncio.get_running_loop().call_later(max(wait_s, 0.001), self._lend)


def patience_s(settings: WorkerSettings, workers: int) -> float:
    """Return how many seconds may pass without any success just because the rate is low.

    All bodies that are held in memory may be on their way at the same time, at the lowest rate of the day.
    """
    lowest = settings.bandwidth.lowest if settings.bandwidth is not None else None
    return 0.0 if lowest is None else workers * settings.limits.memory_bytes / lowest
