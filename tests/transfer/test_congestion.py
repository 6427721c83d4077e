"""Workers that S3 refuses: who else is told, and what comes of it for all of them together."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from async_s3_upload.timetable import Timetable
from async_s3_upload.transfer.coordination.completing import Completer
from async_s3_upload.transfer.coordination.coordinator import Coordinator
from async_s3_upload.transfer.engine.gate import EASED_TO, HALVE_EVERY_S, AdaptiveGate
from async_s3_upload.transfer.engine.requests import Requests
from async_s3_upload.transfer.lending import LendingToWorker
from async_s3_upload.transfer.messages import AwsAccess, FileItem, Limits, Share, ToWorker, WorkerSettings
from async_s3_upload.transfer.slowing import Halved, SlowDown
from async_s3_upload.transfer.stores.store import Throttled
from async_s3_upload.transfer.workers.congestion import ONE_IN, Congestion
from async_s3_upload.transfer.workers.hand import Hand
from async_s3_upload.transfer.workers.pool import WorkerHandle, WorkerPool
from tests.contract.memory_store import MemoryStore
from tests.faults.warp import WarpLoop
from tests.transfer.test_gate import Clock

SETTINGS = WorkerSettings(AwsAccess(), Limits(), 20)
LATENCY_S = 0.01
"""What a message takes, half of the way each."""


def test_of_two_workers_one_that_is_refused_has_the_other_told_once_a_second() -> None:
    congestion: Congestion[str] = Congestion()
    assert congestion.halved("a", "ab", 2, 0.0) == ["b"]
    assert congestion.halved("b", "ab", 2, 0.5) == []
    assert congestion.halved("a", "ab", 2, HALVE_EVERY_S) == [], "both halved within the last second"
    assert congestion.halved("a", "ab", 2, 2.5 * HALVE_EVERY_S) == ["b"]


@pytest.mark.parametrize("workers", [5, 8, 64])
def test_an_odd_refusal_slows_no_crowd_but_one_in_four_does(workers: int) -> None:
    congestion: Congestion[int] = Congestion()
    enough = -(-workers // ONE_IN)
    now = 0.0
    for who in range(workers):  # never so many within one second
        assert congestion.halved(who, range(workers), workers, now) == []
        now += 1.01 * HALVE_EVERY_S / (enough - 1)
    now += 2 * HALVE_EVERY_S
    for who in range(enough - 1):
        assert congestion.halved(who, range(workers), workers, now) == []
    assert congestion.halved(enough - 1, range(workers), workers, now) == list(range(enough, workers))


def test_workers_without_work_do_not_count() -> None:
    congestion: Congestion[int] = Congestion()
    assert congestion.halved(3, range(5), 2, 0.0) == [0, 1, 2, 4]


def test_many_refused_in_the_same_second_count_once() -> None:
    """Whatever the order of refusals and messages, each gate halves once, and not once for each of the others."""
    clock = Clock()
    gates = [AdaptiveGate(64, clock) for _ in range(64)]
    congestion: Congestion[int] = Congestion()
    order = list(range(64))
    random.Random(7).shuffle(order)
    for who in order:
        clock.now_s += 0.9 * HALVE_EVERY_S / 64
        if gates[who].throttled():
            for other in congestion.halved(who, range(64), 64, clock.now_s):
                gates[other].ease()
    assert {round(gate.limit) for gate in gates} == {32}


class Listener(WorkerHandle):
    """Notes what it is told."""

    def __init__(self, *, ready: bool = True) -> None:
        Hand.__init__(self)
        self.ready = ready
        self.told: list[Any] = []

    def tell(self, message: ToWorker | LendingToWorker) -> None:
        if not isinstance(message, Share):
            self.told.append(message)

    def kill(self) -> None:
        raise AssertionError


class Listeners(WorkerPool):
    """A pool of these."""

    def __init__(self, workers: Sequence[Listener], settings: WorkerSettings = SETTINGS) -> None:
        super().__init__(settings)
        self.workers.extend(workers)

    def grow_to(self, count: int) -> None:
        raise AssertionError

    def remove(self, worker: WorkerHandle) -> None:
        raise AssertionError

    def kill_all(self) -> None:
        self.workers.clear()


def give_work(*workers: Listener) -> None:
    for worker in workers:
        worker.give(Share("runs", (FileItem(0, "a", "a", 1, 0, 0),)))


async def test_the_pool_tells_the_others_and_the_coordinator_but_none_that_is_not_there_yet() -> None:
    refused, other, starts = Listener(), Listener(), Listener(ready=False)
    give_work(refused, other)
    pool = Listeners([refused, other, starts])
    heard: list[str] = []
    pool.on_slow_down = lambda: heard.append("coordinator")
    for worker in (refused, refused, other):
        pool.received(worker, Halved())
    assert (refused.told, other.told, starts.told) == ([], [SlowDown()], [])
    assert heard == ["coordinator"]
    assert pool.messages.empty(), "the coordinator has nothing to do with it"


async def test_the_coordinators_own_requests_take_part() -> None:
    worker = Listener()
    give_work(worker)
    pool = Listeners([worker])
    completer = Completer(Limits(), open_store=lambda: MemoryStore("runs"))
    async with Coordinator(pool, 1, completer=completer):
        completer.slow_down()  # nothing is open yet, and nothing is too much
        (completion, requests) = await completer._ready(), completer._requests
        assert completion is not None
        assert requests is not None
        most = requests.gate.limit
        pool.received(worker, Halved())
        assert requests.gate.limit == EASED_TO * most
        assert worker.told == []
        pool._congestion = Congestion()  # some seconds later
        requests.on_halved()
        assert worker.told == [SlowDown()]
        pool.workers.clear()


async def test_patience_grows_with_the_workers_that_share_a_low_bandwidth() -> None:
    """In a cluster nobody knows beforehand how many there will be."""
    settings = WorkerSettings(AwsAccess(), Limits(memory_bytes=50_000_000), 20, Timetable(1_000_000))
    pool = Listeners([], settings)
    async with Coordinator(pool, 2, give_up_s=600) as coordinator:
        found = []
        for _ in range(3):
            found.append(coordinator._give_up_s)
            pool.workers.append(Listener())
        pool.workers.clear()
    assert found == [600, 650, 700]


@dataclass
class Totals:
    """What a server did in the time that counts."""

    served: int = 0
    refused: int = 0


class LimitedServer:
    """Serves so many requests a second, each in about half a second, and refuses the others; some at random."""

    def __init__(self, rate: float, odd: float = 0.0) -> None:
        self.totals = Totals()
        self._rate = rate
        self._odd = odd
        self._level, self._at = rate / 10, 0.0
        self._random = random.Random(1)

    async def refresh(self) -> None:
        return

    async def answer(self) -> None:
        now = asyncio.get_running_loop().time()
        self._level = min(self._rate / 10, self._level + self._rate * (now - self._at))
        self._at = now
        if self._level < 1 or self._random.random() < self._odd:
            await asyncio.sleep(LATENCY_S)
            self.totals.refused += 1
            raise Throttled("SlowDown")
        self._level -= 1
        await asyncio.sleep(0.4 + 0.2 * self._random.random())
        self.totals.served += 1


def sent_to(server: LimitedServer, workers: int, *, shared: bool, seconds: float = 40.0) -> Totals:
    """Let so many workers send as much as they may, 16 at a time at most; what the last three quarters brought."""

    async def main() -> Totals:
        loop = asyncio.get_running_loop()
        congestion: Congestion[int] = Congestion()
        senders: list[Requests] = []

        def halved(who: int) -> None:
            for other in congestion.halved(who, range(workers), workers, loop.time()):
                loop.call_later(LATENCY_S / 2, senders[other].gate.ease)

        def tell(who: int) -> None:
            if shared:
                loop.call_later(LATENCY_S / 2, halved, who)

        def sender(who: int) -> Requests:
            found = Requests(server, Limits(concurrency=16))  # type: ignore[arg-type]
            found.gate = AdaptiveGate(16, loop.time)
            found.on_halved = lambda: tell(who)
            return found

        async def send(requests: Requests) -> None:
            while True:
                await requests.make("PUT", lambda _: server.answer())

        senders += [sender(who) for who in range(workers)]
        tasks = [asyncio.create_task(send(requests)) for requests in senders for _ in range(16)]
        await asyncio.sleep(seconds / 4)
        before = replace(server.totals)
        await asyncio.sleep(seconds * 3 / 4)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        found = server.totals
        return Totals(found.served - before.served, found.refused - before.refused)

    random.seed(3)  # the jitter of pauses
    with asyncio.Runner(loop_factory=WarpLoop) as runner:
        return runner.run(main())


@pytest.mark.parametrize(("workers", "rate"), [(3, 60.0), (8, 100.0), (16, 200.0)])
def test_a_server_with_a_limit_refuses_fewer_and_is_still_made_use_of(workers: int, rate: float) -> None:
    alone = sent_to(LimitedServer(rate), workers, shared=False)
    together = sent_to(LimitedServer(rate), workers, shared=True)
    assert together.refused <= 0.75 * alone.refused
    assert 0.9 * alone.served <= together.served <= 1.02 * rate * 30


def test_refusals_here_and_there_cost_a_crowd_next_to_nothing() -> None:
    alone = sent_to(LimitedServer(1e9, odd=0.001), 16, shared=False)
    together = sent_to(LimitedServer(1e9, odd=0.001), 16, shared=True)
    assert together.refused > 5
    assert together.served >= 0.95 * alone.served
