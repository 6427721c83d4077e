"""Who else has to make fewer requests when S3 refuses those of some.

S3's limits are of a prefix or an account, and all workers of a command share them: that one worker is refused is the
same news for the others. Each would hear it by a refusal of its own; told of those of others it need not have one.
Three things must not come of it:

- That N workers which are refused in the same second count N times, and all end with one request each. Who halved by
  itself within HALVE_EVERY_S is not told, the others are told at most once in that time, and a gate goes down to a half
  at most in that time, whatever the reasons.
- That all halve at once, and the server is half idle until they are back. Alone, those halve that meet the limit, at
  different times. So who is only told does a quarter less, and half if it is refused as well.
- That the odd refusal, of which S3 has some with any load, slows the whole cluster: of 64 workers each may have one in
  a minute, that is one a second for all, and requests that take half a second do not recover from that. So the others
  are told when one in ONE_IN of those that work was refused within HALVE_EVERY_S. Of up to four workers that is any.

docs/adr/0011 has the measurement.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

from async_s3_upload.transfer.engine.gate import HALVE_EVERY_S

W = TypeVar("W", bound=Hashable)
ONE_IN = 4
"""One worker in so many has to be refused within a second: by then it is the load, and no accident."""


class Congestion(Generic[W]):
    """Decides who is told. It has no clock: each call is told ``now``, in seconds."""

    def __init__(self) -> None:
        self._halved_at: dict[W, float] = {}
        self._told_at = -HALVE_EVERY_S

    def halved(self, who: W, everybody: Iterable[W], working: int, now: float) -> list[W]:
        """Note that ``who`` has halved by itself; return those of ``everybody`` that have to be told to.

        ``working`` is the number of those that have work.
        """
        self._halved_at[who] = now
        for other in [other for other, at in self._halved_at.items() if now - at >= HALVE_EVERY_S]:
            del self._halved_at[other]
        if now - self._told_at < HALVE_EVERY_S or ONE_IN * len(self._halved_at) < working:
            return []
        self._told_at = now
        return [other for other in everybody if other not in self._halved_at]
