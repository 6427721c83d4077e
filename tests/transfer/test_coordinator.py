"""Real worker processes, real requests: what the coordinator promises whatever happens to them."""

import asyncio
import multiprocessing
import multiprocessing.resource_tracker
import os
import random
import select
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from async_s3_upload.errors import AwsAccessError, WorkersError
from async_s3_upload.runs.scan import scan
from async_s3_upload.transfer.coordination import coordinator as coordinating
from async_s3_upload.transfer.coordination.coordinator import DEATHS_ALONE, GIVE_UP_S, Coordinator
from async_s3_upload.transfer.messages import (
    AwsAccess,
    FileDone,
    FileFailed,
    FileItem,
    KnownUpload,
    Limits,
    Note,
    PartDone,
    TransferEvent,
    UploadBegun,
    WorkerSettings,
)
from async_s3_upload.transfer.plan import Job, plan_job
from async_s3_upload.transfer.workers.process_pool import ProcessHandle, ProcessPool
from tests.support.command import start_command
from tests.support.proxy import Answer, Delay, FaultProxy, Rule, Stall, every, on
from tests.support.s3requests import Seen
from tests.support.s3server import REGION, S3Server

ProxyFor = Callable[..., tuple[FaultProxy, S3Server]]
DEADLINE_S = 60.0


@pytest.fixture(autouse=True)
def nobodys_aws_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def bucket(moto_server: S3Server, bucket_name: Callable[..., str]) -> str:
    return moto_server.make_bucket(bucket_name("coordinator"))


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    """No process, thread or descriptor outlives a coordinator."""
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    multiprocessing.resource_tracker.ensure_running()
    yield
    assert multiprocessing.active_children() == []
    assert threading.active_count() <= threads
    # what the first test opens for all (tracker, checking client) is not the coordinator's
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 8


@dataclass
class Watcher:
    """Takes events; ``then`` runs when so many outcomes came."""

    at: int = -1
    then: Callable[[], None] = lambda: None
    done: dict[int, FileDone] = field(default_factory=dict)
    failed: dict[int, FileFailed] = field(default_factory=dict)
    outcomes: Counter[int] = field(default_factory=Counter)
    parts: list[PartDone] = field(default_factory=list)
    begun: dict[int, UploadBegun] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __call__(self, event: TransferEvent) -> None:
        if isinstance(event, PartDone):
            self.parts.append(event)
        elif isinstance(event, UploadBegun):
            self.begun[event.number] = event
        elif isinstance(event, Note):
            self.notes.append(event.text)
        elif isinstance(event, (FileDone, FileFailed)):
            self._settle(event)

    def _settle(self, event: FileDone | FileFailed) -> None:
        self.outcomes[event.number] += 1
        if isinstance(event, FileDone):
            self.done[event.number] = event
        else:
            self.failed[event.number] = event
        if self.outcomes.total() == self.at:
            self.then()

    @property
    def reported_once(self) -> bool:
        return set(self.outcomes.values()) <= {1}


def job_of(folder: Path, bucket: str, sizes: Sequence[int], prefix: str = "run") -> Job:
    names = {f"{number:04d}.bcl": size for number, size in enumerate(sizes)}
    for name, size in names.items():
        (folder / name).write_bytes(random.Random(name).randbytes(size))
    files = [file for file in scan(str(folder)).files if file.name in names]
    return plan_job(bucket, prefix, str(folder), files)


def coordinator_for(
    server: S3Server, cores: int = 2, concurrency: int = 4, give_up_s: float = GIVE_UP_S, attempts: int = 2
) -> Coordinator:
    access = AwsAccess(
        access_key=server.access_key, secret_key=server.secret_key, endpoint_url=server.endpoint, region=REGION
    )
    settings = WorkerSettings(access, Limits(concurrency=concurrency, attempts=attempts), log_level=30)
    return Coordinator(ProcessPool(settings), cores, give_up_s)


def worker_pids() -> list[int]:
    return [process.pid for process in multiprocessing.active_children() if process.pid]


def kill_one() -> None:
    os.kill(min(worker_pids()), signal.SIGKILL)


async def seen(proxy: FaultProxy, match: Callable[[Seen], bool], times: int = 1) -> None:
    await asyncio.to_thread(proxy.wait_for, match, times)


