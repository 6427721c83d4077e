"""A worker's side of the limit of bandwidth: bytes wait here until the coordinator lends what they need."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from async_s3_upload.transfer.engine.budget import ByteBudget
from async_s3_upload.transfer.messages import BandwidthGrant, BandwidthWanted
from async_s3_upload.transfer.pace import LEASE_S, SLICE_BYTES
from async_s3_upload.transfer.stores.retry import paused

STEADY_S = 2.0
"""No more bodies are begun than can have a slice each in so many seconds: S3 cuts off one that pauses for 20 s."""

NO_END = 2**62


@dataclass(slots=True, eq=False)
class _Waiter:
    size: int
    left: float
    turn: asyncio.Future[None]


class Pacer:
    """Lets bytes through in the order of asking, as the coordinator lends them.

    ``ask`` sends a message to the coordinator, who answers each with ``granted``. Waiting may be cancelled at any
    moment: what was reserved is used by the next.
    """

    def __init__(self, ask: Callable[[BandwidthWanted], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._spare = 0.0
        self._until = 0.0
        self._asked = False
        self._waiting: deque[_Waiter] = deque()
        self._room = SLICE_BYTES
        self._bodies = ByteBudget(self._room)

    @asynccontextmanager
    async def body(self, size: int) -> AsyncIterator[None]:
        """Hold a place for a body of ``size`` bytes on its way; taken before the request, so that it never pauses."""
        async with self._bodies.hold(min(size, SLICE_BYTES)):
            yield

    async def take(self, size: int) -> None:
        """Wait until ``size`` bytes may go; the time limit of the request does not run meanwhile."""
        if not size:
            return
        if not self._waiting and self._spare >= size and self._clock() < self._until:
            self._spare -= size
            return
        waiter = _Waiter(size, size, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        self._serve()
        try:
            with paused():
                await waiter.turn
        except asyncio.CancelledError:
            self._spare += waiter.size - waiter.left
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            self._serve()
            raise

    def granted(self, grant: BandwidthGrant) -> None:
        """Use what the coordinator lends."""
        self._asked = False
        self._until = self._clock() + LEASE_S
        if grant.size is None or grant.rate is None:
            self._spare = math.inf
            self._room = NO_END
        else:
            self._spare += grant.size
            # slowly more: who asks first seems to be alone, until the other workers have started
            self._room = max(SLICE_BYTES, int(min(grant.rate * STEADY_S, self._room * 1.5)))
        self._bodies.resize(self._room)
        self._serve()

    def _serve(self) -> None:
        lapsed = self._clock() >= self._until
        while self._waiting and self._spare and not lapsed:
            first = self._waiting[0]
            if not first.turn.done():  # else it is cancelled and has not run since
                paid = min(first.left, self._spare)
                first.left -= paid
                self._spare -= paid
                if first.left:
                    break
                first.turn.set_result(None)
            self._waiting.popleft()
        if self._waiting and not self._asked:
            back, self._spare = self._spare, 0.0  # what is left here has lapsed
            self._asked = True
            self._ask(BandwidthWanted(0.0 if math.isinf(back) else back))
