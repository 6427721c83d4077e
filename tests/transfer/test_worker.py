"""A worker without its process: what it says through the pipe at its start, its end and in trouble."""

import asyncio
import itertools
import logging
import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import uvloop

from async_s3_upload.timetable import Timetable
from async_s3_upload.transfer.activity import Counts
from async_s3_upload.transfer.engine import gate as gating
from async_s3_upload.transfer.engine.engine import Engine
from async_s3_upload.transfer.lending import CutOff, CutOffDone, GiveBack, Returned
from async_s3_upload.transfer.messages import (
    AwsAccess,
    BandwidthGrant,
    BandwidthWanted,
    CannotStart,
    Events,
    FileDone,
    FileItem,
    Limits,
    LogLine,
    ObjectSettings,
    Ready,
    Share,
    Stop,
    WorkerSettings,
)
from async_s3_upload.transfer.pace import Pace
from async_s3_upload.transfer.rows import event_of
from async_s3_upload.transfer.slowing import Halved, SlowDown
from async_s3_upload.transfer.stores.store import BadCredentials, Body, ObjectStore, Throttled, Transient
from async_s3_upload.transfer.workers import worker
from async_s3_upload.transfer.workers.channel import PipeChannel
from async_s3_upload.transfer.workers.worker import Worker
from tests.contract.memory_store import MemoryStore
from tests.contract.scripted_store import Fail, Hang, Rule, ScriptedStore

SETTINGS = WorkerSettings(AwsAccess(), Limits(concurrency=2), logging.WARNING)
SETTINGS_OF_OBJECTS = ObjectSettings(storage_class="STANDARD_IA")
Pipe: TypeAlias = "Connection[Any, Any]"


@pytest.fixture
def pipes() -> Iterator[tuple[Pipe, Pipe]]:
    ours, theirs = multiprocessing.Pipe()
    logger = logging.getLogger("async_s3_upload")
    handlers, level = list(logger.handlers), logger.level
    yield ours, theirs
    logger.handlers[:] = handlers
    logger.setLevel(level)
    ours.close()
    theirs.close()


def item_of(path: Path, number: int) -> FileItem:
    path.write_bytes(b"body")
    found = path.stat()
    return FileItem(number, str(path), "run/a", found.st_size, found.st_mtime_ns, found.st_ino)


def said(pipe: Pipe) -> list[Any]:
    messages = []
    while pipe.poll():
        messages.append(pipe.recv())
    return messages


def events_in(messages: list[Any]) -> list[Any]:
    return [event_of(row) for message in messages if isinstance(message, Events) for row in message.rows]


async def life(pipe: Pipe, store: ObjectStore, settings: WorkerSettings = SETTINGS) -> None:
    async with asyncio.timeout(20):
        worker = Worker(PipeChannel(pipe), settings, lambda _settings, _pace: store)
        logging.getLogger("async_s3_upload").handlers[:] = [worker.log_handler]
        await worker.run()


async def test_it_says_ready_sends_its_share_and_tells_all_before_it_leaves(
    pipes: tuple[Pipe, Pipe], tmp_path: Path
) -> None:
    ours, theirs = pipes
    ours.send(Share("runs", (item_of(tmp_path / "a", 7),), SETTINGS_OF_OBJECTS))
    memory = MemoryStore("runs")
    store = ScriptedStore(memory)
    working = asyncio.create_task(life(theirs, store))
    await store.wait_for("put_object")
    ours.send(Stop(5.0))
    await working
    messages = said(ours)
    assert messages[0] == Ready()
    assert [type(event) for event in events_in(messages)] == [FileDone]
    assert events_in(messages)[0].number == 7
    assert memory.objects["runs"]["run/a"].settings == SETTINGS_OF_OBJECTS