def assert_all_arrived(server: S3Server, job: Job, watcher: Watcher) -> None:
    assert watcher.outcomes == dict.fromkeys(range(len(job.items)), 1)
    assert not watcher.failed
    objects = server.objects(job.bucket)
    assert {key: found.size for key, found in objects.items()} == {item.key: item.size for item in job.items}
    assert {item.key: watcher.done[item.number].etag for item in job.items} == {
        key: found.etag for key, found in objects.items()
    }
    for item in (job.items[0], job.items[-1]):
        assert server.body(job.bucket, item.key) == Path(item.path).read_bytes()


async def test_all_files_arrive_exactly_once_through_several_workers(
    moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path
) -> None:
    proxy, server = proxy_for(moto_server)
    job = job_of(tmp_path, bucket, [17 * 1024 * 1024, *range(400)])
    workers: list[int] = []
    watcher = Watcher(at=200, then=lambda: workers.extend(worker_pids()))
    async with asyncio.timeout(DEADLINE_S), coordinator_for(server) as coordinator:
        sent = await coordinator.send(job, watcher)
    assert (sent.doom, sent.stopped) == (None, False)
    assert len(workers) == 2
    assert_all_arrived(moto_server, job, watcher)
    assert sum(event.part.size for event in watcher.parts) == 17 * 1024 * 1024
    assert proxy.count(on("PutObject")) == 400
    assert proxy.count(on("UploadPart")) == 3


async def test_workers_serve_one_job_after_the_other(moto_server: S3Server, bucket: str, tmp_path: Path) -> None:
    pids = []
    async with asyncio.timeout(DEADLINE_S), coordinator_for(moto_server, cores=1) as coordinator:
        for prefix in ("first", "second"):
            watcher = Watcher()
            job = job_of(tmp_path, bucket, [10] * 5, prefix)
            sent = await coordinator.send(job, watcher)
            assert sent.doom is None
            assert watcher.reported_once
            assert len(watcher.done) == 5
            pids.append(worker_pids())
        empty = await coordinator.send(plan_job(bucket, "p", str(tmp_path), []), Watcher())
        assert (empty.doom, empty.stopped) == (None, False)
    assert pids[0] == pids[1]
    assert len(moto_server.objects(bucket)) == 10


async def test_a_worker_killed_in_mid_run_is_replaced_and_nothing_is_lost(
    moto_server: S3Server, bucket: str, tmp_path: Path
) -> None:
    job = job_of(tmp_path, bucket, [9 * 1024 * 1024, 9 * 1024 * 1024, *[1000] * 600])
    watcher = Watcher(at=150, then=kill_one)
    async with asyncio.timeout(DEADLINE_S), coordinator_for(moto_server) as coordinator:
        await coordinator.send(job, watcher)
        assert len(worker_pids()) == 2
    assert_all_arrived(moto_server, job, watcher)


async def test_a_worker_killed_between_two_jobs_is_replaced(moto_server: S3Server, bucket: str, tmp_path: Path) -> None:
    async with asyncio.timeout(DEADLINE_S), coordinator_for(moto_server, cores=1) as coordinator:
        await coordinator.send(job_of(tmp_path, bucket, [10]), Watcher())
        kill_one()
        watcher = Watcher()
        job = job_of(tmp_path, bucket, [10] * 3)
        await coordinator.send(job, watcher)
    assert_all_arrived(moto_server, job, watcher)


async def test_a_death_is_told_and_what_the_worker_held_is_planned_anew(
    moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path
) -> None:
    proxy, server = proxy_for(moto_server, Rule(on("PutObject"), Stall(), times=4))
    job = job_of(tmp_path, bucket, [10] * 20)
    watcher = Watcher()
    asked: list[int] = []

    def refresh(item: FileItem) -> FileItem:
        asked.append(item.number)
        return item

    async with asyncio.timeout(DEADLINE_S), coordinator_for(server, cores=1) as coordinator:
        sending = asyncio.create_task(coordinator.send(job, watcher, refresh))
        await seen(proxy, on("PutObject"), 4)
        kill_one()
        await sending
    assert watcher.notes == [f"a worker process died with {len(asked)} files in hand, they are tried again one by one"]
    assert len(asked) == len(set(asked)) >= 4
    assert_all_arrived(moto_server, job, watcher)


