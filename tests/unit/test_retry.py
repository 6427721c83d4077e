"""The one retry layer: bounded in attempts and time, and told of."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3_upload.transfer.stores import retry
from async_s3_upload.transfer.stores.retry import RetryPolicy, paused, retrying, within
from async_s3_upload.transfer.stores.store import AccessDenied, Transient

AT_ONCE = RetryPolicy(attempts=4, base_s=0)


class Told(list[tuple[int, str]]):
    """What was told of the retries."""

    def __call__(self, number: int, error: Transient) -> None:
        self.append((number, str(error)))


def failing(*errors: Exception | None) -> tuple[list[int], Callable[[int], Awaitable[str]]]:
    """An attempt that raises these errors in turn, None stands for success; and the numbers it was called with."""
    called: list[int] = []

    async def attempt(number: int) -> str:
        called.append(number)
        error = errors[len(called) - 1]
        if error is not None:
            raise error
        return "done"

    return called, attempt


async def test_what_succeeds_at_once_is_tried_once_and_nobody_is_told() -> None:
    told = Told()
    called, attempt = failing(None)
    assert await retrying(AT_ONCE, attempt, told) == "done"
    assert (called, told) == ([1], [])


async def test_passing_trouble_is_tried_again_and_told_of() -> None:
    told = Told()
    called, attempt = failing(Transient("503"), Transient("reset"), None)
    assert await retrying(AT_ONCE, attempt, told) == "done"
    assert (called, told) == ([1, 2, 3], [(1, "503"), (2, "reset")])


async def test_after_the_last_attempt_its_error_is_raised() -> None:
    told = Told()
    called, attempt = failing(*[Transient(f"trouble {number}") for number in range(1, 9)])
    with pytest.raises(Transient, match="trouble 4"):
        await retrying(AT_ONCE, attempt, told)
    assert called == [1, 2, 3, 4]
    assert [number for number, _ in told] == [1, 2, 3]


async def test_a_single_attempt_is_never_repeated() -> None:
    called, attempt = failing(Transient("once"))
    with pytest.raises(Transient, match="once"):
        await retrying(RetryPolicy(attempts=1), attempt, Told())
    assert called == [1]


@pytest.mark.parametrize("error", [AccessDenied("403"), ValueError("ours"), OSError("disk")])
async def test_trouble_that_stays_is_raised_at_once(error: Exception) -> None:
    called, attempt = failing(error)
    with pytest.raises(type(error)):
        await retrying(AT_ONCE, attempt, Told())
    assert called == [1]


async def test_an_attempt_that_hangs_is_ended_and_tried_again() -> None:
    told = Told()
    ended: list[int] = []

    async def hang_first(number: int) -> str:
        if number == 1:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(number)
        return "done"

    assert await retrying(AT_ONCE, lambda number: within(0.02, hang_first(number)), told) == "done"
    assert (ended, told) == ([1], [(1, "no answer within 0 s")])


async def test_what_always_hangs_ends_after_all_attempts() -> None:
    async def hang(number: int) -> str:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async with asyncio.timeout(5):
        with pytest.raises(Transient, match="no answer within"):
            await retrying(AT_ONCE, lambda number: within(0.01, hang(number)), Told())


async def test_a_cancelled_caller_is_not_held_up_by_retries() -> None:
    begun = asyncio.Event()
    told = Told()

    async def hang(number: int) -> str:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    task = asyncio.create_task(retrying(AT_ONCE, lambda number: within(60, hang(number)), told))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert told == []


async def test_what_ends_in_time_is_not_touched() -> None:
    called, attempt = failing(None)
    assert await within(5, attempt(1)) == "done"
    assert called == [1]


async def test_a_time_out_of_the_call_itself_is_trouble_that_may_pass() -> None:
    called, attempt = failing(TimeoutError(), None)
    assert await retrying(AT_ONCE, lambda number: within(5, attempt(number)), Told()) == "done"
    assert called == [1, 2]


async def test_trouble_of_the_call_passes_the_time_limit_as_it_is() -> None:
    _, attempt = failing(AccessDenied("403"))
    with pytest.raises(AccessDenied, match="403"):
        await within(5, attempt(1))


async def test_pauses_grow_and_stay_below_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(retry, "asyncio", SimpleNamespace(timeout=asyncio.timeout, sleep=sleep))
    _, attempt = failing(*[Transient("again")] * 6)
    with pytest.raises(Transient):
        await retrying(RetryPolicy(attempts=6, base_s=1, cap_s=5), attempt, Told())
    assert len(pauses) == 5
    for pause, ceiling in zip(pauses, [1, 2, 4, 5, 5], strict=True):
        assert ceiling / 2 <= pause <= ceiling


@given(st.integers(1, 60), st.floats(0, 1, exclude_max=True), st.floats(0, 10), st.floats(0, 60))
def test_a_pause_is_between_half_of_its_ceiling_and_the_ceiling(
    number: int, draw: float, base_s: float, cap_s: float
) -> None:
    policy = RetryPolicy(base_s=base_s, cap_s=cap_s)
    ceiling = min(cap_s, base_s * 2 ** (number - 1))
    pause = policy.pause_s(number, draw)
    assert ceiling * 0.5 <= pause <= ceiling
    assert policy.pause_s(number, 0) <= pause


async def test_time_that_is_paused_does_not_count_and_a_stall_after_it_does() -> None:
    nobody = asyncio.Event()

    async def call() -> str:
        with paused():
            await asyncio.wait_for(asyncio.shield(tick), 5)
        await nobody.wait()
        return "never"

    tick = asyncio.create_task(asyncio.sleep(0.3))  # several times the limit
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(Transient, match="no answer within"):
        await within(0.05, call())
    assert loop.time() - began >= 0.3


async def test_a_pause_holds_in_tasks_that_the_call_starts_and_may_outlast_it() -> None:
    """As the body of a request, which is written by a task of the library's."""
    ended, end = asyncio.Event(), asyncio.Event()

    async def body() -> None:
        with paused():
            await end.wait()
        ended.set()

    async def call() -> asyncio.Task[None]:
        task = asyncio.create_task(body())
        await asyncio.sleep(0.2)
        return task

    task = await within(0.05, call())
    end.set()
    await task
    assert ended.is_set()


async def test_nothing_is_paused_where_nothing_is_limited() -> None:
    with paused():
        await asyncio.sleep(0)
