"""What every pool of workers promises: real worker processes and real Dask workers, real requests."""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from async_s3_upload.errors import ClusterError
from async_s3_upload.timetable import Timetable
from async_s3_upload.transfer.cluster import pool as cluster_pool
from async_s3_upload.transfer.ending import UploadReady
from async_s3_upload.transfer.lending import CutOff, CutOffDone, GiveBack, PartsBack, Returned
from async_s3_upload.transfer.messages import (
    BandwidthGrant,
    CannotStart,
    FileDone,
    FileFailed,
    Limits,
    LogLine,
    PartDone,
    Ready,
    UploadBegun,
)
from async_s3_upload.transfer.slowing import SlowDown
from async_s3_upload.transfer.workers.pool import WorkerHandle
from tests.contract.pools import (
    DEADLINE_S,
    PATIENCE_S,
    WORKERS,
    Cluster,
    Crew,
    Ground,
    ThisMachine,
    events_in,
    job_of,
    settings_for,
    share_of,
)
from tests.support.cluster import DaskCluster
from tests.support.proxy import Answer, FaultProxy, Rule, Stall, on
from tests.support.s3server import S3Server

ProxyFor = Callable[..., tuple[FaultProxy, S3Server]]
MB = 1024 * 1024
ONE_AT_A_TIME = Limits(concurrency=1, attempts=3)


@pytest.fixture(autouse=True)
def nobodys_aws_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="module")
def cluster(moto_server: S3Server) -> Iterator[Cluster]:
    with DaskCluster(env=moto_server.environment()) as running:
        yield Cluster(running)


