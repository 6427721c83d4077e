"""What the pool of a cluster decides as workers come, go, break and fall silent: without Dask behind it."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import distributed
import pytest

from async_s3_upload import __version__
from async_s3_upload.errors import ClusterError
from async_s3_upload.transfer.cluster import check, host
from async_s3_upload.transfer.cluster import handle as handles
from async_s3_upload.transfer.cluster import pool as pools
from async_s3_upload.transfer.cluster.examiner import REMEMBERED
from async_s3_upload.transfer.cluster.handle import DaskHandle
from async_s3_upload.transfer.cluster.link import Link
from async_s3_upload.transfer.cluster.opening import Bye, Withdraw, Withdrawn
from async_s3_upload.transfer.cluster.pool import ClusterPool
from async_s3_upload.transfer.lending import CutOff, Returned
from async_s3_upload.transfer.messages import AwsAccess, CannotStart, Events, Limits, Ready, Stop, WorkerSettings
from async_s3_upload.transfer.plan import Job
from async_s3_upload.transfer.workers.pool import Message, WorkerHandle
from tests.contract.pools import job_of, share_of
from tests.transfer.dask_fakes import FakeLink, until

A, B = "tcp://a:1", "tcp://b:1"
SETTINGS = WorkerSettings(AwsAccess(access_key="key", secret_key="secret"), Limits(), 30)


class Scene:
    """A pool whose link, scheduler and workers are made up."""

    def __init__(self, job: Job) -> None:
        self.link = FakeLink()
        self.client = self.link.client
        self.pool = ClusterPool(SETTINGS, cast(Link, self.link))
        self.job = job
        self.running = asyncio.create_task(self.pool.run())

    async def begin(self, *addresses: str) -> list[DaskHandle]:
        """Have these workers, with sessions that are ready."""
        self.link.are(*addresses)
        await self.pool.prepare(self.job)
        for address in addresses:
            self.say(self.at(address), Ready())
        await self.pool.next_messages(0.0)
        return [self.at(address) for address in addresses]

    def at(self, address: str) -> DaskHandle:
        (found,) = [worker for worker in self.pool.workers if cast(DaskHandle, worker).address == address]
        assert isinstance(found, DaskHandle)
        return found

    def say(self, worker: DaskHandle, *messages: object) -> None:
        """Let its session say something."""
        self.link.on_heard(worker.mailbox, worker.heard + 1, list(messages))

    async def gone(self, worker: WorkerHandle) -> None:
        """Return when the pool has said that a worker is gone, and remove it."""
        said: list[Message] = []
        async with asyncio.timeout(10):
            while (worker, None) not in said:
                said += await self.pool.next_messages(1.0)
        self.pool.remove(worker)
        assert said.count((worker, None)) == 1


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    monkeypatch.setattr(pools, "BELIEVED_DEAD_S", 0.0)
    monkeypatch.setattr(pools, "BEAT_S", 0.001)
    scene = Scene(job_of(tmp_path, "runs", [4] * 9))
    monkeypatch.setattr(distributed, "Queue", scene.client.queue)
    yield scene
    scene.running.cancel()
    await asyncio.gather(scene.running, return_exceptions=True)
    scene.pool.kill_all()
    await scene.pool.closed()
    assert scene.client.open_queues == set()


async def test_each_worker_is_examined_and_gets_a_session_without_keys(scene: Scene) -> None:
    one, other = await scene.begin(A, B)
    assert (one.address, other.address) == (A, B)
    assert [(called.address, called.function) for called in scene.client.calls if called.address == A] == [
        (A, check.version),
        (A, check.examine),
        (A, host.open_session),
    ]
    samples, buckets, access = next(called.args for called in scene.client.calls if called.function is check.examine)
    assert [sample.path for sample in samples] == [scene.job.items[0].path, scene.job.items[-1].path]
    assert buckets == ("runs",)
    assert "secret" not in repr(access)
    assert access.secret_key is None
    (opening,) = scene.client.openings[A]
    assert opening.settings.completes == "coordinator"
    assert opening.settings.access.access_key is None
    assert opening.mailbox == one.mailbox != other.mailbox


async def test_shares_go_as_tasks_to_this_worker_alone_and_messages_in_order(scene: Scene) -> None:
    one, _ = await scene.begin(A, B)
    one.give(share_of(scene.job, 0, 2))
    one.give(share_of(scene.job, 0, 2))
    first, second = scene.client.submitted
    assert first.options == {"workers": [A], "allow_other_workers": False, "pure": False, "retries": 0}
    assert first.key != second.key
    for number in range(5):
        one.tell(CutOff(number, number + 1))
    await until(lambda: len(scene.client.told(one.mailbox)) == 5)
    assert scene.client.told(one.mailbox) == [CutOff(number, number + 1) for number in range(5)]
    numbers = [number for number, _, _ in scene.client.put[one.mailbox]]
    assert scene.client.put[one.mailbox][-1][1] == 2  # shares that were given before
    assert numbers == [*range(1, len(numbers) + 1)]


async def test_shares_that_wait_for_a_thread_come_back_until_one_is_free(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (one,) = await scene.begin(A)
    one.ready = True
    one.give(share_of(scene.job, 0, 2))
    one.give(share_of(scene.job, 2, 5))
    monkeypatch.setattr(handles, "OCCUPIED_S", 0.0)
    await until(lambda: Withdraw((1, 2)) in scene.client.told(one.mailbox))
    scene.say(one, Withdrawn((2,)))
    assert (one, Returned((2, 3, 4), ())) in await scene.pool.next_messages(1.0)
    assert [future.released for future in scene.client.submitted] == [False, True]
    assert not one.ready
    assert "other tasks occupy its threads; it is used again when one is free" in caplog.text
    assert f"worker {A} has begun no share for 0 s: " in caplog.text
    assert scene.client.told(one.mailbox) == [Withdraw((1, 2))]
    (probe,) = scene.client.probes
    await asyncio.to_thread(probe.end)
    await until(lambda: one.ready)
    beats = len(scene.client.put[one.mailbox])
    await until(lambda: len(scene.client.put[one.mailbox]) > beats + 3)
    assert scene.client.told(one.mailbox) == [Withdraw((1, 2))]  # the first one has come, nothing is asked again


async def test_they_hear_beats_though_nothing_is_to_be_told(scene: Scene) -> None:
    (one,) = await scene.begin(A)
    await until(lambda: len(scene.client.put[one.mailbox]) > 3)
    assert scene.client.told(one.mailbox) == []


async def test_who_joins_in_mid_run_is_used_and_examined_for_each_job(scene: Scene, tmp_path: Path) -> None:
    await scene.begin(A)
    (tmp_path / "other").mkdir()
    await scene.pool.prepare(job_of(tmp_path / "other", "others", [4]))
    await scene.pool.prepare(scene.job)
    assert scene.client.examined(A) == [("runs",), ("others",)]
    scene.link.are(A, B)
    await until(lambda: len(scene.pool.workers) == 2)
    await until(lambda: B in scene.client.openings)
    assert scene.client.examined(B) == [("runs",), ("others",)]
    assert scene.client.examined(A) == [("runs",), ("others",)]


async def test_who_leaves_is_gone_once_and_comes_in_again(scene: Scene) -> None:
    one, other = await scene.begin(A, B)
    one.give(share_of(scene.job, 0, 3))
    scene.link.are(B)
    scene.link.are(B)
    await scene.gone(one)
    assert scene.pool.epitaph(one) == f"worker {A} is gone with 3 files in hand, they are tried again"
    assert scene.pool.workers == [other]
    assert scene.client.submitted[0].released
    scene.link.are(A, B)
    await until(lambda: len(scene.client.openings[A]) == 2)
    assert scene.at(A) is not one
    assert await scene.pool.next_messages(0.05) == []


async def test_who_was_removed_while_it_was_waited_for_is_not_told_of_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "BELIEVED_DEAD_S", 0.02)
    await scene.begin(A)
    scene.link.are()
    scene.pool.kill_all()
    assert scene.pool.workers == []
    assert await scene.pool.next_messages(0.1) == []


async def test_who_goes_while_it_is_examined_for_the_next_job_is_no_trouble(
    scene: Scene, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (one,) = await scene.begin(A)
    scene.client.troubles[A] = OSError("the connection was closed")
    (tmp_path / "other").mkdir()
    await scene.pool.prepare(job_of(tmp_path / "other", "others", [4]))
    assert not one.leaving
    assert "cannot be used" not in caplog.text
    scene.link.are()
    await scene.gone(one)
    assert scene.pool.epitaph(one) == f"worker {A} is gone, it had nothing in hand"


async def test_who_joins_is_examined_for_the_last_jobs_alone(scene: Scene) -> None:
    await scene.begin(A)
    for number in range(REMEMBERED):
        await scene.pool.prepare(replace(scene.job, bucket=f"bucket-{number}"))
    scene.link.are(A, B)
    await until(lambda: B in scene.client.openings)
    assert scene.client.examined(B) == [(f"bucket-{number}",) for number in range(REMEMBERED)]


async def test_a_mailbox_that_takes_nothing_holds_nobody(scene: Scene) -> None:
    (one,) = await scene.begin(A)
    scene.client.deaf = True
    one.tell(CutOff(0, 1))
    await until(lambda: one.mailbox not in scene.client.open_queues)
    one.tell(CutOff(1, 2))
    assert scene.client.told(one.mailbox) == []


async def test_what_a_worker_says_after_it_was_given_up_does_not_count(scene: Scene) -> None:
    (one,) = await scene.begin(A)
    scene.link.are()
    await until(lambda: one.dead)
    scene.say(one, Events(()))
    await scene.gone(one)
    scene.say(one, Events(()))
    assert await scene.pool.next_messages(0.0) == []


async def test_a_worker_that_is_lost_is_not_ready_though_it_says_so_late(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "BELIEVED_DEAD_S", 0.02)
    (one,) = await scene.begin(A)
    one.ready = True
    scene.link.are()
    assert not one.ready
    scene.say(one, Events(()))
    assert not one.ready
    await scene.gone(one)


async def test_a_refused_worker_is_not_asked_again_until_it_comes_back(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.client.troubles[A] = "it does not see the folder"
    scene.link.are(A, B)
    await scene.pool.prepare(scene.job)
    assert caplog.text.count(f"worker {A} cannot be used: it does not see the folder") == 1
    await scene.pool.prepare(scene.job)
    scene.link.on_workers()
    assert len(scene.client.examined(A)) == 1
    scene.pool.grow_to(2)
    del scene.client.troubles[A]
    scene.link.are(B)
    scene.link.are(A, B)
    await until(lambda: A in scene.client.openings)
    assert len(scene.client.examined(A)) == 2


@pytest.mark.parametrize(
    ("theirs", "sentence"),
    [
        ("0.0.1", f"it has async-s3-upload 0.0.1, this is {__version__}: install the same version"),
        (ImportError("async_s3_upload"), f"it has no async-s3-upload, this is {__version__}: install the same version"),
        (ValueError("of no use"), "it cannot begin: of no use"),
    ],
)
async def test_when_all_are_refused_the_command_ends(
    scene: Scene, caplog: pytest.LogCaptureFixture, theirs: object, sentence: str
) -> None:
    scene.client.versions[A] = theirs
    scene.link.are(A)
    await scene.pool.prepare(scene.job)
    await scene.pool.next_messages(0.0)
    assert f"worker {A} cannot be used: {sentence}" in caplog.text
    with pytest.raises(ClusterError, match="has no worker that can be used: start some"):
        scene.pool.grow_to(1)


async def test_without_any_worker_people_are_told_and_some_may_join(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    await scene.pool.prepare(scene.job)
    assert "has no worker that can be used: start some (dask worker)" in caplog.text
    scene.pool.grow_to(2)
    scene.link.are(A)
    await until(lambda: A in scene.client.openings)


async def test_for_the_next_job_a_worker_may_be_unfit(
    scene: Scene, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, _ = await scene.begin(A, B)
    scene.client.troubles[A] = "bucket others: there is no such bucket"
    (tmp_path / "other").mkdir()
    await scene.pool.prepare(job_of(tmp_path / "other", "others", [4]))
    assert f"worker {A} cannot be used: bucket others: there is no such bucket" in caplog.text
    await until(lambda: Stop(0.0) in scene.client.told(one.mailbox))
    await scene.gone(one)
    assert len(scene.client.openings[A]) == 1


async def test_who_goes_while_it_is_examined_is_no_trouble(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.client.versions[A] = OSError("the connection was closed")
    scene.link.are(A)
    await scene.pool.prepare(scene.job)
    assert "cannot be used" not in caplog.text
    assert scene.pool.workers == []
    scene.pool.grow_to(1)


async def test_who_goes_while_its_session_opens_is_forgotten(scene: Scene) -> None:
    scene.client.refusals[A] = OSError("the connection was closed")
    scene.link.are(A)
    await scene.pool.prepare(scene.job)
    del scene.client.refusals[A]
    await scene.gone(scene.at(A))
    await until(lambda: len(scene.client.openings.get(A, ())) == 1)


async def test_a_session_that_does_not_open_is_told(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.client.refusals[A] = RuntimeError("can't start new thread")
    scene.link.are(A)
    await scene.pool.prepare(scene.job)
    await scene.gone(scene.at(A))
    assert f"worker {A} cannot be used: it cannot begin: can't start new thread" in caplog.text


async def test_a_worker_that_cannot_start_is_not_used(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    (one,) = await scene.begin(A)
    scene.say(one, CannotStart("no credentials are found"), Bye())
    await scene.gone(one)
    assert f"worker {A} cannot be used: it cannot begin: no credentials are found" in caplog.text
    with pytest.raises(ClusterError):
        scene.pool.grow_to(1)


async def test_a_worker_that_ends_badly_three_times_is_not_used_any_more(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    await scene.begin(A)
    for time in (1, 2, 3):
        await until(lambda time=time: len(scene.client.openings[A]) == time)  # type: ignore[misc]
        scene.say(scene.at(A), Bye("ValueError: of no use"))
        await scene.gone(scene.at(A))
    assert caplog.text.count(f"worker {A} ended its session: ValueError: of no use") == 3
    assert f"worker {A} cannot be used: it cannot begin: ValueError: of no use" in caplog.text
    scene.link.on_workers()
    assert len(scene.client.openings[A]) == 3


async def test_a_message_that_was_lost_on_the_way_ends_the_session_once(
    scene: Scene, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "BELIEVED_DEAD_S", 0.02)
    (one,) = await scene.begin(A)
    for number in (3, 4, 5):
        scene.link.on_heard(one.mailbox, number, [Events(())])
    assert caplog.text.count(f"worker {A}: what it said was lost on the way, it is told to end") == 1
    await until(lambda: scene.client.told(one.mailbox) == [Stop(0.0)])
    await scene.gone(one)


async def test_a_worker_that_falls_silent_is_given_up(
    scene: Scene, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one,) = await scene.begin(A)
    one.give(share_of(scene.job))
    monkeypatch.setattr(pools, "SILENT_S", -1.0)
    await until(lambda: one.dead)
    monkeypatch.undo()
    await scene.gone(one)
    assert f"worker {A} has not answered for 0 s" in caplog.text


async def test_a_share_that_a_worker_does_not_take_ends_its_session(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    (one,) = await scene.begin(A)
    one.give(share_of(scene.job, 0, 3))
    one.give(share_of(scene.job, 3, 6))
    done, refused = scene.client.submitted
    await asyncio.to_thread(done.end)
    await asyncio.to_thread(refused.end, RuntimeError("there is no session in its process"))
    await scene.gone(one)
    assert len(one.outstanding) == 6
    assert f"worker {A} did not take a share: there is no session in its process" in caplog.text


async def test_when_the_scheduler_is_lost_all_are_gone_and_nobody_is_asked(scene: Scene) -> None:
    one, other = await scene.begin(A, B)
    scene.link.lose("the connection was closed")
    assert scene.pool.lost == "the Dask scheduler was lost: the connection was closed"
    said = await scene.pool.next_messages(0.0)
    assert len(said) == 2
    assert set(said) == {(one, None), (other, None)}
    for worker in (one, other):
        scene.pool.remove(worker)
    calls = len(scene.client.calls)
    await scene.pool.prepare(scene.job)
    assert len(scene.client.calls) == calls
    assert await scene.pool.close(0.0, 1.0) == []


async def test_a_bug_while_it_watches_is_a_lost_scheduler(scene: Scene) -> None:
    await scene.begin(A)
    scene.link.breaks.set()
    await until(lambda: scene.pool.lost)
    assert scene.pool.lost == "the Dask scheduler was lost: ValueError: the watch broke"


async def test_closing_does_not_wait_for_those_who_still_join(scene: Scene) -> None:
    await scene.begin(A)
    scene.client.hang.add(B)
    scene.link.are(A, B)
    closing = asyncio.create_task(scene.pool.close(1.0, 10.0))
    await until(lambda: Stop(1.0) in scene.client.told(scene.at(A).mailbox))
    scene.say(scene.at(A), Bye())
    async with asyncio.timeout(5):
        assert await closing == []
    scene.client.hang.clear()
    await scene.pool.prepare(scene.job)
    assert {address: len(found) for address, found in scene.client.openings.items()} == {A: 2, B: 1}


async def test_a_session_that_was_still_opening_does_not_hold_the_end(scene: Scene) -> None:
    scene.client.hang_sessions.add(A)
    scene.link.are(A)
    preparing = asyncio.create_task(scene.pool.prepare(scene.job))
    await until(lambda: scene.pool.workers)
    async with asyncio.timeout(5):
        assert await scene.pool.close(1.0, 60.0) == []
    await preparing
    assert scene.pool.workers == []


async def test_slow_workers_do_not_hold_the_job(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "EXAMINED_WITHIN_S", 0.01)
    scene.client.hang.add(B)
    await scene.begin(A)
    scene.link.are(A, B)
    await scene.pool.prepare(scene.job)
    monkeypatch.setattr(pools, "EXAMINED_WITHIN_S", 60.0)
    async with asyncio.timeout(5):
        await scene.pool.prepare(scene.job)
    assert [cast(DaskHandle, worker).address for worker in scene.pool.workers] == [A]


async def test_files_that_changed_meanwhile_are_no_samples(scene: Scene) -> None:
    os.unlink(scene.job.items[0].path)
    Path(scene.job.items[-1].path).write_bytes(b"other than planned")
    await scene.begin(A)
    samples, *_ = next(called.args for called in scene.client.calls if called.function is check.examine)
    assert samples == ()
