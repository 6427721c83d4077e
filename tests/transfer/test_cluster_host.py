"""What Dask calls on its workers, in one process with the tests."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import distributed
import pytest

from async_s3_upload.transfer.cluster import host
from async_s3_upload.transfer.cluster.opening import Bye, Opening
from async_s3_upload.transfer.cluster.session import Session
from async_s3_upload.transfer.messages import FileDone, Ready, Share, Stop
from tests.contract.memory_store import MemoryStore
from tests.transfer.dask_fakes import LONG_S, SETTINGS, FakeDaskWorker, item_of, until


@pytest.fixture(autouse=True)
def in_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def session_of(opening: Opening, dask: distributed.Worker) -> Session:
        return Session(opening, dask, lambda _settings, _pace: MemoryStore("runs"))

    monkeypatch.setattr(host, "Session", session_of)
    monkeypatch.setattr(distributed, "secede", lambda: None)
    level = logging.getLogger("async_s3_upload").level
    yield
    logging.getLogger("async_s3_upload").setLevel(level)
    host._SESSIONS.clear()


async def opened(mailbox: str) -> FakeDaskWorker:
    dask = FakeDaskWorker()
    await host.open_session(Opening("s", "topic", mailbox, LONG_S, SETTINGS), cast("distributed.Worker", dask))
    await until(lambda: dask.said_of(Ready))
    return dask


async def test_a_task_lives_as_long_as_its_share(tmp_path: Path) -> None:
    dask = await opened("m")
    share = Share("runs", tuple(item_of(tmp_path / str(number), number) for number in range(3)))
    assert await asyncio.to_thread(host.run_share, "m", share, 1) == 3
    await until(lambda: len(dask.events) == 3)
    assert {event.number for event in dask.events if isinstance(event, FileDone)} == {0, 1, 2}
    dask.bring(Stop(0.0))
    await until(lambda: dask.said_of(Bye))
    assert await asyncio.to_thread(host.run_share, "m", share, 1) == 3  # it came too late


async def test_two_sessions_in_one_process_keep_to_themselves(tmp_path: Path) -> None:
    one = await opened("one")
    other = await opened("other")
    shares = [Share("runs", (item_of(tmp_path / name, number),)) for number, name in enumerate("ab")]
    await asyncio.gather(
        asyncio.to_thread(host.run_share, "one", shares[0], 1), asyncio.to_thread(host.run_share, "other", shares[1], 1)
    )
    await until(lambda: one.events and other.events)
    one.bring(Stop(0.0))
    await until(lambda: one.said_of(Bye))
    other.bring()
    await until(lambda: other.told)
    assert not other.said_of(Bye)
    assert [event.number for dask in (one, other) for event in dask.events if isinstance(event, FileDone)] == [0, 1]
    third = await opened("third")
    assert set(host._SESSIONS) == {"other", "third"}
    for dask in (other, third):
        dask.bring(Stop(0.0))
        await until(lambda dask=dask: dask.said_of(Bye))  # type: ignore[misc]


async def test_a_share_for_another_process_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="there is no session in its process"):
        host.run_share("nobody's", Share("runs", (item_of(tmp_path / "a", 0),)), 1)