async def test_it_tells_now_and_then_what_is_in_flight_and_was_retried(
    pipes: tuple[Pipe, Pipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "COUNTS_EVERY_S", 0.001)
    ours, theirs = pipes
    ours.send(Share("runs", (item_of(tmp_path / "a", 0), item_of(tmp_path / "b", 1))))
    rules = [Rule("put_object", Fail(Transient("503"))), Rule("put_object", Hang(), times=None)]
    store = ScriptedStore(MemoryStore("runs"), rules)
    working = asyncio.create_task(life(theirs, store))
    told: list[Any] = []
    async with asyncio.timeout(10):
        while Counts(in_flight=2, retries=1) not in told:
            told += said(ours)
            await asyncio.sleep(0.001)
    ours.send(Stop(0.0))
    await working
    counts = [message for message in told if isinstance(message, Counts)]
    assert all(one != other for one, other in itertools.pairwise(counts))


async def test_it_tells_at_its_end_what_was_retried_last(
    pipes: tuple[Pipe, Pipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "COUNTS_EVERY_S", 3600.0)
    ours, theirs = pipes
    ours.send(Share("runs", (item_of(tmp_path / "a", 0),)))
    store = ScriptedStore(MemoryStore("runs"), [Rule("put_object", Fail(Transient("503")))])
    working = asyncio.create_task(life(theirs, store))
    await store.wait_for("put_object", 2)
    ours.send(Stop(5.0))
    await working
    assert [message for message in said(ours) if isinstance(message, Counts)][-1] == Counts(0, 1)


async def test_stop_cuts_off_what_hangs_after_the_grace(pipes: tuple[Pipe, Pipe], tmp_path: Path) -> None:
    ours, theirs = pipes
    ours.send(Share("runs", (item_of(tmp_path / "a", 0),)))
    store = ScriptedStore(MemoryStore("runs"), [Rule("put_object", Hang())])
    working = asyncio.create_task(life(theirs, store))
    await store.wait_for("put_object")
    ours.send(Stop(0.05))
    await working
    assert events_in(said(ours)) == []


async def test_what_is_cut_off_ends_at_once_and_the_rest_goes_on(pipes: tuple[Pipe, Pipe], tmp_path: Path) -> None:
    ours, theirs = pipes
    hangs, waits, good = (item_of(tmp_path / name, number) for number, name in ((0, "a"), (1, "b"), (100, "c")))
    store = ScriptedStore(MemoryStore("runs"), [Rule("put_object", Hang(), times=2)])
    ours.send(Share("runs", (hangs, waits), base=10))
    ours.send(Share("runs", (waits, good)))
    working = asyncio.create_task(life(theirs, store))
    await store.wait_for("put_object", 2)
    ours.send(CutOff(10, 12))
    await store.wait_for("put_object", 4)
    ours.send(Stop(5.0))
    await working
    messages = said(ours)
    assert CutOffDone(10) in messages
    assert sorted(event.number for event in events_in(messages)) == [1, 100]


async def test_what_it_has_not_begun_it_gives_back(pipes: tuple[Pipe, Pipe], tmp_path: Path) -> None:
    ours, theirs = pipes
    store = ScriptedStore(MemoryStore("runs"), [Rule("put_object", Hang(), times=None)])
    ours.send(Share("runs", tuple(item_of(tmp_path / str(number), number) for number in range(6)), base=10))
    working = asyncio.create_task(life(theirs, store))
    await store.wait_for("put_object", 2)
    for _ in range(4):
        ours.send(GiveBack())
    ours.send(Stop(0.05))
    await working
    returned = [message for message in said(ours) if isinstance(message, Returned)]
    assert [message.files for message in returned] == [(14, 15), (13,), (12,), ()]


async def test_a_store_that_does_not_open_is_said(pipes: tuple[Pipe, Pipe]) -> None:
    class Closed(MemoryStore):
        async def __aenter__(self) -> "Closed":
            raise BadCredentials("no credentials")

    ours, theirs = pipes
    await life(theirs, Closed())
    assert said(ours) == [CannotStart("no credentials")]


@pytest.mark.parametrize("debug", ["", "1"])
async def test_the_reason_of_an_engine_that_broke_is_told_with_its_traceback_for_debug_alone(
    pipes: tuple[Pipe, Pipe], monkeypatch: pytest.MonkeyPatch, debug: str
) -> None:
    monkeypatch.setenv("ASYNC_S3_UPLOAD_DEBUG", debug)

    async def run(_self: Engine) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Engine, "run", run)
    ours, theirs = pipes
    await life(theirs, MemoryStore())
    (line,) = events_in(said(ours))
    assert isinstance(line, LogLine)
    assert line.level == logging.ERROR
    assert line.text.startswith("a worker process ended by ZeroDivisionError('a bug'), see --debug")
    assert ("Traceback" in line.text) is bool(debug)


def test_the_pipe_stays_blocking_under_uvloop_so_that_messages_in_pieces_are_no_error(
    pipes: tuple[Pipe, Pipe],
) -> None:
    ours, theirs = pipes
    worker = Worker(PipeChannel(theirs), SETTINGS, lambda _settings, _pace: MemoryStore())

    async def life() -> None:
        running = asyncio.create_task(worker.run())
        async with asyncio.timeout(10):
            while not await asyncio.to_thread(ours.poll, 0.05):
                pass
        assert ours.recv() == Ready()
        assert os.get_blocking(theirs.fileno())
        ours.send(Stop(0.0))
        async with asyncio.timeout(10):
            await running

    uvloop.run(life())


async def test_a_worker_without_a_limit_never_paces(pipes: tuple[Pipe, Pipe]) -> None:
    ours, theirs = pipes
    paces: list[Pace | None] = []

    def open_store(_: WorkerSettings, pace: Pace | None) -> ObjectStore:
        paces.append(pace)
        return MemoryStore()

    ours.send(Stop(0.0))
    async with asyncio.timeout(20):
        await Worker(PipeChannel(theirs), SETTINGS, open_store).run()
    assert paces == [None]


async def test_it_says_once_that_it_was_refused_and_does_less_when_others_were_without_a_word(
    pipes: tuple[Pipe, Pipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gating, "HALVE_EVERY_S", 3600.0)
    ours, theirs = pipes
    store = ScriptedStore(MemoryStore("runs"), [Rule("put_object", Fail(Throttled("SlowDown")), times=2)])
    ours.send(Share("runs", (item_of(tmp_path / "a", 0), item_of(tmp_path / "b", 1))))
    working = asyncio.create_task(life(theirs, store))
    messages: list[Any] = []
    async with asyncio.timeout(10):
        while sum(isinstance(event, FileDone) for event in events_in(messages)) < 2:
            messages += said(ours)
            await asyncio.sleep(0.001)
    ours.send(Stop(0.0))
    await working
    assert messages.count(Halved()) == 1, "two refusals of one second"


async def test_it_does_less_at_a_time_when_others_were_refused_and_says_nothing_of_it(
    pipes: tuple[Pipe, Pipe], tmp_path: Path
) -> None:
    ours, theirs = pipes
    store = ScriptedStore(MemoryStore("runs"), [Rule("put_object", Hang(), times=None)])
    settings = replace(SETTINGS, limits=Limits(concurrency=8))
    logging.getLogger("async_s3_upload").setLevel(logging.DEBUG)
    working = asyncio.create_task(life(theirs, store, settings))
    ours.send(SlowDown())
    ours.send(SlowDown())
    ours.send(Share("runs", tuple(item_of(tmp_path / str(number), number) for number in range(8))))
    ours.send(CutOff(100, 101))  # the answer tells that all of it has come
    messages: list[Any] = []
    async with asyncio.timeout(10):
        while CutOffDone(100) not in messages or len(store.calls) < 6:
            messages += said(ours)
            await asyncio.sleep(0.001)
    ours.send(Stop(0.0))
    await working
    messages += said(ours)
    assert len(store.calls) == 6
    assert Halved() not in messages
    lines = [event.text for event in events_in(messages) if isinstance(event, LogLine)]
    assert lines == ["S3 refuses requests of others: 6 at a time from now on"]


class PacedStore(MemoryStore):
    """Asks for bandwidth before it stores."""

    def __init__(self, pace: Pace | None) -> None:
        super().__init__("runs")
        assert pace is not None
        self._pace = pace

    async def put_object(
        self, bucket: str, key: str, body: Body, crc64nvme: str | None, settings: ObjectSettings
    ) -> str:
        await self._pace(len(body))
        return await super().put_object(bucket, key, body, crc64nvme, settings)


@pytest.mark.parametrize("answered", [True, False], ids=["lent", "never lent, and told to stop"])
async def test_bytes_wait_until_the_coordinator_lends_bandwidth(
    pipes: tuple[Pipe, Pipe], tmp_path: Path, answered: bool
) -> None:
    ours, theirs = pipes
    ours.send(Share("runs", (item_of(tmp_path / "a", 7),), SETTINGS_OF_OBJECTS))
    worker = Worker(PipeChannel(theirs), replace(SETTINGS, bandwidth=Timetable(1000)), lambda _, pace: PacedStore(pace))
    async with asyncio.timeout(20):
        running = asyncio.create_task(worker.run())
        while not ours.poll():
            await asyncio.sleep(0.005)
        assert ours.recv() == Ready()
        while not ours.poll():
            await asyncio.sleep(0.005)
        assert ours.recv() == BandwidthWanted(0)
        if answered:
            ours.send(BandwidthGrant(1000, 1000))
        ours.send(Stop(20.0 if answered else 0.0))
        await running
    done = [event.number for event in events_in(said(ours)) if isinstance(event, FileDone)]
    assert done == ([7] if answered else [])
