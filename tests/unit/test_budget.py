"""The budget of bytes that the coroutines of a worker share."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from async_s3_upload.transfer.engine.budget import ByteBudget


class Holder:
    """A coroutine that holds bytes until it is told to let go."""

    def __init__(self, budget: ByteBudget, size: int) -> None:
        self.has = False
        self._let_go = asyncio.Event()
        self.task = asyncio.create_task(self._hold(budget, size))

    async def _hold(self, budget: ByteBudget, size: int) -> None:
        async with budget.hold(size):
            self.has = True
            try:
                await self._let_go.wait()
            finally:
                self.has = False

    async def let_go(self) -> None:
        self._let_go.set()
        await self.task

    async def cancel(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


async def settle() -> None:
    """Let every task that can go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def start(budget: ByteBudget, *sizes: int) -> list[Holder]:
    holders = []
    for size in sizes:
        holders.append(Holder(budget, size))
        await settle()
    return holders


async def test_what_fits_is_given_at_once() -> None:
    budget = ByteBudget(10)
    holders = await start(budget, 4, 6, 0)
    assert [holder.has for holder in holders] == [True, True, True]
    assert budget.peak == 10
    for holder in holders:
        await holder.let_go()


async def test_what_does_not_fit_waits_until_bytes_come_back() -> None:
    budget = ByteBudget(10)
    first, second = await start(budget, 6, 5)
    assert (first.has, second.has) == (True, False)
    await first.let_go()
    await settle()
    assert second.has
    await second.let_go()
    assert budget.peak == 6


async def test_bytes_are_given_in_the_order_of_asking_so_that_the_big_ones_do_not_starve() -> None:
    budget = ByteBudget(10)
    first, big, small = await start(budget, 6, 10, 1)
    assert (big.has, small.has) == (False, False)
    await first.let_go()
    await settle()
    assert (big.has, small.has) == (True, False)
    await big.let_go()
    await settle()
    assert small.has
    await small.let_go()


async def test_a_request_for_more_than_all_has_the_whole_budget_alone() -> None:
    budget = ByteBudget(10)
    small, huge, after = await start(budget, 1, 1000, 1)
    assert (huge.has, after.has) == (False, False)
    await small.let_go()
    await settle()
    assert (huge.has, after.has) == (True, False)
    await huge.let_go()
    await settle()
    assert after.has
    await after.let_go()
    assert budget.peak == 10


async def test_one_return_may_serve_several_that_wait() -> None:
    budget = ByteBudget(10)
    first, *others = await start(budget, 10, 3, 3, 3, 3)
    await first.let_go()
    await settle()
    assert [holder.has for holder in others] == [True, True, True, False]
    for holder in others:
        await holder.let_go()


async def test_an_error_in_the_block_gives_the_bytes_back() -> None:
    budget = ByteBudget(10)
    with pytest.raises(ZeroDivisionError):
        async with budget.hold(10):
            _ = 1 / 0
    async with asyncio.timeout(5), budget.hold(10):
        pass


async def test_one_that_is_cancelled_while_it_waits_leaves_the_queue() -> None:
    budget = ByteBudget(10)
    first, big, small = await start(budget, 6, 10, 4)
    await big.cancel()
    await settle()
    assert small.has
    for holder in (first, small):
        await holder.let_go()


async def test_one_that_is_cancelled_in_the_moment_of_its_turn_gives_the_bytes_back() -> None:
    budget = ByteBudget(10)
    async with budget.hold(10):
        second, third = await start(budget, 10, 10)
    second.task.cancel()  # its turn was granted, it has not run yet
    await settle()
    assert second.task.cancelled()
    assert third.has
    await third.let_go()


async def test_cancelling_a_holder_and_those_that_wait_at_once_loses_nothing() -> None:
    budget = ByteBudget(10)
    holders = await start(budget, 10, 10, 3, 3)
    for holder in holders:
        holder.task.cancel()
    results = await asyncio.gather(*(holder.task for holder in holders), return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] * 4
    async with asyncio.timeout(2), budget.hold(10):
        pass


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 20),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 4), st.integers(0, 12)), max_size=25),
)
def test_never_more_than_the_total_is_out_and_everything_comes_back(
    total: int, requests: list[tuple[int, int, int]]
) -> None:
    """Each request is (size, rounds to hold it, the round in which it is cancelled; 10 and more: never)."""
    out = 0

    async def use(budget: ByteBudget, size: int, rounds: int) -> None:
        nonlocal out
        async with budget.hold(size):
            out += min(size, total)
            assert out <= total
            try:
                for _ in range(rounds):
                    await asyncio.sleep(0)
            finally:
                out -= min(size, total)

    async def all_of_them() -> None:
        budget = ByteBudget(total)
        tasks = [asyncio.create_task(use(budget, size, rounds)) for size, rounds, _ in requests]
        for moment in range(10):
            for task, (_, _, cancelled_at) in zip(tasks, requests, strict=True):
                if cancelled_at == moment:
                    task.cancel()
            await asyncio.sleep(0)
        async with asyncio.timeout(2):
            results = await asyncio.gather(*tasks, return_exceptions=True)
            async with budget.hold(total):  # all is there again
                pass
        assert all(result is None or isinstance(result, asyncio.CancelledError) for result in results)
        assert budget.peak <= total

    asyncio.run(all_of_them())


async def test_a_total_that_shrinks_holds_for_who_comes_next_and_one_that_grows_lets_more_in() -> None:
    budget = ByteBudget(10)
    first, second, third = (Holder(budget, size) for size in (10, 10, 1))
    await asyncio.sleep(0)
    assert [holder.has for holder in (first, second, third)] == [True, False, False]
    budget.resize(5)
    await first.let_go()
    await asyncio.sleep(0)
    assert [holder.has for holder in (second, third)] == [True, False], "what is more than all gets all, alone"
    budget.resize(11)
    await asyncio.sleep(0)
    assert third.has
    await second.let_go()
    await third.let_go()
