"""A budget of bytes in memory, shared by the coroutines of one worker."""

from __future__ import annotations

from types import TracebackType

from async_s3_upload.transfer.engine.turnstile import Turnstile


class ByteBudget:
    """At most ``total`` bytes at a time, given out in the order of asking.

    A request for more than ``total`` waits until it has the whole budget alone. ``peak`` is the most that
    was ever out, in bytes.
    """

    def __init__(self, total: int) -> None:
        self._bytes = Turnstile(total)

    @property
    def peak(self) -> int:
        """The most bytes that were ever out."""
        return self._bytes.peak

    def resize(self, total: int) -> None:
        """Give out at most ``total`` from now on; what is out stays out."""
        self._bytes.resize(total)

    def hold(self, size: int) -> _Held:
        """Hold ``size`` bytes for an ``async with`` block; take the token before the buffer."""
        return _Held(self._bytes, min(size, self._bytes.capacity))

    @property
    def free(self) -> int:
        """Bytes that are not held."""
        return self._bytes.capacity - self._bytes.used

    @property
    def crowded(self) -> bool:
        """Whether somebody waits for bytes."""
        return self._bytes.crowded

    async def nobody_waits(self) -> None:
        """Return once nobody waits for bytes: who begins something then keeps nobody else's turn up."""
        await self._bytes.nobody_waits()


class _Held:
    """Bytes that are held for a block; contextlib's way would cost several times as much for each file."""

    __slots__ = ("_bytes", "_share")

    def __init__(self, budget: Turnstile, share: int) -> None:
        self._bytes = budget
        self._share = share

    async def __aenter__(self) -> None:
        await self._bytes.take(self._share)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bytes.give_back(self._share)
