"""The one retry layer: jittered exponential back-off around each request, visible and bounded."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from async_s3_upload.transfer.stores.store import Transient

T = TypeVar("T")
MOST_REST_S = 1.0
"""Longer rests refuse hardly fewer: `python -m benchmarks simulate-scale`, 512 workers on one partition."""
_limit: ContextVar[asyncio.Timeout | None] = ContextVar("limit of the request", default=None)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """``attempts`` in all; before retry n a random pause up to ``base_s * 2**(n-1)``, at most ``cap_s`` seconds."""

    attempts: int = 10
    base_s: float = 0.25
    cap_s: float = 20.0

    def pause_s(self, retry: int, draw: float) -> float:
        """Return the pause before retry number ``retry`` (from 1) for a ``draw`` from [0, 1).

        At least half of the ceiling, so that a server under load gets its rest.
        """
        ceiling = min(self.cap_s, self.base_s * 2.0 ** (retry - 1))
        return ceiling * (0.5 + 0.5 * draw)

    def rest_s(self, attempt: int) -> float:
        """Return how long a request keeps its place in flight when attempt number ``attempt`` was one too many."""
        return min(MOST_REST_S, self.base_s * 2.0 ** (attempt - 1))


async def within(limit_s: float, call: Awaitable[T]) -> T:
    """Await ``call`` for at most ``limit_s`` seconds: a stalled socket is a retry, never a hang.

    Raises:
        Transient: there was no answer in time.
    """
    try:
        async with asyncio.timeout(limit_s) as limit:
            before = _limit.set(limit)
            try:
                return await call
            finally:
                _limit.reset(before)
    except TimeoutError:
        raise Transient(f"no answer within {limit_s:.0f} s") from None


@contextmanager
def paused() -> Iterator[None]:
    """Stop the clock of the surrounding ``within`` for the block, also in tasks that its call has started.

    For waits that are not the server's.
    """
    limit = _limit.get()
    end = limit.when() if limit is not None else None
    if limit is None or end is None:
        yield
        return
    loop = asyncio.get_running_loop()
    left_s = end - loop.time()
    # RuntimeError: the request has just ended, and with it its limit
    with suppress(RuntimeError):
        limit.reschedule(None)
    try:
        yield
    finally:
        with suppress(RuntimeError):
            limit.reschedule(loop.time() + left_s)


async def retrying(
    policy: RetryPolicy,
    attempt: Callable[[int], Awaitable[T]],
    on_retry: Callable[[int, Transient], None],
) -> T:
    """Call ``attempt(n)``, n from 1, until it returns.

    ``attempt`` must be idempotent: it may have taken effect although it raised. Only Transient is tried
    again; ``on_retry(n, error)`` is told of it before the pause.

    Raises:
        Transient: the last attempt's error.
    """
    number = 1
    while True:
        try:
            return await attempt(number)
        except Transient as error:
            # no longer-lived name may hold the error: its traceback holds this frame, and that the request's body
            if number >= policy.attempts:
                raise
            on_retry(number, error)
        await asyncio.sleep(policy.pause_s(number, random.random()))  # noqa: S311 - jitter, no secret
        number += 1
