"""What is noticed of a scheduler: its workers, what their sessions say, and that it is gone."""

import asyncio
import logging
import pickle
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import distributed
import pytest

from async_s3_upload.errors import ClusterError
from async_s3_upload.transfer.cluster import link as links
from async_s3_upload.transfer.cluster.address import SchedulerAddress
from async_s3_upload.transfer.cluster.link import EVENTS_OF_ALL, Link
from async_s3_upload.transfer.cluster.pool import open_pool
from async_s3_upload.transfer.messages import AwsAccess, Limits, WorkerSettings
from tests.support.cluster import DaskCluster
from tests.transfer.dask_fakes import until

ADDRESS = SchedulerAddress.parse("tcp://127.0.0.1:8786")


class Scheduler:
    """A scheduler and the client that is connected to it."""

    def __init__(self) -> None:
        self.scheduler = self
        self.status = "running"
        self.id = "first"
        self.workers: dict[str, object] = {}
        self.trouble: Exception | None = None
        self.hangs = False
        self.asked = 0
        self.echoes = True
        self.takers: dict[str, Callable[[Any], None]] = {}
        self.closed = False

    async def identity(self, n_workers: int) -> dict[str, Any]:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        if self.hangs:
            await asyncio.Event().wait()
        return {"id": self.id, "workers": dict(self.workers) if n_workers else {}}

    def subscribe_topic(self, topic: str, take: Callable[[Any], None]) -> None:
        self.takers[topic] = take

    def unsubscribe_topic(self, topic: str) -> None:
        del self.takers[topic]

    async def log_event(self, topic: str, message: object) -> None:
        if self.trouble is not None:
            raise self.trouble
        if self.echoes:
            self.tell(topic, message)
        self.echoes = True

    def tell(self, topic: str, message: object) -> None:
        """Let an event come."""
        self.takers[topic]((0.0, message))

    async def run(self, _function: object, *_args: object, workers: list[str], on_error: str) -> dict[str, object]:
        assert on_error == "return"
        return {worker: self.workers[worker] for worker in workers}

    async def close(self, timeout: float) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(links, "LOOK_EVERY_S", 0.002)
    names = ("distributed", "distributed.client")
    levels = [logging.getLogger(name).level for name in names]
    yield
    for name, level in zip(names, levels, strict=True):
        logging.getLogger(name).setLevel(level)


@asynccontextmanager
async def watching(scheduler: Scheduler) -> AsyncIterator[Link]:
    link = Link(cast("distributed.Client", scheduler), ADDRESS)
    await link.listen()
    task = asyncio.create_task(link.watch())
    try:
        yield link
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_it_listens_until_it_hears_itself_and_knows_the_workers() -> None:
    scheduler = Scheduler()
    scheduler.workers["tcp://a:1"] = None
    scheduler.echoes = False
    link = Link(cast("distributed.Client", scheduler), ADDRESS)
    called: list[frozenset[str]] = []
    link.on_workers = lambda: called.append(link.workers)
    await link.listen()
    assert called == [{"tcp://a:1"}]
    assert set(scheduler.takers) == {link.topic, EVENTS_OF_ALL}


async def test_only_what_its_own_sessions_say_is_heard() -> None:
    scheduler = Scheduler()
    async with watching(scheduler) as link:
        heard: list[Any] = []
        link.on_heard = lambda *said: heard.append(said)
        scheduler.tell(link.topic, (link.session, "m", 7, pickle.dumps(["one", "two"])))
        scheduler.tell(link.topic, ("another command's", "m", 8, b"no pickle"))
    assert heard == [("m", 7, ["one", "two"])]


async def test_who_comes_and_goes_is_counted_anew() -> None:
    scheduler = Scheduler()
    async with watching(scheduler) as link:
        scheduler.workers["tcp://a:1"] = None
        scheduler.tell(EVENTS_OF_ALL, {"action": "add-worker", "worker": "tcp://a:1"})
        await until(lambda: link.workers == {"tcp://a:1"})
        asked = scheduler.asked
        scheduler.tell(EVENTS_OF_ALL, {"action": "something-else"})
        scheduler.tell(EVENTS_OF_ALL, "of no form")
        scheduler.workers.clear()
        scheduler.tell(EVENTS_OF_ALL, {"action": "remove-worker", "worker": "tcp://a:1"})
        await until(lambda: link.workers == frozenset())
        assert scheduler.asked == asked + 1


