"""The limit of bandwidth: lender and pacers together in a loop without real time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import accumulate

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from async_s3_upload.timetable import Timetable, Window
from async_s3_upload.transfer.engine.pacer import STEADY_S, Pacer
from async_s3_upload.transfer.messages import AwsAccess, BandwidthGrant, BandwidthWanted, Limits, WorkerSettings
from async_s3_upload.transfer.pace import LEASE_S, SLICE_BYTES
from async_s3_upload.transfer.workers.bandwidth import BURST_S, LEAST_QUANTUM_S, Bucket, Lender, patience_s
from tests.faults.warp import WarpLoop

MB = 10**6
WINDOW_S = 10.0
NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""For what takes so long that shrinking a failure would outlast the time limit of a test."""


class Line:
    """Pacers, the lender, and messages that take ``delay_s`` between them; notes what goes out and when."""

    def __init__(self, timetable: Timetable, workers: int, delay_s: float = 0.001, midnight_s: float = 0.0) -> None:
        """Let it be midnight ``midnight_s`` seconds after the start."""
        self._loop = asyncio.get_running_loop()
        self._delay_s = delay_s
        self.messages = 0
        self.sent: list[list[tuple[float, int]]] = [[] for _ in range(workers)]
        self._lender: Lender[int] = Lender(
            timetable, self._answer, self._loop.time, lambda: int((self._loop.time() - midnight_s) // 60) % 1440
        )
        self.pacers = [Pacer(self._asker(number), self._loop.time) for number in range(workers)]

    def ask(self, number: int) -> None:
        """Ask in the name of a worker."""
        self._asker(number)(BandwidthWanted(0))

    def _asker(self, number: int) -> Callable[[BandwidthWanted], None]:
        return lambda wanted: self._later(self._lender.asked, number, wanted)

    def _answer(self, number: int, grant: BandwidthGrant) -> None:
        self._later(self.pacers[number].granted, grant)

    def _later(self, call: Callable[..., None], *args: object) -> None:
        self.messages += 1
        self._loop.call_later(self._delay_s, call, *args)

    async def send(self, number: int, size: int) -> None:
        await self.pacers[number].take(size)
        self.sent[number].append((self._loop.time(), size))

    async def body(self, number: int, size: int) -> None:
        async with self.pacers[number].body(size):
            for offset in range(0, size, SLICE_BYTES):
                await self.send(number, min(SLICE_BYTES, size - offset))

    async def run_for(self, seconds: float, *senders: Awaitable[None]) -> None:
        """Run the endless senders for so long."""
        tasks = [asyncio.ensure_future(sender) for sender in senders]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def together(self) -> list[tuple[float, int]]:
        return sorted(entry for sent in self.sent for entry in sent)


def in_virtual_time(main: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await main()

    with asyncio.Runner(loop_factory=WarpLoop) as runner:
        runner.run(run())


async def for_ever(send: Callable[[], Awaitable[None]], pause_s: float = 0.0) -> None:
    while True:
        await send()
        await asyncio.sleep(pause_s)


def windows(sent: list[tuple[float, int]], begin: float, end: float) -> list[int]:
    """Return the bytes in each 10 seconds between two moments that begin with something sent."""
    times = [time for time, _ in sent]
    sums = [0, *accumulate(size for _, size in sent)]
    found, last = [], 0
    for first, time in enumerate(times):
        while last < len(times) and times[last] < time + WINDOW_S:
            last += 1
        if begin <= time and time + WINDOW_S <= end:
            found.append(sums[last] - sums[first])
    assert found
    return found


@settings(max_examples=30, deadline=None)
@given(
    rate=st.integers(1000, 10**10),
    asks=st.lists(st.tuples(st.integers(0, 7), st.floats(0, 1)), min_size=1, max_size=40),
    steady=st.integers(1, 8),
)
def test_in_any_ten_seconds_no_more_than_the_rate_is_lent_and_nearly_all_of_it_where_it_is_wanted(
    rate: int, asks: list[tuple[int, float]], steady: int
) -> None:
    bucket: Bucket[int] = Bucket()
    lent: list[tuple[float, int]] = []
    now = 0.0

    def lend() -> list[int]:
        given = bucket.due(now, rate)
        lent.extend((now, grant.size or 0) for _, grant in given)
        return [who for who, _ in given]

    for who, pause in asks:  # at odd times
        now += pause
        bucket.want(who, 0, now, rate)
        lend()
    begin = now
    for who in range(steady):
        bucket.want(who, 0, now, rate)
    while now < begin + 25:
        for who in lend():
            bucket.want(who, 0, now, rate)
        now += max(bucket.wait_s(now, rate) or 0, 0.002)

    assert max(windows(lent, 0, now)) <= 1.05 * rate * WINDOW_S + 1
    # bytes are whole: of the lowest rates that is much
    assert min(windows(lent, begin + 1, now)) >= (0.95 * rate - 10 * steady) * WINDOW_S


@settings(max_examples=10, deadline=None, phases=NO_SHRINKING)
@given(
    workers=st.integers(1, 16),
    share=st.integers(2 * MB, 20 * MB),
    bodies=st.integers(1, 16),
    size=st.sampled_from([27_000, SLICE_BYTES, 8 * 1024 * 1024]),
    delay_s=st.floats(0, 0.02),
)
def test_all_workers_together_send_at_the_rate_with_few_messages(
    workers: int, share: int, bodies: int, size: int, delay_s: float
) -> None:
    rate = workers * share
    seconds = 14.0

    async def main() -> None:
        line = Line(Timetable(rate), workers, delay_s)
        senders = [for_ever(partial(line.body, number, size)) for number in range(workers) for _ in range(bodies)]
        await line.run_for(seconds, *senders)
        grain = workers * SLICE_BYTES
        sent = line.together()
        assert max(windows(sent, 0, seconds)) <= 1.05 * rate * WINDOW_S + grain
        assert min(windows(sent, 1, seconds)) >= 0.95 * rate * WINDOW_S - grain
        totals = [sum(size for _, size in of_worker) for of_worker in line.sent]
        assert max(totals) - min(totals) <= 0.02 * rate * seconds + 2 * SLICE_BYTES
        assert line.messages <= 2 * workers * (10.2 * seconds + 5)

    in_virtual_time(main)


@settings(max_examples=15, deadline=None, phases=NO_SHRINKING)
@given(
    rate=st.integers(20 * MB, 200 * MB), pauses=st.lists(st.sampled_from([0.0, 0.05, 0.25, 0.4, 1.5, 3.0]), min_size=4)
)
def test_workers_that_come_and_go_never_send_more_than_the_rate(rate: int, pauses: list[float]) -> None:
    async def main() -> None:
        line = Line(Timetable(rate), 4)

        async def on_and_off(number: int) -> None:
            while True:
                for pause in pauses[number::4]:
                    for _ in range(200):
                        await line.send(number, SLICE_BYTES)
                    await asyncio.sleep(pause)
                await asyncio.sleep(0.001)

        await line.run_for(20, *map(on_and_off, range(4)))
        assert max(windows(line.together(), 0, 20)) <= 1.05 * rate * WINDOW_S + 4 * SLICE_BYTES

    in_virtual_time(main)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_messages_that_take_long_cost_nothing_of_the_rate(workers: int) -> None:
    """As through a scheduler that is busy: 140 ms from asking to the answer, at best."""
    rate = 20 * MB

    async def main() -> None:
        line = Line(Timetable(rate), workers, delay_s=0.07)
        bodies = [for_ever(partial(line.body, n % workers, 8 * MB)) for n in range(16)]
        await line.run_for(20, *bodies)
        sent = line.together()
        assert max(windows(sent, 0, 20)) <= 1.05 * rate * WINDOW_S
        assert min(windows(sent, 1, 20)) >= 0.95 * rate * WINDOW_S

    in_virtual_time(main)


def test_a_crowd_of_workers_has_all_of_the_rate_for_few_messages() -> None:
    rate = 1000 * MB

    async def main() -> None:
        line = Line(Timetable(rate), 64, delay_s=0.02)
        bodies = [for_ever(partial(line.body, n % 64, 8 * MB)) for n in range(256)]
        await line.run_for(15, *bodies)
        sent = line.together()
        assert max(windows(sent, 0, 15)) <= 1.05 * rate * WINDOW_S
        assert min(windows(sent, 1, 15)) >= 0.95 * rate * WINDOW_S
        totals = sorted(sum(size for _, size in of_worker) for of_worker in line.sent)
        assert totals[-2] <= 1.15 * totals[0], "all but the one that asked first, and seemed to be alone"
        assert line.messages / 2 <= 15 / LEAST_QUANTUM_S + 64

    in_virtual_time(main)


@pytest.mark.parametrize("dead", ["before it was lent any", "after it was lent some"])
def test_who_is_idle_dead_or_cut_off_holds_nothing_back(dead: str) -> None:
    rate = 20 * MB

    async def main() -> None:
        line = Line(Timetable(rate), 3)
        loop = asyncio.get_running_loop()
        bodies = [for_ever(partial(line.body, n % 2, 8 * MB)) for n in range(16)]  # the third one is idle

        async def dies() -> None:
            await asyncio.sleep(5)
            for number in (1, 3, 5, 7, 9, 11, 13, 15):
                tasks[number].cancel()
            line.pacers[1].granted = lambda grant: None  # type: ignore[method-assign]
            if dead == "before it was lent any":
                line.ask(1)

        tasks = [asyncio.ensure_future(body) for body in bodies]
        await line.run_for(20, dies())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert loop.time() >= 20
        assert min(windows(line.together(), 1, 20)) >= 0.97 * rate * WINDOW_S

    in_virtual_time(main)


def test_who_wants_little_gets_it_and_the_other_gets_the_rest() -> None:
    rate = 50 * MB

    async def main() -> None:
        line = Line(Timetable(rate), 2)
        waits: list[float] = []
        loop = asyncio.get_running_loop()

        async def little() -> None:
            began = loop.time()
            await line.send(0, 100_000)
            waits.append(loop.time() - began)

        busy = [for_ever(partial(line.body, 1, 8 * 1024 * 1024)) for _ in range(8)]
        await line.run_for(20, for_ever(little, 0.5), *busy)
        assert len(waits) >= 30
        assert max(waits) <= 0.15
        assert sum(size for _, size in line.sent[1]) >= 0.95 * 20 * rate

    in_virtual_time(main)


def test_a_window_that_begins_or_ends_takes_effect_within_a_second() -> None:
    fast, slow = 200 * MB, 20 * MB

    async def main() -> None:
        line = Line(Timetable(fast, (Window(0, 1, slow), Window(1, 2, None))), 2, midnight_s=30)
        bodies = [for_ever(partial(line.body, n % 2, MB), 0.001) for n in range(8)]
        await line.run_for(100, *bodies)
        sent = line.together()

        def rate_between(begin: float, end: float) -> float:
            return sum(size for time, size in sent if begin <= time < end) / (end - begin)

        assert rate_between(20, 30) == pytest.approx(fast, rel=0.05)
        assert rate_between(31, 90) == pytest.approx(slow, rel=0.05)
        assert rate_between(91, 100) > 5 * fast

    in_virtual_time(main)


def test_while_nothing_is_limited_there_are_hardly_any_messages() -> None:
    async def main() -> None:
        line = Line(Timetable(None, (Window(600, 660, MB),)), 2)
        await line.run_for(30, *(for_ever(partial(line.body, n, 27_000), 0.001) for n in range(2)))
        assert len(line.together()) > 40_000
        assert line.messages <= 2 * 2 * (30 / LEASE_S + 2)

    in_virtual_time(main)


def test_one_body_larger_than_the_bucket_goes_at_the_rate() -> None:
    """A store that sends a body as one piece asks for all of it before."""

    async def main() -> None:
        line = Line(Timetable(10_000), 2)
        await asyncio.gather(line.send(0, 100_000), line.send(1, 100_000))
        assert asyncio.get_running_loop().time() == pytest.approx(20, rel=0.05)
        assert line.messages <= 2 * 2 * 20 * 10

    in_virtual_time(main)


def test_bodies_begin_only_as_fast_as_each_can_go_on_without_a_pause() -> None:
    rate = 4 * MB

    async def main() -> None:
        line = Line(Timetable(rate), 4)
        loop = asyncio.get_running_loop()
        gaps: list[float] = []

        async def body(number: int) -> None:
            async with line.pacers[number].body(8 * MB):
                began = loop.time()
                for _ in range(30):
                    await line.send(number, SLICE_BYTES)
                    gaps.append(loop.time() - began)
                    began = loop.time()

        await line.run_for(100, *(for_ever(partial(body, n % 4)) for n in range(64)))
        assert len(gaps) > 1000
        assert max(gaps) <= 1.5 * STEADY_S

    in_virtual_time(main)


def test_what_is_lent_and_not_used_lapses_and_goes_back() -> None:
    asked: list[BandwidthWanted] = []

    async def main() -> None:
        pacer = Pacer(asked.append, asyncio.get_running_loop().time)
        first = asyncio.create_task(pacer.take(1000))
        await asyncio.sleep(0)
        pacer.granted(BandwidthGrant(50_000, MB))
        await first
        await asyncio.sleep(LEASE_S + 0.01)
        second = asyncio.create_task(pacer.take(1000))
        await asyncio.sleep(0)
        assert asked == [BandwidthWanted(0), BandwidthWanted(49_000)]
        pacer.granted(BandwidthGrant(1000, MB))
        await second

    in_virtual_time(main)


def test_what_comes_back_can_be_lent_again_but_never_more_than_the_bucket_holds() -> None:
    bucket: Bucket[str] = Bucket()
    bucket.want("a", 10.0**12, 0, MB)
    assert sum(grant.size or 0 for _, grant in bucket.due(0, MB)) <= BURST_S * MB
    assert bucket.wait_s(0, MB) is None


def test_waiting_ends_at_once_when_it_is_cancelled_and_the_next_uses_what_was_reserved() -> None:
    asked: list[BandwidthWanted] = []

    async def main() -> None:
        pacer = Pacer(asked.append, asyncio.get_running_loop().time)
        leaves, stays = asyncio.create_task(pacer.take(1000)), asyncio.create_task(pacer.take(800))
        await asyncio.sleep(0)
        pacer.granted(BandwidthGrant(900, 1000))
        leaves.cancel()
        await asyncio.wait([leaves, stays])
        assert leaves.cancelled()
        assert not stays.cancelled()
        assert len(asked) == 2, "what was left for the first was not enough"
        at_the_same_moment = asyncio.create_task(pacer.take(1000))
        await asyncio.sleep(0)
        pacer.granted(BandwidthGrant(900, 1000))
        at_the_same_moment.cancel()
        await asyncio.wait([at_the_same_moment])
        await pacer.take(1000)  # the 1000 that were not used, without asking

    in_virtual_time(main)
    assert len(asked) == 2


def test_an_empty_body_waits_for_nothing() -> None:
    async def main() -> None:
        await Pacer(lambda _: pytest.fail("it asked")).take(0)

    in_virtual_time(main)


@pytest.mark.parametrize(
    ("timetable", "seconds"),
    [
        (None, 0),
        (Timetable(50_000), 2000),
        (Timetable(MB, (Window(0, 60, 100_000),)), 1000),
        (Timetable(None, (Window(0, 60, None),)), 0),
    ],
)
def test_patience_lasts_for_all_that_may_be_on_its_way(timetable: Timetable | None, seconds: float) -> None:
    limits = Limits(memory_bytes=50 * MB)
    assert patience_s(WorkerSettings(AwsAccess(), limits, 20, timetable), workers=2) == seconds
