"""The gate: fewer requests in flight when the server asks for it, slowly more again; no place is ever lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from async_s3_upload.transfer.engine.gate import HALVE_EVERY_S, AdaptiveGate


class Clock:
    """A clock that goes on only when it is told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Passer:
    """A coroutine that holds a place until it is told to let go."""

    def __init__(self, gate: AdaptiveGate) -> None:
        self.inside = False
        self._let_go = asyncio.Event()
        self.task = asyncio.create_task(self._pass(gate))

    async def _pass(self, gate: AdaptiveGate) -> None:
        async with gate.passing():
            self.inside = True
            try:
                await self._let_go.wait()
            finally:
                self.inside = False

    async def leave(self) -> None:
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


async def start(gate: AdaptiveGate, count: int) -> list[Passer]:
    passers = []
    for _ in range(count):
        passers.append(Passer(gate))
        await settle()
    return passers


def inside(passers: list[Passer]) -> list[int]:
    return [number for number, passer in enumerate(passers) if passer.inside]


async def end(passers: list[Passer]) -> None:
    for passer in passers:
        await passer.cancel()


async def test_only_so_many_pass_and_the_next_ones_in_the_order_of_coming() -> None:
    gate = AdaptiveGate(2)
    passers = await start(gate, 5)
    assert inside(passers) == [0, 1]
    await passers[1].leave()
    await settle()
    assert inside(passers) == [0, 2]
    await passers[0].leave()
    await settle()
    assert inside(passers) == [2, 3]
    assert gate.peak == 2
    await end(passers)


async def test_nobody_overtakes_those_who_wait() -> None:
    gate = AdaptiveGate(1)
    passers = await start(gate, 2)
    passers[0]._let_go.set()
    late = Passer(gate)  # comes in the moment in which the place is passed on
    await settle()
    assert passers[1].inside
    assert not late.inside
    await end([*passers, late])


async def test_it_does_a_quarter_less_when_others_are_throttled_once_a_second_and_not_after_it_was_itself() -> None:
    clock = Clock()
    gate = AdaptiveGate(16, clock)
    assert [gate.ease(), gate.ease()] == [True, False]
    assert (gate.limit, gate.least) == (12, 12)
    assert gate.throttled()
    assert gate.limit == pytest.approx(8), "half in all"
    clock.now_s += HALVE_EVERY_S - 0.01
    assert not gate.ease()
    clock.now_s += 0.01
    assert gate.ease()
    assert gate.limit == pytest.approx(6)
    for _ in range(40):
        clock.now_s += HALVE_EVERY_S
        gate.ease()
    assert gate.limit == 1


async def test_being_throttled_halves_at_most_once_a_second() -> None:
    clock = Clock()
    gate = AdaptiveGate(16, clock)
    for _ in range(10):
        gate.throttled()
    assert gate.limit == 8
    clock.now_s += HALVE_EVERY_S - 0.01
    gate.throttled()
    assert gate.limit == 8
    clock.now_s += 0.01
    gate.throttled()
    assert gate.limit == 4
    assert gate.least == 4


async def test_it_never_closes() -> None:
    clock = Clock()
    gate = AdaptiveGate(16, clock)
    for _ in range(100):
        clock.now_s += HALVE_EVERY_S
        gate.throttled()
    assert gate.limit == gate.least == 1
    passers = await start(gate, 2)
    assert inside(passers) == [0]
    await end(passers)


async def test_as_many_successes_as_places_give_one_place_more() -> None:
    clock = Clock()
    gate = AdaptiveGate(16, clock)
    gate.throttled()
    for _ in range(9):
        gate.succeeded()
    assert int(gate.limit) == 9
    for _ in range(500):
        gate.succeeded()
    assert gate.limit == 16, "and never more than at first"


async def test_a_place_that_is_given_back_lets_in_who_waits() -> None:
    clock = Clock()
    gate = AdaptiveGate(2, clock)
    gate.throttled()
    passers = await start(gate, 2)
    assert inside(passers) == [0]
    gate.succeeded()
    await settle()
    assert inside(passers) == [0, 1]
    await end(passers)


async def test_those_inside_stay_when_the_limit_falls_and_the_next_wait_until_there_are_less() -> None:
    clock = Clock()
    gate = AdaptiveGate(4, clock)
    passers = await start(gate, 6)
    gate.throttled()
    assert inside(passers) == [0, 1, 2, 3]
    await passers[0].leave()
    await passers[1].leave()
    await settle()
    assert inside(passers) == [2, 3]
    await passers[2].leave()
    await settle()
    assert inside(passers) == [3, 4]
    await end(passers)


async def test_an_error_in_the_block_gives_the_place_back() -> None:
    gate = AdaptiveGate(1)
    with pytest.raises(ZeroDivisionError):
        async with gate.passing():
            _ = 1 / 0
    async with asyncio.timeout(5), gate.passing():
        pass


async def test_one_that_is_cancelled_while_it_waits_leaves_the_queue() -> None:
    gate = AdaptiveGate(1)
    passers = await start(gate, 3)
    await passers[1].cancel()
    await passers[0].leave()
    await settle()
    assert inside(passers) == [2]
    await end(passers)


async def test_one_that_is_cancelled_in_the_moment_of_its_turn_passes_the_place_on() -> None:
    gate = AdaptiveGate(1)
    async with gate.passing():
        second, third = await start(gate, 2)
    second.task.cancel()  # it was let in, but has not run yet
    await settle()
    assert second.task.cancelled()
    assert third.inside
    await end([third])


async def test_a_place_given_to_one_that_is_just_cancelled_goes_to_the_next() -> None:
    gate = AdaptiveGate(1)
    first, second, third = await start(gate, 3)
    second.task.cancel()  # has not run since
    first._let_go.set()
    await settle()
    assert third.inside
    await end([first, second, third])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 6),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 12), st.sampled_from(["ok", "throttled"])), max_size=25),
)
def test_never_more_than_the_limit_pass_and_no_place_is_lost(most: int, visits: list[tuple[int, int, str]]) -> None:
    """Each visit is (rounds inside, the round in which it is cancelled; 10 and more: never, how it ends)."""
    count = 0

    async def visit(gate: AdaptiveGate, clock: Clock, rounds: int, outcome: str) -> None:
        nonlocal count
        async with gate.passing():
            count += 1
            assert count <= most
            try:
                for _ in range(rounds):
                    await asyncio.sleep(0)
                clock.now_s += 0.4
                if outcome == "throttled":
                    gate.throttled()
            finally:
                count -= 1
        if outcome == "ok":
            gate.succeeded()

    async def all_of_them() -> None:
        clock = Clock()
        gate = AdaptiveGate(most, clock)
        tasks = [asyncio.create_task(visit(gate, clock, rounds, outcome)) for rounds, _, outcome in visits]
        for moment in range(10):
            for task, (_, cancelled_at, _) in zip(tasks, visits, strict=True):
                if cancelled_at == moment:
                    task.cancel()
            await asyncio.sleep(0)
        async with asyncio.timeout(2):
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(result is None or isinstance(result, asyncio.CancelledError) for result in results)
            for _ in range(1000):
                gate.succeeded()
            passers = await start(gate, most + 1)
            assert inside(passers) == list(range(most))  # every place is there again
            await end(passers)
        assert 1 <= gate.limit <= most
        assert gate.peak <= most

    asyncio.run(all_of_them())