@pytest.fixture(params=["processes", "cluster"])
def ground(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Ground:
    if request.param == "processes":
        return ThisMachine()
    monkeypatch.setattr(cluster_pool, "BELIEVED_DEAD_S", 0.5)
    monkeypatch.setattr(cluster_pool, "BEAT_S", 0.5)
    found: Cluster = request.getfixturevalue("cluster")
    return found


@pytest.fixture
def bucket(moto_server: S3Server, bucket_name: Callable[..., str]) -> str:
    return moto_server.make_bucket(bucket_name("pool"))


async def seen(proxy: FaultProxy, name: str, times: int = 1) -> None:
    await asyncio.to_thread(proxy.wait_for, on(name), times)


async def given_back(crew: Crew, worker: WorkerHandle) -> Returned:
    """Ask for what is not begun; what was given before is there by then, whichever way it took."""
    answers = crew.answers(worker, Returned)
    worker.tell(GiveBack())
    return (await crew.have(worker, Returned, len(answers) + 1))[-1]


async def test_they_are_ready_first_and_tell_of_each_file_once(
    ground: Ground, moto_server: S3Server, bucket: str, tmp_path: Path
) -> None:
    job = job_of(tmp_path, bucket, [*range(200)])
    async with ground.open(settings_for(moto_server)) as pool:
        crew = Crew(pool)
        one, other = await crew.begin(job)
        assert all(isinstance(crew.of(worker)[0], Ready) for worker in (one, other))
        one.give(share_of(job, 0, 120))
        other.give(share_of(job, 120))
        assert len(one.outstanding) == 120
        await crew.until(lambda: len(crew.events()) >= 200)
        found = {event.number: event for event in crew.events() if isinstance(event, FileDone)}
        assert sorted(event.number for event in crew.events(one) if isinstance(event, FileDone)) == [*range(120)]
    assert len(crew.events()) == len(found) == 200
    objects = moto_server.objects(bucket)
    assert {item.key: found[item.number].etag for item in job.items} == {
        key: stored.etag for key, stored in objects.items()
    }
    assert all(found[item.number].sent == item.size for item in job.items)


async def test_numbers_are_those_of_the_way_there(
    ground: Ground, moto_server: S3Server, bucket: str, tmp_path: Path
) -> None:
    async with ground.open(settings_for(moto_server)) as pool:
        crew = Crew(pool)
        job = job_of(tmp_path, bucket, [10] * 3, "first")
        worker, _ = await crew.begin(job)
        worker.give(share_of(job))
        await crew.until(lambda: len(crew.events()) == 3)
        job = job_of(tmp_path, bucket, [10] * 3, "second")
        await pool.prepare(job)
        worker.give(share_of(job, base=1000))
        await crew.until(lambda: len(crew.events()) == 6)
    told = [event.number for event in crew.events(worker) if isinstance(event, FileDone)]
    assert (sorted(told[:3]), sorted(told[3:])) == ([0, 1, 2], [1000, 1001, 1002])


async def test_messages_keep_their_order_both_ways(
    ground: Ground, moto_server: S3Server, bucket: str, tmp_path: Path
) -> None:
    job = job_of(tmp_path, bucket, [17 * MB])
    async with ground.open(settings_for(moto_server, ONE_AT_A_TIME)) as pool:
        crew = Crew(pool)
        worker, _ = await crew.begin(job)
        worker.give(share_of(job))
        await crew.until(lambda: [e for e in crew.events() if isinstance(e, FileDone | UploadReady)])
        for first in range(1000, 1040):
            worker.tell(CutOff(first, first + 1))
        assert [m.first for m in await crew.have(worker, CutOffDone, 40)] == [*range(1000, 1040)]
    kinds = [type(event) for event in crew.events() if isinstance(event, UploadBegun | PartDone)]
    assert kinds == [UploadBegun, PartDone, PartDone, PartDone]


async def test_what_is_not_begun_is_given_back(
    ground: Ground, moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path
) -> None:
    proxy, server = proxy_for(moto_server, Rule(on("PutObject"), Stall(), times=1))
    job = job_of(tmp_path, bucket, [10] * 9)
    async with ground.open(settings_for(server, ONE_AT_A_TIME)) as pool:
        crew = Crew(pool)
        worker, other = await crew.begin(job)
        worker.give(share_of(job))
        await seen(proxy, "PutObject")
        returned = await given_back(crew, worker)
        assert len(returned.files) == 4
        other.give(share_of(job, returned.files[0], returned.files[-1] + 1))
        await crew.until(lambda: len(crew.events(other)) == 4)
        other.tell(GiveBack())
        assert await crew.have(other, Returned, 1) == [Returned((), ())]
    assert proxy.count(on("PutObject")) == 5


async def test_what_was_given_back_can_be_given_again(
    ground: Ground, moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path
) -> None:
    proxy, server = proxy_for(moto_server, Rule(on("PutObject"), Stall(), times=1))
    job = job_of(tmp_path, bucket, [10] * 2)
    async with ground.open(settings_for(server, ONE_AT_A_TIME)) as pool:
        crew = Crew(pool)
        worker, _ = await crew.begin(job)
        worker.give(share_of(job, 0, 1))
        await seen(proxy, "PutObject")
        for _ in range(5):
            worker.give(share_of(job, 1))
            assert await given_back(crew, worker) == Returned((1,), ())
        worker.give(share_of(job, 1))
        worker.tell(CutOff(0, 1))
        await crew.until(lambda: [e for e in crew.events(worker) if isinstance(e, FileDone)])
    assert [event.number for event in crew.events() if isinstance(event, FileDone)] == [1]


async def test_parts_are_lent_and_their_owner_ends_the_upload(
    ground: Ground, moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path
) -> None:
    limits = Limits(concurrency=1, attempts=3, request_base_s=5.0, min_rate=10**9)
    proxy, server = proxy_for(moto_server, Rule(on("UploadPart"), Stall(), times=1))
    job = job_of(tmp_path, bucket, [33 * MB])
    async with ground.open(settings_for(server, limits)) as pool:
        crew = Crew(pool)
        owner, other = await crew.begin(job)
        owner.give(share_of(job))
        await seen(proxy, "UploadPart")
        (lent,) = (await given_back(crew, owner)).parts
        other.borrowed(lent)
        other.tell(lent)
        await crew.until(lambda: len([e for e in crew.events(other) if isinstance(e, PartDone)]) == len(lent.parts))
        accepted = tuple(event.part for event in crew.events(other) if isinstance(event, PartDone))
        owner.tell(PartsBack(0, accepted))
        await crew.until(lambda: [e for e in crew.events(owner) if isinstance(e, FileDone | UploadReady)])
    (end,) = [event for event in crew.events(owner) if isinstance(event, FileDone | UploadReady)]
    assert isinstance(end, FileDone if pool.settings.completes == "worker" else UploadReady)
    assert sorted(part.number for part in accepted) == list(lent.parts)
    assert len(lent.parts) == 2
    assert end.sent == 33 * MB
    assert proxy.count(on("UploadPart")) == 6


async def test_of_what_is_cut_off_nothing_comes_any_more(
    ground: Ground, moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path
) -> None:
    proxy, server = proxy_for(moto_server, Rule(on("PutObject"), Stall(), times=1))
    job = job_of(tmp_path, bucket, [10] * 8)
    async with ground.open(settings_for(server, ONE_AT_A_TIME)) as pool:
        crew = Crew(pool)
        worker, _ = await crew.begin(job)
        worker.give(share_of(job, 0, 5))
        worker.give(share_of(job, 5))
        await seen(proxy, "PutObject")
        worker.tell(CutOff(0, 5))
        assert await crew.have(worker, CutOffDone, 1) == [CutOffDone(0)]
        await crew.until(lambda: len([e for e in crew.events() if isinstance(e, FileDone)]) == 3)
    assert [event.number for event in crew.events() if isinstance(event, FileDone)] == [5, 6, 7]
    assert proxy.count(on("PutObject")) == 4


async def test_a_soft_end_lets_what_is_in_flight_end_and_returns_it(
    ground: Ground, moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path
) -> None:
    limits = Limits(concurrency=1, attempts=3, request_base_s=0.5, min_rate=10**9)
    proxy, server = proxy_for(moto_server, Rule(on("PutObject"), Stall(), times=1))
    job = job_of(tmp_path, bucket, [10] * 20)
    async with ground.open(settings_for(server, limits)) as pool:
        crew = Crew(pool)
        worker, _ = await crew.begin(job)
        worker.give(share_of(job))
        await seen(proxy, "PutObject")  # its second attempt, after half a second, succeeds
        last = await pool.close(grace_s=10.0, limit_s=20.0)
        assert pool.workers == []
        assert {sender for sender, _ in last} == {worker}
        events = events_in([message for _, message in last])
    assert [event.number for event in events if isinstance(event, FileDone)] == [0]
    assert [*moto_server.objects(bucket)] == [job.items[0].key]


async def test_an_end_at_once_cuts_off_what_hangs_and_the_next_job_has_new_workers(
    ground: Ground, moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path
) -> None:
    proxy, server = proxy_for(moto_server, Rule(on("PutObject"), Stall(), times=1))
    job = job_of(tmp_path, bucket, [10] * 3)
    async with ground.open(settings_for(server, ONE_AT_A_TIME)) as pool:
        crew = Crew(pool)
        before = await crew.begin(job)
        before[0].give(share_of(job))
        await seen(proxy, "PutObject")
        assert await pool.close(grace_s=0.0, limit_s=20.0) == []
        assert pool.workers == []
        after = await crew.begin(job)
        assert set(after).isdisjoint(before)
        after[0].give(share_of(job))
        await crew.until(lambda: len(crew.events(after[0])) == 3)
        assert await pool.next_messages(0.0) == []
    assert proxy.count(on("PutObject")) == 4


@pytest.mark.parametrize("how", ["kill", "kill -9", "kill_all"])
async def test_a_worker_that_was_killed_is_gone_exactly_once(
    ground: Ground, moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path, how: str
) -> None:
    proxy, server = proxy_for(moto_server, Rule(on("PutObject"), Stall(), times=1))
    job = job_of(tmp_path, bucket, [10] * 3)
    async with ground.open(settings_for(server, ONE_AT_A_TIME)) as pool:
        crew = Crew(pool)
        worker, other = await crew.begin(job)
        worker.give(share_of(job))
        await seen(proxy, "PutObject")
        if how == "kill_all":
            pool.kill_all()
            assert pool.workers == []
        else:
            if how == "kill":
                worker.kill()
                worker.kill()
            else:
                ground.kill_9(worker)
            await crew.until(lambda: (worker, None) in crew.said)
            assert len(worker.outstanding) == 3
            assert "3 files in hand, they are tried again" in pool.epitaph(worker)
            pool.remove(worker)
            assert worker not in pool.workers
            other.give(share_of(job))
            await crew.until(lambda: len(crew.events(other)) == 3)
        crew.said += await pool.next_messages(PATIENCE_S)
        crew.said += await pool.next_messages(PATIENCE_S)
    assert crew.said.count((worker, None)) in ((0, 1) if how == "kill_all" else (1,))
    assert crew.said.count((other, None)) == 0 or how == "kill_all"


async def test_who_waits_for_messages_has_patience_and_can_be_woken(
    ground: Ground, moto_server: S3Server, bucket: str, tmp_path: Path
) -> None:
    job = job_of(tmp_path, bucket, [10])
    async with ground.open(settings_for(moto_server)) as pool:
        crew = Crew(pool)
        await crew.begin(job)
        assert await pool.next_messages(0.0) == []
        assert await pool.next_messages(-1.0) == []
        assert await pool.next_messages(0.01) == []
        async with asyncio.timeout(DEADLINE_S):
            waiting = asyncio.create_task(pool.next_messages(10 * DEADLINE_S))
            await asyncio.sleep(0)
            pool.wake()
            assert await waiting == []


async def test_they_tell_what_is_in_flight_and_was_retried(
    ground: Ground, moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path
) -> None:
    rules = [Rule(on("PutObject"), Answer(503, "SlowDown"), times=1), Rule(on("PutObject"), Stall(), times=1)]
    proxy, server = proxy_for(moto_server, *rules)
    job = job_of(tmp_path, bucket, [10])
    async with ground.open(settings_for(server, ONE_AT_A_TIME)) as pool:
        crew = Crew(pool)
        worker, _ = await crew.begin(job)
        worker.give(share_of(job))
        await seen(proxy, "PutObject", 2)
        async with asyncio.timeout(DEADLINE_S):
            while (pool.activity.in_flight, pool.activity.retries) != (1, 1):
                await pool.next_messages(0.05)
        worker.kill()
        await crew.until(lambda: (worker, None) in crew.said)
        pool.remove(worker)
        assert (pool.activity.in_flight, pool.activity.retries) == (0, 1)


async def test_what_they_log_arrives(
    ground: Ground, moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path
) -> None:
    _, server = proxy_for(moto_server, Rule(on("PutObject"), Answer(503, "SlowDown"), times=2))
    job = job_of(tmp_path, bucket, [10])
    async with ground.open(settings_for(server)) as pool:
        crew = Crew(pool)
        worker, _ = await crew.begin(job)
        worker.give(share_of(job))
        await crew.until(lambda: [e for e in crew.events() if isinstance(e, FileDone)])
    (line,) = [event for event in crew.events(worker) if isinstance(event, LogLine)]
    assert "PUT run/0000.bcl: attempt 2 failed, trying again: S3 answered 503 SlowDown" in line.text
    assert (line.level, line.logger.partition(".")[0]) == (30, "async_s3_upload")


async def test_what_s3_refuses_one_of_them_slows_the_others(
    ground: Ground,
    moto_server: S3Server,
    proxy_for: ProxyFor,
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, server = proxy_for(moto_server, Rule(on("PutObject"), Answer(503, "SlowDown"), times=1))
    job = job_of(tmp_path, bucket, [10])
    async with ground.open(settings_for(server)) as pool:
        crew = Crew(pool)
        worker, other = await crew.begin(job)
        worker.ready = other.ready = True
        told: list[object] = []
        slowed = asyncio.Event()
        pool.on_slow_down = slowed.set
        with monkeypatch.context() as patched:
            patched.setattr(other, "tell", told.append)
            worker.give(share_of(job))
            await crew.until(lambda: [e for e in crew.events() if isinstance(e, FileDone)] and slowed.is_set())
    assert told == [SlowDown()]


async def test_they_send_only_the_bytes_they_are_lent(
    ground: Ground, moto_server: S3Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    granted: list[int] = []
    lend = WorkerHandle.lend

    def noted(worker: WorkerHandle, grant: BandwidthGrant) -> None:
        granted.append(grant.size or 0)
        lend(worker, grant)

    monkeypatch.setattr(WorkerHandle, "lend", noted)
    job = job_of(tmp_path, bucket, [400_000] * 4)
    async with ground.open(settings_for(moto_server, bandwidth=Timetable(4_000_000.0, ()))) as pool:
        crew = Crew(pool)
        one, other = await crew.begin(job)
        one.give(share_of(job, 0, 2))
        other.give(share_of(job, 2))
        await crew.until(lambda: len([e for e in crew.events() if isinstance(e, FileDone)]) == 4)
    assert sum(granted) >= 4 * 400_000
    assert len(granted) >= 4


async def test_workers_without_credentials_do_nothing(
    ground: Ground, moto_server: S3Server, bucket: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = job_of(tmp_path, bucket, [10])
    async with ground.open(settings_for(moto_server, profile="nobody")) as pool:
        crew = Crew(pool)
        await pool.prepare(job)
        if isinstance(ground, ThisMachine):
            pool.grow_to(1)
            (told,) = await crew.have(pool.workers[0], CannotStart, 1)
            assert "nobody" in told.error
        else:
            await crew.until(pool.messages.empty)
            with pytest.raises(ClusterError, match="has no worker that can be used: start some"):
                pool.grow_to(1)
            assert caplog.text.count("cannot be used: it finds no AWS credentials: ") == WORKERS
        assert crew.ready() == set()


async def test_a_file_that_fails_or_changes_is_told_and_the_others_go_on(
    ground: Ground, moto_server: S3Server, bucket: str, tmp_path: Path
) -> None:
    job = job_of(tmp_path, bucket, [10] * 5)
    async with ground.open(settings_for(moto_server)) as pool:
        crew = Crew(pool)
        worker, _ = await crew.begin(job)
        os.unlink(job.items[1].path)
        Path(job.items[2].path).write_bytes(b"more than before")
        worker.give(share_of(job))
        await crew.until(lambda: len(crew.events()) == 5)
    failed = {event.number: event.kind for event in crew.events() if isinstance(event, FileFailed)}
    assert failed == {1: "file", 2: "changed"}