async def test_an_upload_of_a_dead_worker_goes_on_with_the_parts_that_arrived(
    moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path
) -> None:
    proxy, server = proxy_for(moto_server, Rule(on("UploadPart", part=3), Stall(), times=1))
    job = job_of(tmp_path, bucket, [17 * 1024 * 1024])
    watcher = Watcher()

    def refresh(item: FileItem) -> FileItem:
        upload = watcher.begun[item.number]
        parts = tuple(event.part for event in watcher.parts)
        known = KnownUpload(
            upload.upload_id, item.size, item.mtime_ns, item.inode, upload.part_size, upload.with_checksum, parts
        )
        return replace(item, known=known)

    async with asyncio.timeout(DEADLINE_S), coordinator_for(server, cores=1) as coordinator:
        sending = asyncio.create_task(coordinator.send(job, watcher, refresh))
        await seen(proxy, on("UploadPart", part=3))
        while len(watcher.parts) < 2:
            await asyncio.sleep(0.01)
        kill_one()
        await sending
    assert [proxy.count(on("UploadPart", part=number)) for number in (1, 2, 3)] == [1, 1, 2]
    assert proxy.count(on("CreateMultipartUpload")) == 1
    assert watcher.done[0].sent == 1024 * 1024
    assert_all_arrived(moto_server, job, watcher)
    assert moto_server.uploads_in_progress(bucket) == []


async def test_parts_of_one_file_go_through_two_workers_and_one_of_them_may_die(
    moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path
) -> None:
    last = on("UploadPart", part=6)
    # no part is sent before another worker has the last one
    proxy, server = proxy_for(moto_server, Rule(last, Stall(), times=1), Rule(on("UploadPart", part=1), Delay(3.0)))
    job = job_of(tmp_path, bucket, [41 * 1024 * 1024])
    watcher = Watcher()
    async with asyncio.timeout(DEADLINE_S), coordinator_for(server, concurrency=1) as coordinator:
        sending = asyncio.create_task(coordinator.send(job, watcher))
        await seen(proxy, last)
        owner, borrower = sorted(coordinator._pool.workers, key=lambda worker: not worker.outstanding)
        assert set(owner.outstanding) == {0}
        assert borrower.units
        borrower.kill()
        await sending
    assert_all_arrived(moto_server, job, watcher)
    assert [proxy.count(on("UploadPart", part=number)) for number in range(1, 7)] == [1, 1, 1, 1, 1, 2]
    assert proxy.count(on("CreateMultipartUpload")) == proxy.count(on("CompleteMultipartUpload")) == 1
    assert watcher.notes == ["a worker process died with 0 files in hand, they are tried again one by one"]


async def test_a_file_that_kills_its_workers_fails_alone_and_all_others_arrive(
    moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path
) -> None:
    job = job_of(tmp_path, bucket, [*range(10, 210)])
    deadly = job.items[40]
    on_deadly = on("PutObject", key_ends=deadly.key)
    proxy, server = proxy_for(moto_server, Rule(on_deadly, Stall()))
    watcher = Watcher()
    async with asyncio.timeout(DEADLINE_S), coordinator_for(server) as coordinator:
        sending = asyncio.create_task(coordinator.send(job, watcher))
        for death in range(1 + DEATHS_ALONE):
            await seen(proxy, on_deadly, death + 1)
            (holder,) = [worker for worker in coordinator._pool.workers if deadly.number in worker.outstanding]
            assert not death or set(holder.outstanding) == {deadly.number}, "it is tried alone"
            assert isinstance(holder, ProcessHandle)
            assert holder.process.pid
            assert len(worker_pids()) == 2, "who died was replaced"
            os.kill(holder.process.pid, signal.SIGKILL)
        sent = await sending
    assert (sent.doom, sent.gave_up, sent.stopped) == (None, None, False)
    assert watcher.outcomes == dict.fromkeys(range(200), 1)
    assert set(watcher.failed) == {deadly.number}
    failure = watcher.failed[deadly.number]
    assert (failure.kind, failure.error) == ("file", "2 worker processes died with this file alone in hand")
    assert set(moto_server.objects(bucket)) == {item.key for item in job.items} - {deadly.key}
    assert len(watcher.notes) == 1 + DEATHS_ALONE


