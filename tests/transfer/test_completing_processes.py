"""Real worker processes that do not complete uploads, real servers: the coordinator completes each, once."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from async_s3_upload.transfer.coordination import coordinator as coordinating
from async_s3_upload.transfer.coordination.coordinator import Coordinator
from async_s3_upload.transfer.ending import Completes
from async_s3_upload.transfer.messages import AwsAccess, Limits, WorkerSettings
from async_s3_upload.transfer.workers.process_pool import ProcessPool
from tests.support.proxy import Answer, Delay, FaultProxy, Rule, Stall, on
from tests.support.s3server import REGION, S3Server
from tests.transfer.test_coordinator import DEADLINE_S, Watcher, assert_all_arrived, job_of, seen, worker_pids

ProxyFor = Callable[..., tuple[FaultProxy, S3Server]]
MIB = 1024 * 1024
COMPLETE = on("CompleteMultipartUpload")


@pytest.fixture(autouse=True)
def nobodys_aws_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def bucket(moto_server: S3Server, bucket_name: Callable[..., str]) -> str:
    return moto_server.make_bucket(bucket_name("completing"))


def coordinator_for(
    server: S3Server, cores: int = 2, concurrency: int = 4, completes: Completes = "coordinator"
) -> Coordinator:
    access = AwsAccess(
        access_key=server.access_key, secret_key=server.secret_key, endpoint_url=server.endpoint, region=REGION
    )
    limits = Limits(concurrency=concurrency, attempts=3)
    return Coordinator(ProcessPool(WorkerSettings(access, limits, log_level=30, completes=completes)), cores)


async def test_a_real_server_takes_it_and_the_outcome_is_that_of_workers_that_complete(
    seaweed: S3Server, bucket_name: Callable[..., str], tmp_path: Path
) -> None:
    bucket = seaweed.make_bucket(bucket_name("completing"))
    job = job_of(tmp_path, bucket, [33 * MIB, 17 * MIB + 5, *[1000] * 20])
    done = []
    for completes in ("coordinator", "worker"):
        watcher = Watcher()
        async with asyncio.timeout(DEADLINE_S), coordinator_for(seaweed, completes=completes) as coordinator:
            assert (await coordinator.send(job, watcher)).doom is None
        assert_all_arrived(seaweed, job, watcher)
        assert seaweed.uploads_in_progress(bucket) == []
        done.append(watcher.done)
    assert done[0] == done[1]
    assert done[0][0].crc64nvme
    assert done[0][0].etag.endswith("-5")


async def test_lent_parts_come_together_in_one_completion(
    moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path
) -> None:
    last = on("UploadPart", part=6)
    # no part is sent before another worker has the last one
    proxy, server = proxy_for(moto_server, Rule(last, Delay(1.0)), Rule(on("UploadPart", part=1), Delay(3.0)))
    job = job_of(tmp_path, bucket, [41 * MIB])
    watcher = Watcher()
    async with asyncio.timeout(DEADLINE_S), coordinator_for(server, concurrency=1) as coordinator:
        sending = asyncio.create_task(coordinator.send(job, watcher))
        await seen(proxy, last)
        owner, borrower = sorted(coordinator._pool.workers, key=lambda worker: not worker.outstanding)
        assert set(owner.outstanding) == {0}
        assert borrower.units
        await sending
    assert_all_arrived(moto_server, job, watcher)
    assert proxy.count(on("UploadPart")) == 6
    assert proxy.count(on("CreateMultipartUpload")) == proxy.count(COMPLETE) == 1
    assert watcher.done[0].sent == 41 * MIB


async def test_a_completion_that_is_refused_for_the_moment_is_tried_again(
    moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path
) -> None:
    proxy, server = proxy_for(moto_server, Rule(COMPLETE, Answer(503, "SlowDown"), times=2))
    job = job_of(tmp_path, bucket, [17 * MIB, 10])
    watcher = Watcher()
    async with asyncio.timeout(DEADLINE_S), coordinator_for(server, cores=1) as coordinator:
        await coordinator.send(job, watcher)
        assert coordinator.activity.retries == 2
        assert coordinator.activity.in_flight == 0
    assert_all_arrived(moto_server, job, watcher)
    assert proxy.count(COMPLETE) == 3


async def test_when_all_workers_are_killed_during_a_completion_nothing_is_sent_again(
    moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path
) -> None:
    proxy, server = proxy_for(moto_server, Rule(COMPLETE, Delay(1.5)))
    job = job_of(tmp_path, bucket, [17 * MIB])
    watcher = Watcher()
    async with asyncio.timeout(DEADLINE_S), coordinator_for(server) as coordinator:
        sending = asyncio.create_task(coordinator.send(job, watcher))
        await seen(proxy, COMPLETE)
        for pid in worker_pids():
            os.kill(pid, signal.SIGKILL)
        sent = await sending
    assert (sent.doom, sent.gave_up, sent.stopped) == (None, None, False)
    assert_all_arrived(moto_server, job, watcher)
    assert proxy.count(on("UploadPart")) == 3
    assert proxy.count(COMPLETE) == 1
    assert set(watcher.notes) == {"a worker process died with 0 files in hand, they are tried again one by one"}


async def test_stopping_during_a_completion_leaves_the_upload_to_the_next_start(
    moto_server: S3Server, proxy_for: ProxyFor, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coordinating, "STOP_GRACE_S", 0.3)
    proxy, server = proxy_for(moto_server, Rule(COMPLETE, Stall()))
    job = job_of(tmp_path, bucket, [17 * MIB])
    watcher = Watcher()
    async with asyncio.timeout(DEADLINE_S), coordinator_for(server, cores=1) as coordinator:
        sending = asyncio.create_task(coordinator.send(job, watcher))
        await seen(proxy, COMPLETE)
        coordinator.stop()
        assert (await sending).stopped
    assert not watcher.outcomes
    assert moto_server.uploads_in_progress(bucket) == [job.items[0].key]
    assert set(watcher.begun) == {0}, "it is remembered"
    assert len(watcher.parts) == 3
