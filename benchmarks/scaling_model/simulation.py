"""The same model event by event: dealing on demand, requests in flight, refusals, slow and dying workers, the end.

Cores, cards, storage and the coordinator serve one after another, so that the end of each request is known when it
begins: an event is the answer to some requests that went off together, or what the coordinator does with it. Time is
computed, never waited for, and what is random comes from a seed.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from async_s3_upload.transfer.coordination.dealer import SHARE_MAX
from async_s3_upload.transfer.engine.gate import AdaptiveGate
from async_s3_upload.transfer.messages import Limits
from async_s3_upload.transfer.stores.retry import RetryPolicy
from benchmarks.scaling_model.formulas import Limit
from benchmarks.scaling_model.parts_of_site import Piece, Pipe, Queue, Requests, Worker
from benchmarks.scaling_model.site import HELD_BYTES, Site, Workload

EVENTS = 40_000
"""About so many events a simulation: requests that go off together are one."""
HUNGRY = Limits().concurrency
"""A worker with fewer requests to do gets some of another one's, where nothing is left to hand out."""
RETRY = RetryPolicy()


@dataclass(frozen=True, slots=True)
class Simulated:
    """How an upload went: ``busy`` are shares of the time, of hosts and workers on average.

    ``steady_seconds`` would be all, were the first and the last tenth as fast as what is between: at the end the last
    files wait out the pauses after their refusals, or are those of a slow worker.

    ``refused`` requests were told to slow down, ``sent_twice`` were sent again because a worker died, and ``failed``
    were refused too often.
    """

    seconds: float
    steady_seconds: float
    bytes: int
    requests: int
    busy: dict[Limit, float]
    refused: int
    sent_twice: int
    failed: int
    most_done_by_one: int

    @property
    def rate(self) -> float:
        """Bytes a second of steady work."""
        return self.bytes / self.steady_seconds