async def test_two_files_that_kill_their_workers_fail_each_and_all_others_arrive(
    moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path
) -> None:
    """That must not look like a machine on which no worker lives."""
    job = job_of(tmp_path, bucket, [*range(10, 20)])
    deadly = {item.key: item.number for item in job.items[:2]}
    on_deadly = on("PutObject")
    proxy, server = proxy_for(moto_server, Rule(lambda request: request.key in deadly, Stall()))
    watcher = Watcher()

    async def kill_whoever_holds_one() -> None:
        killed = 0
        while True:
            await asyncio.sleep(0.02)
            stalled = [seen for seen in proxy.seen if on_deadly(seen) and seen.key in deadly]
            if len(stalled) > killed and worker_pids():
                killed = len(stalled)
                kill_one()

    async with asyncio.timeout(DEADLINE_S), coordinator_for(server, cores=1) as coordinator:
        killing = asyncio.create_task(kill_whoever_holds_one())
        await coordinator.send(job, watcher)
        killing.cancel()
    assert set(watcher.failed) == set(deadly.values())
    assert set(watcher.done) == {item.number for item in job.items} - set(deadly.values())
    assert watcher.reported_once


async def test_when_nothing_succeeds_for_long_the_rest_is_given_up(
    moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path
) -> None:
    _, server = proxy_for(moto_server, Rule(on("PutObject"), Answer(503, "SlowDown")))
    job = job_of(tmp_path, bucket, [10] * 300)
    watcher = Watcher()
    began = time.monotonic()
    async with asyncio.timeout(DEADLINE_S), coordinator_for(server, cores=1, give_up_s=1.5) as coordinator:
        sent = await coordinator.send(job, watcher)
    assert 1.5 <= time.monotonic() - began < 10
    assert sent.gave_up == "nothing succeeded for 0.025 minutes"
    assert (sent.doom, sent.stopped) == (None, False)
    assert watcher.reported_once
    assert len(watcher.outcomes) < 300
    assert not watcher.done


async def test_a_server_that_hangs_is_given_up_too(
    moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path
) -> None:
    _, server = proxy_for(moto_server, Rule(every, Stall()))
    async with asyncio.timeout(DEADLINE_S), coordinator_for(server, cores=1, give_up_s=1.0) as coordinator:
        sent = await coordinator.send(job_of(tmp_path, bucket, [10] * 5), Watcher())
    assert sent.gave_up is not None


@pytest.mark.parametrize("still", ["one object in a while", "files that cannot be read"])
async def test_as_long_as_something_is_settled_nothing_is_given_up(
    moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path, still: str
) -> None:
    slow = Rule(on("PutObject"), Delay(1.5))
    _, server = proxy_for(moto_server, slow)
    job = job_of(tmp_path, bucket, [10] * 4)
    if still != "one object in a while":
        for item in job.items[:3]:
            os.unlink(item.path)
    watcher = Watcher()
    coordinator = coordinator_for(server, cores=1, concurrency=1, give_up_s=5.0)
    async with asyncio.timeout(DEADLINE_S), coordinator:
        sent = await coordinator.send(job, watcher)
    assert sent.gave_up is None
    assert watcher.outcomes == dict.fromkeys(range(4), 1)


async def test_workers_that_die_without_end_end_the_command(
    moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coordinating, "IDLE_DEATHS", 2)
    proxy, server = proxy_for(moto_server, Rule(every, Stall()))
    async with asyncio.timeout(DEADLINE_S), coordinator_for(server, cores=1, concurrency=1) as coordinator:
        sending = asyncio.create_task(coordinator.send(job_of(tmp_path, bucket, [10] * 3), Watcher()))
        for death in range(2):
            await seen(proxy, on("PutObject"), death + 1)
            kill_one()
        with pytest.raises(
            WorkersError,
            match=r"2 worker processes in a row died .* look for a lack of memory \(dmesg\) or a broken installation",
        ):
            await sending


async def test_stopping_lets_requests_in_flight_end_and_reports_them(
    moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path
) -> None:
    proxy, server = proxy_for(moto_server, Rule(on("PutObject"), Delay(1.0)))
    job = job_of(tmp_path, bucket, [10] * 99)
    watcher = Watcher()
    async with asyncio.timeout(DEADLINE_S), coordinator_for(server) as coordinator:
        sending = asyncio.create_task(coordinator.send(job, watcher))
        await seen(proxy, on("PutObject"), 4)
        began = time.monotonic()
        coordinator.stop()
        sent = await sending
    assert time.monotonic() - began < 5
    assert sent.stopped
    assert watcher.reported_once
    assert set(moto_server.objects(bucket)) == {job.items[number].key for number in watcher.done}
    assert len(watcher.done) == proxy.count(on("PutObject")) == 4
    assert not watcher.failed


