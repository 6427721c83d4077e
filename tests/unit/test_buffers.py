"""Buffers are used again, and never more of them than the budget allows."""

import asyncio

import pytest

from async_s3_upload.transfer.engine.budget import ByteBudget
from async_s3_upload.transfer.engine.buffers import Buffers, MiB, buffer_size


def buffers_of(total: int) -> Buffers:
    return Buffers(ByteBudget(total), total)


async def test_a_buffer_that_was_given_back_is_lent_again() -> None:
    buffers = buffers_of(64 * MiB)
    seen = set()
    for size in (8 * MiB, 8 * MiB - 7, 5 * MiB, 4 * MiB + 1):
        async with buffers.lend(size) as view:
            assert len(view) == size
            seen.add(id(view.obj))
    assert len(seen) == 1
    assert buffers.allocated == 8 * MiB


async def test_after_an_error_a_buffer_is_not_used_again() -> None:
    buffers = buffers_of(64 * MiB)

    async def fail() -> object:
        async with buffers.lend(8 * MiB) as view:
            kept.append(view)
            raise ValueError("trouble")

    kept: list[memoryview] = []
    with pytest.raises(ValueError, match="trouble"):
        await fail()
    async with buffers.lend(8 * MiB) as view:
        assert view.obj is not kept[0].obj
    assert buffers.allocated == 8 * MiB


async def test_a_cancelled_loan_is_not_used_again_and_its_budget_comes_back() -> None:
    buffers = buffers_of(8 * MiB)
    kept: list[memoryview] = []

    async def hang() -> None:
        async with buffers.lend(8 * MiB) as view:
            kept.append(view)
            await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    while not kept:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with buffers.lend(8 * MiB) as view:
        assert view.obj is not kept[0].obj


@pytest.mark.parametrize(
    ("size", "whole"),
    [
        (0, 0),
        (MiB // 4, MiB // 4),
        (MiB // 4 + 1, MiB // 2),
        (8 * MiB, 8 * MiB),
        (8 * MiB + 1, 16 * MiB),
        (16 * MiB, 16 * MiB),
        (16 * MiB + 1, 17 * MiB),
        (97 * MiB, 97 * MiB),
    ],
)
def test_sizes_of_buffers_double(size: int, whole: int) -> None:
    assert buffer_size(size) == whole


async def test_a_small_loan_does_not_take_a_large_buffer() -> None:
    buffers = buffers_of(64 * MiB)
    async with buffers.lend(16 * MiB):
        pass
    async with buffers.lend(300_000) as view:
        assert isinstance(view.obj, bytearray)
        assert len(view.obj) == MiB // 2


async def test_all_buffers_together_stay_within_the_total() -> None:
    buffers = buffers_of(64 * MiB)
    peak = 0

    async def use(size: int) -> None:
        nonlocal peak
        async with buffers.lend(size):
            peak = max(peak, buffers.allocated)
            await asyncio.sleep(0)

    for size in (16 * MiB, 3 * MiB, MiB, 300_000, 8 * MiB, 16 * MiB):
        await asyncio.gather(*(use(size) for _ in range(100)))
    assert 0 < peak <= 64 * MiB
