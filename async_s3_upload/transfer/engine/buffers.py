"""Buffers for file contents, used again and again: fresh memory of megabytes costs a page fault each 4 KiB."""

from __future__ import annotations

from types import TracebackType

from async_s3_upload.transfer.engine.budget import ByteBudget

MiB = 1024 * 1024
LEAST = MiB // 4
DOUBLING_TO = 16 * MiB
"""Sizes of buffers double from LEAST to here, so that those of files of any sizes are used again."""


def buffer_size(size: int) -> int:
    """Return how many bytes a buffer for ``size`` bytes has; small ones are exact."""
    if size <= LEAST:
        return size
    if size > DOUBLING_TO:
        return -(-size // MiB) * MiB
    return int(LEAST << (-(-size // LEAST) - 1).bit_length())


class Buffers:
    """Lends buffers within a byte budget; ``allocated`` are the bytes of all, lent and free."""

    def __init__(self, memory: ByteBudget, total: int) -> None:
        """Keep free buffers as long as all together have at most ``total`` bytes."""
        self._memory = memory
        self._total = total
        self._free: list[bytearray] = []
        self.allocated = 0

    def lend(self, size: int) -> Loan:
        """Return the loan of ``size`` bytes, an async context manager that gives a view of that length."""
        return Loan(self, self._memory, size)

    def take(self, size: int) -> bytearray:
        """Return a free buffer of ``size`` bytes, or a new one."""
        for place, buffer in enumerate(self._free):
            if len(buffer) == size:
                return self._free.pop(place)
        while self._free and self.allocated + size > self._total:
            self.forget(self._free.pop(0))
        self.allocated += size
        return bytearray(size)

    def give_back(self, buffer: bytearray) -> None:
        """Take a buffer back for the next loan; small ones come in all sizes and are not kept."""
        if len(buffer) <= LEAST:
            self.forget(buffer)
        else:
            self._free.append(buffer)

    def forget(self, buffer: bytearray) -> None:
        """Let a buffer go for good."""
        self.allocated -= len(buffer)


class Loan:
    """One buffer for the time of a block. After an error it is not used again: a connection may still hold it."""

    def __init__(self, buffers: Buffers, memory: ByteBudget, size: int) -> None:
        self._buffers = buffers
        self._size = size
        self._whole = buffer_size(size)
        self._held = memory.hold(self._whole)
        self._buffer: bytearray

    async def __aenter__(self) -> memoryview:
        """Wait for the budget, then for nothing more: the token comes before the buffer."""
        await self._held.__aenter__()
        self._buffer = self._buffers.take(self._whole)
        return memoryview(self._buffer)[: self._size]

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the buffer back."""
        if error is None:
            self._buffers.give_back(self._buffer)
        else:
            self._buffers.forget(self._buffer)
        del self._buffer
        await self._held.__aexit__(kind, error, trace)
