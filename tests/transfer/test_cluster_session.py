"""A session on a Dask worker without its process: what it takes, tells, and when it ends."""

import asyncio
import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Self

import pytest

from async_s3_upload.transfer.cluster import session as sessions
from async_s3_upload.transfer.cluster.opening import Bye, Withdraw, Withdrawn
from async_s3_upload.transfer.lending import CutOff, CutOffDone, GiveBack, Returned
from async_s3_upload.transfer.messages import CannotStart, FileDone, LogLine, Ready, Share, Stop
from async_s3_upload.transfer.stores.store import BadCredentials, Transient
from async_s3_upload.transfer.workers.worker import Worker
from tests.contract.memory_store import MemoryStore
from tests.contract.scripted_store import Fail, Hang, Rule, ScriptedStore
from tests.transfer.dask_fakes import SETTINGS, FakeDaskWorker, item_of, session_on, until


@pytest.fixture(autouse=True)
def level_as_before() -> Iterator[None]:
    logger = logging.getLogger("async_s3_upload")
    handlers, level = list(logger.handlers), logger.level
    yield
    assert logger.handlers == handlers
    logger.setLevel(level)


class Clock:
    """Stands still unless a test moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(sessions, "time", found)
    monkeypatch.setattr(sessions, "LOOK_EVERY_S", 0.001)
    return found


def calls_of(store: ScriptedStore, name: str) -> int:
    return sum(call.name == name for call in store.calls)


async def test_it_is_ready_sends_what_came_before_and_says_bye_last(tmp_path: Path) -> None:
    dask, memory = FakeDaskWorker(), MemoryStore("runs")
    session = session_on(dask, memory)
    early = session.work_on(Share("runs", (item_of(tmp_path / "a", 0),)), 1)
    await until(lambda: dask.events)
    late = session.work_on(Share("runs", (item_of(tmp_path / "b", 1),)), 2)
    await until(lambda: early.is_set() and late.is_set())
    assert dask.said[0] == Ready()
    dask.bring(Stop(5.0))
    await until(lambda: Bye() in dask.said)
    assert session.ended
    assert dask.said[-1] == Bye()
    assert {event.number for event in dask.events if isinstance(event, FileDone)} == {0, 1}
    assert set(memory.objects["runs"]) == {"run/0", "run/1"}
    assert [(topic, found[:2]) for topic, found in dask.told] == [("topic", ("s", "m"))] * len(dask.told)
    assert [found[2] for _, found in dask.told] == [*range(1, len(dask.told) + 1)]
    assert session.work_on(Share("runs", (item_of(tmp_path / "c", 2),)), 3).is_set()


async def test_a_share_ends_when_nothing_of_it_is_left(tmp_path: Path) -> None:
    dask, store = FakeDaskWorker(), ScriptedStore(MemoryStore("runs"), [Rule("put_object", Hang(), times=2)])
    session = session_on(dask, store)
    items = tuple(item_of(tmp_path / str(number), number) for number in range(5))
    settled = session.work_on(Share("runs", items), 1)
    await until(lambda: calls_of(store, "put_object") == 2)
    dask.bring(GiveBack())
    await until(lambda: dask.said_of(Returned))
    (returned,) = dask.said_of(Returned)
    assert returned.files
    assert not settled.is_set()
    dask.bring(CutOff(0, 5))
    await until(settled.is_set)
    await until(lambda: dask.said_of(CutOffDone))
    dask.bring(Stop(0.0))
    await until(lambda: Bye() in dask.said)


async def test_what_was_given_before_is_given_back_though_it_comes_later(tmp_path: Path) -> None:
    dask, store = FakeDaskWorker(), ScriptedStore(MemoryStore("runs"), [Rule("put_object", Hang(), times=2)])
    session = session_on(dask, store)
    items = tuple(item_of(tmp_path / str(number), number) for number in range(5))
    session.work_on(Share("runs", items[:2]), 1)
    await until(lambda: calls_of(store, "put_object") == 2)
    dask.bring(GiveBack(), after=2)
    dask.bring(CutOff(100, 101), after=2)
    await until(lambda: dask.said_of(CutOffDone))
    assert not dask.said_of(Returned)
    session.work_on(Share("runs", items[2:]), 2)
    await until(lambda: dask.said_of(Returned))
    assert set(dask.said_of(Returned)[0].files) < {2, 3, 4}
    assert dask.said_of(Returned)[0].files
    dask.bring(Stop(0.0), after=2)
    await until(lambda: dask.said_of(Bye))


async def test_a_share_that_was_withdrawn_before_it_came_is_not_begun(tmp_path: Path) -> None:
    dask, memory = FakeDaskWorker(), MemoryStore("runs")
    session = session_on(dask, memory)
    items = tuple(item_of(tmp_path / str(number), number) for number in range(3))
    here = session.work_on(Share("runs", items[:1]), 1)
    await until(here.is_set)
    dask.bring(GiveBack(), after=3)
    dask.bring(Withdraw((1, 2)), after=3)
    await until(lambda: dask.said_of(Withdrawn))
    assert dask.said_of(Withdrawn) == [Withdrawn((2,))]
    assert not dask.said_of(Returned)  # share 3 may still come
    assert session.work_on(Share("runs", items[1:2]), 2).is_set()
    last = session.work_on(Share("runs", items[2:]), 3)
    await until(lambda: last.is_set() and bool(dask.said_of(Returned)))
    dask.bring(Stop(5.0), after=3)
    await until(lambda: dask.said_of(Bye))
    assert set(memory.objects["runs"]) <= {"run/0", "run/2"}
    assert {event.number for event in dask.events if isinstance(event, FileDone)} <= {0, 2}


async def test_each_message_is_answered_also_by_nothing() -> None:
    dask = FakeDaskWorker()
    session_on(dask, MemoryStore("runs"))
    await until(lambda: dask.said_of(Ready))
    before = len(dask.told)
    dask.bring()
    await until(lambda: len(dask.told) == before + 1)
    dask.bring(Stop(0.0))
    await until(lambda: dask.said_of(Bye))


async def test_a_lost_message_ends_it(tmp_path: Path) -> None:
    dask, store = FakeDaskWorker(), ScriptedStore(MemoryStore("runs"), [Rule("put_object", Hang(), times=None)])
    session = session_on(dask, store)
    settled = session.work_on(Share("runs", (item_of(tmp_path / "a", 0),)), 1)
    await until(lambda: calls_of(store, "put_object"))
    dask.bring()
    dask.lose_one()
    dask.bring(CutOff(0, 1))
    await until(lambda: dask.said_of(Bye))
    assert dask.said[-1] == Bye("message 2 of the coordinator was lost")
    assert settled.is_set()
    assert not dask.said_of(CutOffDone)


async def test_a_mailbox_that_is_closed_ends_it_at_once() -> None:
    dask = FakeDaskWorker()
    session_on(dask, MemoryStore("runs"))
    await until(lambda: dask.said_of(Ready))
    dask.bring()
    dask.let_go()
    await until(lambda: dask.said_of(Bye))
    assert dask.said[-1] == Bye("the coordinator has let go of it")


async def test_after_silence_nothing_more_goes_to_s3(clock: Clock, tmp_path: Path) -> None:
    dask = FakeDaskWorker()
    store = ScriptedStore(MemoryStore("runs"), [Rule("put_object", Hang(), times=2)])
    session = session_on(dask, store, lease_s=10.0)
    items = tuple(item_of(tmp_path / str(number), number) for number in range(50))
    settled = session.work_on(Share("runs", items), 1)
    await until(lambda: calls_of(store, "put_object") == 2)
    clock.now += 11.0
    await until(lambda: session.ended)
    await until(lambda: dask.said_of(Bye))
    assert dask.said[-1] == Bye("nothing was heard of the coordinator for 11 s")
    assert settled.is_set()
    assert calls_of(store, "put_object") == 2
    assert dask.events == []


async def test_while_its_store_opens_it_can_be_silenced_too(clock: Clock) -> None:
    class Opening(MemoryStore):
        async def __aenter__(self) -> Self:
            clock.now += 11.0
            await asyncio.Event().wait()
            return self

    dask = FakeDaskWorker()
    session_on(dask, Opening("runs"), lease_s=10.0)
    await until(lambda: dask.said_of(Bye))
    assert dask.said == [Bye("nothing was heard of the coordinator for 11 s")]


async def test_as_long_as_something_comes_it_goes_on(clock: Clock) -> None:
    dask = FakeDaskWorker()
    session = session_on(dask, MemoryStore("runs"), lease_s=10.0)
    for _ in range(3):
        clock.now += 9.0
        before = len(dask.told)
        dask.bring()
        await until(lambda before=before: len(dask.told) > before)  # type: ignore[misc]
    assert not session.ended
    dask.bring(Stop(0.0))
    await until(lambda: dask.said_of(Bye))
    assert dask.said == [Ready(), Bye()]


async def test_a_scheduler_that_does_not_answer_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "RETRY_S", 0.0)
    dask = FakeDaskWorker()
    dask.deaf_times = 3
    session_on(dask, MemoryStore("runs"))
    dask.bring(Stop(0.0))
    await until(lambda: dask.said_of(Bye))
    assert dask.deaf_times == 0
    assert dask.said == [Ready(), Bye()]


async def test_a_store_that_does_not_open_is_said_before_bye() -> None:
    class Closed(MemoryStore):
        async def __aenter__(self) -> Self:
            raise BadCredentials("no credentials are found")

    dask = FakeDaskWorker()
    session_on(dask, Closed("runs"))
    await until(lambda: dask.said_of(Bye))
    assert dask.said == [CannotStart("no credentials are found"), Bye()]


async def test_credentials_that_contradict_each_other_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY", "half of a pair")
    monkeypatch.delenv("AWS_SECRET_KEY", raising=False)
    dask = FakeDaskWorker()
    session_on(dask, MemoryStore("runs"))
    await until(lambda: dask.said_of(Bye))
    told, bye = dask.said
    assert isinstance(told, CannotStart)
    assert "AWS_SECRET_KEY" in told.error
    assert bye == Bye()


async def test_what_breaks_it_is_its_reason(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_worker: object) -> None:
        raise ValueError("of no use")

    monkeypatch.setattr(Worker, "run", broken)
    dask = FakeDaskWorker()
    session_on(dask, MemoryStore("runs"))
    await until(lambda: dask.said_of(Bye))
    assert dask.said == [Bye("ValueError: of no use")]
    assert "the session ended" in caplog.text


async def test_it_tells_what_its_own_thread_logs_and_nothing_else(tmp_path: Path) -> None:
    one, other = FakeDaskWorker(), FakeDaskWorker()
    stores = [
        ScriptedStore(MemoryStore("runs"), [Rule("put_object", Fail(Transient("trouble")), times=2)]),
        ScriptedStore(MemoryStore("runs")),
    ]
    session = session_on(one, stores[0], mailbox="one")
    neighbour = session_on(other, stores[1], replace(SETTINGS, log_level=logging.DEBUG), mailbox="other")
    await until(lambda: one.said_of(Ready) and other.said_of(Ready))
    assert logging.getLogger("async_s3_upload").level == logging.DEBUG
    logging.getLogger("async_s3_upload").warning("of the Dask worker's own thread")
    session.work_on(Share("runs", (item_of(tmp_path / "a", 0),)), 1)
    neighbour.work_on(Share("runs", (item_of(tmp_path / "b", 1),)), 1)
    await until(lambda: any(isinstance(event, FileDone) for event in one.events))
    await until(lambda: any(isinstance(event, FileDone) for event in other.events))
    for dask in (one, other):
        dask.bring(Stop(0.0))
        await until(lambda dask=dask: dask.said_of(Bye))  # type: ignore[misc]
    lines = [event for event in one.events if isinstance(event, LogLine)]
    assert any("run/0: attempt 2 failed" in line.text for line in lines)
    assert {line.level for line in lines} == {logging.WARNING}
    assert not any(
        "run/0" in event.text or "own thread" in event.text for event in other.events if isinstance(event, LogLine)
    )


async def test_a_connection_that_is_gone_breaks_nothing(clock: Clock) -> None:
    dask = FakeDaskWorker()
    session = session_on(dask, MemoryStore("runs"), lease_s=10.0)
    await until(lambda: dask.said_of(Ready))
    dask.broken = True
    clock.now += 11.0
    await until(lambda: session.ended)
    assert dask.said == [Ready()]


async def test_it_works_without_uvloop_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    dask = FakeDaskWorker()
    session_on(dask, MemoryStore("runs"))
    dask.bring(Stop(0.0))
    await until(lambda: dask.said_of(Bye))
    assert dask.said == [Ready(), Bye()]