class Simulation:
    """One upload of a workload at a site."""

    def __init__(self, site: Site, load: Workload, seed: int = 1) -> None:
        self._site = site
        self._load = load
        self._random = random.Random(seed)
        groups = list(load.groups(site.part_size))
        self._requests = sum(group.files * group.requests for group in groups)
        self._grain = max(1, min(site.in_flight // 8, self._requests // EVENTS))
        self._queue = Queue(groups)
        self._now = self._ended_at = 0.0
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = 0
        self._cards = [Pipe() for _ in range(site.hosts)]
        self._storage, self._coordinator = Pipe(), Pipe()
        self._s3 = Requests(site)
        self._workers = [
            Worker(self._cards[number // site.workers], AdaptiveGate(site.in_flight, self._clock))
            for number in range(site.all_workers)
        ]
        self._workers[0].slow_by = site.faults.slow_by
        self._idle: list[Worker] = []
        self._left = self._requests
        self._tenths = [0.0]
        self._refused = self._sent_twice = self._failed = 0
        self._done = dict.fromkeys(map(id, self._workers), 0)

    def _clock(self) -> float:
        return self._now

    def run(self) -> Simulated:
        """Simulate to the end."""
        site = self._site
        for worker in self._workers:
            self._deal(worker)
        for worker in self._workers[len(self._workers) - site.faults.deaths :]:
            self._at(site.faults.death_at_s, self._die, worker)
        while self._events and self._left:
            self._now, _, what, about = heapq.heappop(self._events)
            what(*about)
        assert not self._left, "something is left that nobody does"
        seconds = self._ended_at
        steady = (self._tenths[9] - self._tenths[1]) / 0.8 if len(self._tenths) > 9 else seconds
        busy: dict[Limit, float] = {
            "processors": sum(worker.core.busy_s for worker in self._workers) / len(self._workers) / seconds,
            "network cards": sum(card.busy_s for card in self._cards) / len(self._cards) / seconds,
            "storage": self._storage.busy_s / seconds,
            "coordinator": self._coordinator.busy_s / seconds,
        }
        most = max(self._done.values())
        counts = (self._refused, self._sent_twice, self._failed, most)
        return Simulated(seconds, steady, self._load.bytes, self._requests, busy, *counts)

    def _at(self, time: float, what: Callable[..., None], *about: Any) -> None:
        self._number += 1
        heapq.heappush(self._events, (time, self._number, what, about))

    def _deal(self, worker: Worker) -> None:
        """Do what the coordinator does when it has heard something of a worker."""
        if not worker.alive:
            return
        given = []
        while (
            self._queue
            and worker.units < 8 * self._site.in_flight
            and (not worker.units or worker.held_bytes < HELD_BYTES)
        ):
            fair = -(-self._queue.files // (2 * len(self._workers)))
            most = max(1, min(8 * self._site.in_flight - worker.units, fair, SHARE_MAX))
            piece = self._queue.take(most, HELD_BYTES - worker.held_bytes)
            assert piece is not None
            worker.hold(piece)
            given.append(piece)
        if given:
            self._at(self._now + self._site.message_s, self._receive, worker, given)
        elif worker.units < HUNGRY and not self._queue and not self._take_from_another(worker) and not worker.units:
            self._idle.append(worker)

    def _take_from_another(self, worker: Worker) -> bool:
        """Give it half of what the fullest one has not begun; that takes a message more there and back."""
        full = max(self._workers, key=attrgetter("not_begun"))
        half = -(-full.not_begun // 2)
        if full is worker or not half:
            return False
        given = []
        while half:
            piece = full.take_last(half)
            half -= piece.count
            full.hold(piece, -1)
            worker.hold(piece)
            given.append(piece)
        self._at(self._now + 3 * self._site.message_s, self._receive, worker, given)
        return True

    def _receive(self, worker: Worker, pieces: list[Piece]) -> None:
        if worker.alive:
            for piece in pieces:
                worker.put(piece)
            self._begin(worker)
            while self._idle and worker.not_begun:  # those who hear of nothing else
                self._deal(self._idle.pop())
        else:
            self._give_back(pieces)

    def _begin(self, worker: Worker) -> None:
        """Send as much as may be in flight."""
        limit = int(worker.gate.limit)
        while worker.stock:
            count = min(worker.stock[0].count, self._grain, limit)
            if worker.in_flight and worker.in_flight + count > limit:
                return
            piece = worker.take_first(count)
            worker.in_flight += count
            admitted = self._s3.admit(self._now, count)
            if admitted < count:
                refused = piece if not admitted else piece.split(count - admitted)
                answered = worker.core.use(self._now, refused.count * self._site.costs.request * worker.slow_by)
                self._at(answered + self._site.latency_s, self._is_refused, worker, refused)
            if admitted:
                self._send(worker, piece)

    def _send(self, worker: Worker, piece: Piece) -> None:
        """Bodies are read while they are sent: what takes longest counts."""
        site, now, size = self._site, self._now, piece.count * piece.group.request_bytes
        cpu = (piece.count * site.costs.request + size * site.costs.byte) * worker.slow_by
        sent_at = max(
            worker.core.use(now, cpu),
            worker.card.use(now, size / site.line),
            self._storage.use(now, size / site.storage),
            now + piece.group.request_bytes / site.connection,
        )
        self._at(sent_at + site.latency_s * worker.slow_by, self._is_answered, worker, piece)

    def _is_refused(self, worker: Worker, piece: Piece) -> None:
        self._refused += piece.count
        worker.in_flight -= piece.count
        worker.gate.throttled()
        piece.tries += 1
        if piece.tries >= RETRY.attempts:
            self._failed += piece.count
            piece.tries = 0  # it is counted, and the next start sends it
        pause = RETRY.pause_s(max(1, piece.tries), self._random.random())
        self._at(self._now + pause, self._again, worker, piece)
        self._begin(worker)

    def _again(self, worker: Worker, piece: Piece) -> None:
        if worker.alive:
            worker.put(piece, first=True)
            self._begin(worker)
        else:
            self._give_back([piece])

    def _is_answered(self, worker: Worker, piece: Piece) -> None:
        if not worker.alive:  # nobody hears of it
            self._sent_twice += piece.count
            self._give_back([piece])
            return
        worker.in_flight -= piece.count
        piece.tries = 0
        if worker.gate.limit < self._site.in_flight:
            for _ in range(piece.count):
                worker.gate.succeeded()
        self._begin(worker)
        costs = self._site.costs
        each = costs.part if piece.upload else costs.result
        self._at(
            self._coordinator.use(self._now + self._site.message_s, piece.count * each), self._is_told, worker, piece
        )

    def _is_told(self, worker: Worker, piece: Piece) -> None:
        """Do what the coordinator does with a result; it alone completes uploads."""
        self._left -= piece.count
        while (self._requests - self._left) * 10 >= self._requests * len(self._tenths):
            self._tenths.append(self._now)
        self._done[id(worker)] += piece.count
        self._ended_at = max(self._ended_at, self._now)
        worker.hold(piece, -1)
        if piece.upload is not None:
            piece.upload.left -= piece.count
            if not piece.upload.left:
                costs = self._site.costs
                asked_at = self._coordinator.use(self._now, costs.completion + costs.result)
                self._ended_at = max(self._ended_at, asked_at + self._site.latency_s)
        self._deal(worker)

    def _die(self, worker: Worker) -> None:
        worker.alive = False
        self._give_back(worker.empty())

    def _give_back(self, pieces: list[Piece]) -> None:
        faults = self._site.faults
        self._at(max(self._now, faults.death_at_s + faults.lease_s), self._is_back, pieces)

    def _is_back(self, pieces: list[Piece]) -> None:
        """Hand out what a dead worker had."""
        self._queue.back.extend(pieces)
        for worker in self._workers:
            self._deal(worker)


def simulate(site: Site, load: Workload, seed: int = 1) -> Simulated:
    """Simulate one upload; the same for the same seed."""
    return Simulation(site, load, seed).run()
