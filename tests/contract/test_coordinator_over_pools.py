"""The coordinator sends the same job with both kinds of workers, and what becomes of each file is the same."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from async_s3_upload.transfer.cluster import pool as cluster_pool
from async_s3_upload.transfer.coordination.completing import Completer
from async_s3_upload.transfer.coordination.coordinator import Coordinator
from async_s3_upload.transfer.messages import (
    FileDone,
    FileFailed,
    KnownUpload,
    Limits,
    Note,
    ObjectSettings,
    PartDone,
    TransferEvent,
    UploadBegun,
)
from async_s3_upload.transfer.plan import Job
from async_s3_upload.transfer.workers.pool import WorkerPool
from tests.contract.pools import DEADLINE_S, Cluster, Ground, ThisMachine, job_of, settings_for
from tests.support.cluster import DaskCluster
from tests.support.proxy import FaultProxy, Rule, Stall, on
from tests.support.s3server import S3Server

ProxyFor = Callable[..., tuple[FaultProxy, S3Server]]
MB = 1024 * 1024
BIG = 33 * MB


@pytest.fixture(autouse=True)
def nobodys_aws_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(cluster_pool, "BELIEVED_DEAD_S", 0.5)
    monkeypatch.setattr(cluster_pool, "BEAT_S", 0.5)


@pytest.fixture(scope="module")
def cluster(seaweed: S3Server) -> Iterator[Cluster]:
    with DaskCluster(env=seaweed.environment()) as running:
        yield Cluster(running)


@asynccontextmanager
async def coordinating(ground: Ground, server: S3Server) -> AsyncIterator[tuple[Coordinator, WorkerPool]]:
    """Open a coordinator over workers of the ground."""
    settings = settings_for(server, Limits(concurrency=2, attempts=3, request_base_s=5.0, min_rate=10**8))
    completer = Completer(settings.limits, settings.access)
    async with (
        asyncio.timeout(DEADLINE_S),
        ground.open(settings) as pool,
        Coordinator(pool, 2, completer=completer) as coordinator,
    ):
        yield coordinator, pool


async def send(ground: Ground, server: S3Server, *jobs: Job) -> list[list[TransferEvent]]:
    """Send the jobs one after the other with workers of the ground; return what was reported of each."""
    told: list[list[TransferEvent]] = []
    async with coordinating(ground, server) as (coordinator, _):
        for job in jobs:
            events: list[TransferEvent] = []
            sent = await coordinator.send(job, events.append)
            assert (sent.doom, sent.gave_up, sent.stopped) == (None, None, False)
            told.append(events)
    return told


def outcomes(events: list[TransferEvent]) -> dict[int, FileDone | FileFailed]:
    """Return what became of each file; each was told once."""
    found = [event for event in events if isinstance(event, (FileDone, FileFailed))]
    assert len({event.number for event in found}) == len(found)
    return {event.number: event for event in found}


async def test_the_outcomes_of_small_big_changed_and_failing_files_are_the_same(
    cluster: Cluster, seaweed: S3Server, bucket_name: Callable[..., str], tmp_path: Path
) -> None:
    told, stored = [], []
    tagged = ObjectSettings(metadata=(("run", "170"),))
    (tmp_path / "second").mkdir()
    first = job_of(tmp_path, "", [BIG, *range(120), 17 * MB])
    second = job_of(tmp_path / "second", "", [10] * 10, "second")
    os.unlink(first.items[40].path)
    Path(first.items[50].path).write_bytes(b"longer than any that was there before" * 10)
    os.utime(first.items[1].path, ns=(1, 1))  # one of parts
    for ground in (ThisMachine(), cluster):
        bucket = seaweed.make_bucket(bucket_name("outcomes"))
        jobs = [replace(job, bucket=bucket, settings=tagged) for job in (first, second)]
        told.append([outcomes(events) for events in await send(ground, seaweed, *jobs)])
        stored.append(seaweed.objects(bucket))
        assert seaweed.uploads_in_progress(bucket) == []
    assert told[0] == told[1]
    assert stored[0] == stored[1]
    assert len(stored[0]) == 119 + 10
    failed = {number: event.kind for number, event in told[1][0].items() if isinstance(event, FileFailed)}
    assert failed == {1: "changed", 40: "file", 50: "changed"}
    big = told[1][0][0]
    assert isinstance(big, FileDone)
    assert (big.size, big.sent, big.part_size) == (BIG, BIG, 8 * MB)


async def test_an_upload_begun_before_goes_on_where_it_was(
    cluster: Cluster, seaweed: S3Server, proxy_for: ProxyFor, bucket_name: Callable[..., str], tmp_path: Path
) -> None:
    results = []
    planned = job_of(tmp_path, "", [20 * MB])
    for ground in (ThisMachine(), cluster):
        proxy, server = proxy_for(seaweed, Rule(on("UploadPart", part=3), Stall(), times=1))
        job = replace(planned, bucket=seaweed.make_bucket(bucket_name("goes-on")))
        events: list[TransferEvent] = []
        two_parts = asyncio.Event()

        def note(event: TransferEvent, events: list[TransferEvent] = events, there: asyncio.Event = two_parts) -> None:
            events.append(event)
            if sum(isinstance(event, PartDone) for event in events) == 2:
                there.set()

        async with coordinating(ground, server) as (coordinator, _):
            sending = asyncio.create_task(coordinator.send(job, note))
            await asyncio.to_thread(proxy.wait_for, on("UploadPart", part=3))
            await two_parts.wait()
            coordinator.stop()
            assert (await sending).stopped
        (upload,) = [event for event in events if isinstance(event, UploadBegun)]
        parts = tuple(event.part for event in events if isinstance(event, PartDone))
        item = job.items[0]
        known = KnownUpload(
            upload.upload_id, item.size, item.mtime_ns, item.inode, upload.part_size, upload.with_checksum, parts
        )
        again = replace(job, items=(replace(item, known=known),))
        (told,) = await send(ground, server, again)
        assert [event.upload_id for event in told if isinstance(event, UploadBegun)] in ([], [upload.upload_id])
        results.append(outcomes(told))
        assert [proxy.count(on("UploadPart", part=number)) for number in (1, 2, 3)] == [1, 1, 2]
        assert proxy.count(on("CreateMultipartUpload")) == proxy.count(on("CompleteMultipartUpload")) == 1
    assert results[0] == results[1]
    (found,) = results[1].values()
    assert isinstance(found, FileDone)
    assert found.sent == 4 * MB


async def test_a_worker_killed_in_mid_run_costs_nothing_but_time(
    cluster: Cluster, seaweed: S3Server, proxy_for: ProxyFor, bucket_name: Callable[..., str], tmp_path: Path
) -> None:
    for ground in (ThisMachine(), cluster):
        proxy, server = proxy_for(seaweed, Rule(on("PutObject"), Stall(), times=4))
        job = job_of(tmp_path, seaweed.make_bucket(bucket_name("killed")), [10] * 300)
        events: list[TransferEvent] = []
        async with coordinating(ground, server) as (coordinator, pool):
            sending = asyncio.create_task(coordinator.send(job, events.append))
            await asyncio.to_thread(proxy.wait_for, on("PutObject"), 4)
            ground.kill_9(next(worker for worker in pool.workers if worker.outstanding))
            await sending
        found = outcomes(events)
        assert sorted(found) == [*range(300)]
        assert all(isinstance(event, FileDone) for event in found.values())
        assert len([event for event in events if isinstance(event, Note)]) == 1
        assert len(seaweed.objects(job.bucket)) == 300