async def test_now_and_then_they_are_counted_without_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "COUNT_EVERY_S", 0.002)
    scheduler = Scheduler()
    async with watching(scheduler) as link:
        scheduler.workers["tcp://a:1"] = None
        await until(lambda: link.workers == {"tcp://a:1"})


@pytest.mark.parametrize("how", ["closed", "restarted", "error", "silent"])
async def test_a_scheduler_that_is_lost_is_noticed_once(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = Scheduler()
    async with watching(scheduler) as link:
        lost: list[str | None] = []
        link.on_lost = lambda: lost.append(link.lost)
        if how == "closed":
            scheduler.status = "closed"
        elif how == "restarted":
            scheduler.id = "second"
        elif how == "error":
            scheduler.trouble = OSError("no route to host")
        else:
            monkeypatch.setattr(links, "ANSWER_LIMIT_S", 0.01)
            scheduler.hangs = True
        scheduler.tell(EVENTS_OF_ALL, {"action": "add-worker"})
        await until(lambda: lost)
        link.lose("something else")
    reason = {
        "closed": "the connection was closed",
        "restarted": "it was started anew",
        "error": "no route to host",
        "silent": "it did not answer within 0 s",
    }[how]
    assert lost == [f"the Dask scheduler was lost: {reason}"]
    assert link.lost == lost[0]


async def test_what_a_function_raised_is_returned_and_who_cannot_be_asked_raises() -> None:
    scheduler = Scheduler()
    async with watching(scheduler) as link:
        scheduler.workers["tcp://a:1"] = "found"
        assert await link.call("tcp://a:1", print) == "found"
        scheduler.workers["tcp://a:1"] = broken = ValueError("of no use")
        assert await link.call("tcp://a:1", print) is broken
        scheduler.workers["tcp://a:1"] = OSError("it went")
        with pytest.raises(OSError, match="it went"):
            await link.call("tcp://a:1", print)


async def test_it_takes_leave_of_a_scheduler_that_is_there() -> None:
    scheduler = Scheduler()
    async with watching(scheduler) as link:
        await link.leave()
        assert scheduler.takers == {}
        scheduler.status = "closed"
        asked = scheduler.asked
        await link.leave()
        assert scheduler.asked == asked


@pytest.fixture
def connects(monkeypatch: pytest.MonkeyPatch) -> Scheduler:
    """A scheduler to which a client connects at once."""
    scheduler = Scheduler()

    async def answers(_scheduler: SchedulerAddress) -> tuple[str, ...]:
        return ()

    async def client(_address: str, **options: object) -> Scheduler:
        assert options["set_as_default"] is False
        if scheduler.status != "running":
            raise OSError("connection refused")
        return scheduler

    monkeypatch.setattr(links, "workers_of", answers)
    monkeypatch.setattr(distributed, "Client", client)
    return scheduler


async def test_a_scheduler_that_goes_while_one_connects_is_said(connects: Scheduler) -> None:
    connects.status = "closed"
    with pytest.raises(ClusterError, match="does not answer within 30 s: connection refused"):
        async with links.connected(ADDRESS):
            pass


async def test_a_scheduler_that_goes_while_one_begins_to_listen_is_said(connects: Scheduler) -> None:
    connects.trouble = OSError("it went")
    with pytest.raises(ClusterError, match="does not answer within 30 s: it went"):
        async with links.connected(ADDRESS):
            pass
    assert connects.closed


async def test_the_connection_lasts_as_long_as_the_block(connects: Scheduler) -> None:
    async with links.connected(ADDRESS) as link:
        assert link.client is cast("distributed.Client", connects)
        assert not connects.closed
    assert connects.closed


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    with DaskCluster() as running:
        yield running


async def test_a_real_scheduler_that_is_killed_is_lost(cluster: DaskCluster) -> None:
    settings = WorkerSettings(AwsAccess(), Limits(), 30)
    async with asyncio.timeout(60), open_pool(SchedulerAddress.parse(cluster.address), settings) as pool:
        waiting = asyncio.create_task(pool.next_messages(60.0))
        await asyncio.to_thread(cluster.kill_scheduler)
        assert await waiting == []
        assert pool.lost is not None
        assert pool.lost.startswith("the Dask scheduler was lost: ")