async def test_stopping_cuts_off_what_does_not_end_and_leaves_its_uploads_to_the_next_start(
    moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coordinating, "STOP_GRACE_S", 0.5)
    proxy, server = proxy_for(moto_server, Rule(on("UploadPart"), Stall()))
    job = job_of(tmp_path, bucket, [17 * 1024 * 1024, *[10] * 20])
    watcher = Watcher()
    async with asyncio.timeout(DEADLINE_S), coordinator_for(server, cores=1) as coordinator:
        sending = asyncio.create_task(coordinator.send(job, watcher))
        await seen(proxy, on("UploadPart"), 3)
        began = time.monotonic()
        coordinator.stop()
        sent = await sending
    assert time.monotonic() - began < 5
    assert sent.stopped
    assert 0 not in watcher.outcomes
    assert watcher.reported_once
    assert set(moto_server.objects(bucket)) == {job.items[number].key for number in watcher.done}
    assert moto_server.uploads_in_progress(bucket) == [job.items[0].key]
    assert set(watcher.begun) == {0}, "it is remembered"


async def test_stopping_before_or_while_workers_start_is_quick(
    moto_server: S3Server, bucket: str, tmp_path: Path
) -> None:
    job = job_of(tmp_path, bucket, [10] * 5)
    async with asyncio.timeout(DEADLINE_S), coordinator_for(moto_server, cores=1) as coordinator:
        sending = asyncio.create_task(coordinator.send(job, Watcher()))
        while not worker_pids():
            await asyncio.sleep(0)
        coordinator.stop()
        assert (await sending).stopped
        watcher = Watcher()
        assert (await coordinator.send(job, watcher)).stopped
    assert not watcher.outcomes
    assert moto_server.objects(bucket) == {}


async def test_a_worker_that_does_not_react_is_killed_and_what_it_reported_counts(
    moto_server: S3Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coordinating, "STOP_LIMIT_S", 0.5)
    job = job_of(tmp_path, bucket, [1000] * 99)

    def freeze() -> None:
        os.kill(min(worker_pids()), signal.SIGSTOP)
        coordinator.stop()

    watcher = Watcher(at=30, then=freeze)
    async with asyncio.timeout(DEADLINE_S), coordinator_for(moto_server, cores=1) as coordinator:
        sent = await coordinator.send(job, watcher)
    assert sent.stopped
    assert watcher.reported_once
    assert len(watcher.done) >= 30
    assert {job.items[number].key for number in watcher.done} <= set(moto_server.objects(bucket))


async def test_cancelling_leaves_no_worker(
    moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path
) -> None:
    proxy, server = proxy_for(moto_server, Rule(every, Stall()))

    async def sending() -> None:
        async with coordinator_for(server, cores=1) as coordinator:
            await coordinator.send(job_of(tmp_path, bucket, [10] * 5), Watcher())

    task = asyncio.create_task(sending())
    await seen(proxy, on("PutObject"))
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 4
    assert worker_pids() == []


async def test_trouble_in_the_callers_hands_leaves_no_worker(
    moto_server: S3Server, bucket: str, tmp_path: Path
) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        async with asyncio.timeout(DEADLINE_S), coordinator_for(moto_server, cores=1) as coordinator:
            await coordinator.send(job_of(tmp_path, bucket, [10] * 30), Watcher(at=3, then=full))
    assert worker_pids() == []


def test_workers_leave_when_the_coordinator_is_killed(
    moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path
) -> None:
    proxy, server = proxy_for(moto_server, Rule(on("PutObject"), Stall()))
    job_of(tmp_path, bucket, [10] * 300)
    with start_command(
        *("upload", "--local-path", str(tmp_path), "--bucket", bucket, "--skip-check", "--cores", "2"), server=server
    ) as command:
        proxy.wait_for(on("PutObject"), 20)
        children = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()
        assert len(children) >= 2, "two workers"
        waiting = select.poll()
        handles = {os.pidfd_open(int(pid)) for pid in children}
        for handle in handles:
            waiting.register(handle, select.POLLIN)
        try:
            command.signal(signal.SIGKILL)
            left, deadline = set(handles), time.monotonic() + 10
            while left and time.monotonic() < deadline:
                for handle, _ in waiting.poll(1000 * (deadline - time.monotonic())):
                    left.discard(handle)
                    waiting.unregister(handle)
        finally:
            for handle in handles:
                os.close(handle)
    assert not left, f"{len(left)} of {len(handles)} child processes outlive the command"


