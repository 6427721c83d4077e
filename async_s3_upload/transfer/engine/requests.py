"""Every request of the engine passes here: a place in flight, a time limit, retries, fresh credentials."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from async_s3_upload.transfer.engine.gate import AdaptiveGate
from async_s3_upload.transfer.engine.pacer import Pacer
from async_s3_upload.transfer.messages import Limits
from async_s3_upload.transfer.stores.retry import RetryPolicy, retrying, within
from async_s3_upload.transfer.stores.store import ObjectStore, Throttled, Transient

log = logging.getLogger(__name__)
T = TypeVar("T")

COMPLETE_TIMES = 20
"""Joining parts takes a server minutes for big objects (AWS, CompleteMultipartUpload): it has so many times the
base limit, 10 minutes by default."""


class Requests:
    """Makes requests to one store; ``attempts`` counts them, retries included, and ``retries`` those alone.

    With a ``pacer`` those that carry bytes wait for its place before they begin.
    """

    def __init__(
        self, store: ObjectStore, limits: Limits, retry: RetryPolicy | None = None, pacer: Pacer | None = None
    ) -> None:
        self.store = store
        self.gate = AdaptiveGate(limits.concurrency)
        self.on_halved: Callable[[], None] = lambda: None
        """Called when a refusal has halved what is in flight, not when it was eased."""
        self.attempts = 0
        self.retries = 0
        self.complete_limit_s = COMPLETE_TIMES * limits.request_base_s
        self._limits = limits
        self._pacer = pacer
        self._retry = retry or RetryPolicy(attempts=limits.attempts)

    async def make(self, what: str, call: Callable[[int], Awaitable[T]], *, size: int = 0, limit_s: float = 0.0) -> T:
        """Make the request ``call(attempt)``, attempt from 1, which carries ``size`` bytes.

        Each attempt has the base limit plus its size at the minimum rate, at least ``limit_s`` seconds. The
        pauses between attempts hold no place in flight, but for a rest after each refusal for being too many.

        Raises:
            StoreError: the last attempt's.
        """
        limit_s = max(limit_s, self._limits.request_base_s + size / self._limits.min_rate)

        async def refreshed(number: int) -> T:
            await self.store.refresh()
            return await call(number)

        async def attempt(number: int) -> T:
            async with self.gate.passing():
                self.attempts += 1
                try:
                    result = await within(limit_s, refreshed(number))
                except Throttled:
                    if self.gate.throttled():
                        self.on_halved()
                    # others would take its place at once, and be refused as well
                    await asyncio.sleep(self._retry.rest_s(number))
                    raise
            self.gate.succeeded()
            return result

        def note(number: int, error: Transient) -> None:
            self.retries += 1
            # the first is everyday life of a network and would fill the log of a throttled run
            level = logging.DEBUG if number == 1 else logging.WARNING
            # as text: whoever keeps the record must not keep the error, whose traceback holds the body
            log.log(level, "%s: attempt %d failed, trying again: %s", what, number, str(error))

        if self._pacer is None or not size:
            return await retrying(self._retry, attempt, note)
        pacer = self._pacer

        async def paced(number: int) -> T:
            async with pacer.body(size):
                return await attempt(number)

        return await retrying(self._retry, paced, note)