async def test_when_every_key_is_denied_the_rest_is_not_tried(
    moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path
) -> None:
    proxy, server = proxy_for(moto_server, Rule(on("PutObject"), Answer(403, "AccessDenied")))
    job = job_of(tmp_path, bucket, [10] * 400)
    watcher = Watcher()
    async with asyncio.timeout(DEADLINE_S), coordinator_for(server, cores=1) as coordinator:
        sent = await coordinator.send(job, watcher)
        assert worker_pids() == []
    assert sent.doom is not None
    assert "s3:PutObject" in sent.doom
    assert not sent.stopped
    assert watcher.reported_once
    assert proxy.count(on("PutObject")) < 300


async def test_a_few_files_that_are_all_denied_are_doom_too(
    moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path
) -> None:
    _, server = proxy_for(moto_server, Rule(on("PutObject"), Answer(403, "AccessDenied")))
    async with asyncio.timeout(DEADLINE_S), coordinator_for(server, cores=1) as coordinator:
        watcher = Watcher()
        sent = await coordinator.send(job_of(tmp_path, bucket, [10] * 3), watcher)
        assert sent.doom is not None
        assert len(watcher.failed) == 3
        again = await coordinator.send(job_of(tmp_path, bucket, [10] * 3), Watcher(), some_succeeded=True)
        assert again.doom is None, "files of this run went there before: a matter of single keys"


async def test_a_bucket_that_vanishes_in_mid_run_ends_its_job_only(
    moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path, bucket_name: Callable[..., str]
) -> None:
    gone = Rule(lambda request: request.bucket == bucket, Answer(404, "NoSuchBucket"), skip=40)
    _, server = proxy_for(moto_server, gone)
    other = moto_server.make_bucket(bucket_name("other"))
    watcher, later = Watcher(), Watcher()
    # one worker: what another one has in flight at that moment is cut off
    async with asyncio.timeout(DEADLINE_S), coordinator_for(server, cores=1) as coordinator:
        sent = await coordinator.send(job_of(tmp_path, bucket, [10] * 300), watcher)
        assert sent.doom is not None
        assert "NoSuchBucket" in sent.doom
        job = job_of(tmp_path, other, [10] * 5)
        assert (await coordinator.send(job, later)).doom is None
    assert len(watcher.done) == 40
    assert watcher.reported_once
    assert {found.kind for found in watcher.failed.values()} == {"no_such_bucket"}
    assert_all_arrived(moto_server, job, later)


async def test_workers_that_find_no_credentials_end_the_command(bucket: str, tmp_path: Path) -> None:
    settings = WorkerSettings(AwsAccess(profile="nobody"), Limits(), log_level=30)
    with pytest.raises(AwsAccessError, match="nobody"):
        async with asyncio.timeout(DEADLINE_S), Coordinator(ProcessPool(settings), 1) as coordinator:
            await coordinator.send(job_of(tmp_path, bucket, [10]), Watcher())


async def test_what_workers_log_arrives_here(
    moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, server = proxy_for(moto_server, Rule(on("PutObject"), Answer(503, "SlowDown"), times=2))
    async with asyncio.timeout(DEADLINE_S), coordinator_for(server, cores=1, attempts=3) as coordinator:
        await coordinator.send(job_of(tmp_path, bucket, [10]), Watcher())
    assert "PUT run/0000.bcl: attempt 2 failed, trying again: S3 answered 503 SlowDown" in caplog.text


async def test_a_worker_is_deaf_to_signals_meant_for_the_command(
    moto_server: S3Server, bucket: str, tmp_path: Path
) -> None:
    def interrupt() -> None:
        for pid in worker_pids():
            os.kill(pid, signal.SIGINT)
            os.kill(pid, signal.SIGTERM)

    job = job_of(tmp_path, bucket, [10] * 300)
    watcher = Watcher()
    async with asyncio.timeout(DEADLINE_S), coordinator_for(moto_server) as coordinator:
        sending = asyncio.create_task(coordinator.send(job, watcher))
        while len(worker_pids()) < 2:
            await asyncio.sleep(0)
        pids = worker_pids()
        interrupt()  # they are just starting
        watcher.at, watcher.then = 100, interrupt
        await sending
        assert sorted(worker_pids()) == sorted(pids)
    assert_all_arrived(moto_server, job, watcher)


async def test_when_the_system_starts_no_process_the_command_ends(
    moto_server: S3Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_process: ForkServerProcess) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(ForkServerProcess, "start", start)
    with pytest.raises(WorkersError, match="no worker process can be started: Resource"):
        async with coordinator_for(moto_server) as coordinator:
            await coordinator.send(job_of(tmp_path, bucket, [10]), Watcher())
