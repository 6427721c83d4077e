"""Workers that do not complete uploads, and the coordinator that does: alone, once, and with the same outcome."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from async_s3_upload.transfer.activity import Activity
from async_s3_upload.transfer.coordination import coordinator as coordinating
from async_s3_upload.transfer.coordination.active_job import as_it_is, begun
from async_s3_upload.transfer.coordination.completing import AT_ONCE, Completer
from async_s3_upload.transfer.coordination.coordinator import Coordinator, Sent
from async_s3_upload.transfer.coordination.dealer import Dealer
from async_s3_upload.transfer.coordination.reports import Reports
from async_s3_upload.transfer.ending import UploadFailed, UploadReady
from async_s3_upload.transfer.engine.engine import Engine
from async_s3_upload.transfer.lending import PartShare
from async_s3_upload.transfer.messages import (
    AwsAccess,
    Event,
    Events,
    FileDone,
    FileFailed,
    FileItem,
    Limits,
    PartDone,
    Share,
    TransferEvent,
    UploadBegun,
    UploadGone,
)
from async_s3_upload.transfer.plan import Job
from async_s3_upload.transfer.rows import event_of, rows_of
from async_s3_upload.transfer.stores.store import BadCredentials, NoSuchBucket, ObjectStore, Rejected
from async_s3_upload.transfer.workers.hand import Hand
from async_s3_upload.transfer.workers.pool import WorkerHandle
from tests.contract.memory_store import DEFAULTS, MemoryStore
from tests.contract.scripted_store import Call, Do, Fail, Hang, Hold, Rule, ScriptedStore
from tests.faults.local_workers import LocalPool, LocalWorker, local_coordinator
from tests.transfer.jobs import Journal, job_of, on_a_virtual_clock
from tests.transfer.sending import BUCKET, DEADLINE_S, FAST, PART, Files, crc_of

pytestmark = pytest.mark.usefixtures("small_parts")
LIMITS = Limits(concurrency=8, memory_bytes=8 * PART)


# the worker


async def sent_by_a_worker(
    store: ObjectStore, items: Sequence[FileItem], stop_after: int | None = None, cut_off: bool = False
) -> list[Event]:
    """Send the items with an engine that does not complete; it is told to stop when so many parts are done."""
    events: list[Event] = []
    enough = asyncio.Event()

    def emit(event: Event) -> None:
        events.append(event)
        if sum(isinstance(event, PartDone) for event in events) == stop_after:
            enough.set()

    async with store, asyncio.timeout(DEADLINE_S):
        engine = Engine(store, Limits(concurrency=1), emit, FAST, completes="coordinator")
        running = asyncio.create_task(engine.run())
        for item in items:
            engine.submit(BUCKET, item, DEFAULTS)
        if stop_after is not None:
            await enough.wait()
            if cut_off:
                await engine.cut_off(range(len(items)))
            engine.drop_queued()
        engine.close()
        await running
    return events


def changed(item: FileItem) -> None:
    Path(item.path).write_bytes(b"other")


async def test_a_worker_that_does_not_complete_says_what_completion_takes(memory: MemoryStore, files: Files) -> None:
    (item,) = files.add(3 * PART + 7)
    events = await sent_by_a_worker(memory, [item])
    accepted = tuple(event.part for event in events if isinstance(event, PartDone))
    (upload_id,) = memory.uploads
    crc = crc_of(files.bodies[item.key])
    assert events[-1] == UploadReady(0, upload_id, item.size, item.mtime_ns, PART, crc, accepted, item.size)
    assert [part.number for part in accepted] == [1, 2, 3, 4]
    assert memory.requests == {"create_multipart": 1, "upload_part": 4}
    assert [event_of(row) for row in rows_of(events)] == events, "it crosses the pipe"


@pytest.mark.parametrize("error", [Rejected("no"), NoSuchBucket("gone"), ValueError("a bug")])
async def test_a_worker_that_does_not_complete_does_not_abort_either(
    memory: MemoryStore, files: Files, error: Exception
) -> None:
    (item,) = files.add(3 * PART)
    store = ScriptedStore(memory, [Rule(lambda call: call.part == 2, Fail(error))])
    events = await sent_by_a_worker(store, [item])
    (upload_id,) = memory.uploads
    kind, text = (type(error).__name__, str(error)) if str(error) != "a bug" else ("", "ValueError: a bug")
    assert events[-1] == UploadFailed(0, upload_id, kind, text)
    assert store.count("abort_multipart") == store.count("complete_multipart") == 0


async def test_a_file_that_changes_before_it_is_complete_is_never_ready(memory: MemoryStore, files: Files) -> None:
    (item,) = files.add(3 * PART)
    change = Rule(lambda call: call.part == 3, Do(lambda: changed(item)))
    events = await sent_by_a_worker(ScriptedStore(memory, [change]), [item])
    assert events[-1] == UploadFailed(
        0, next(iter(memory.uploads)), "ChangedError", "the file changed while it was being uploaded"
    )
    assert memory.requests["abort_multipart"] == 0


@pytest.mark.parametrize("cut_off", [False, True], ids=["stop", "cut off"])
async def test_a_worker_that_stops_aborts_nothing(memory: MemoryStore, files: Files, cut_off: bool) -> None:
    (item,) = files.add(9 * PART)
    events = await sent_by_a_worker(memory, [item], stop_after=2, cut_off=cut_off)
    assert not [event for event in events if isinstance(event, (UploadReady, UploadFailed, UploadGone, FileFailed))]
    assert len(memory.uploads) == 1
    assert memory.requests["abort_multipart"] == 0


async def test_who_borrows_parts_takes_the_device_from_its_own_look_at_the_file(
    memory: MemoryStore, files: Files
) -> None:
    here, not_here = files.add(3 * PART, 3 * PART)
    Path(not_here.path).unlink()
    events: list[Event] = []
    async with memory, asyncio.timeout(DEADLINE_S):
        engine = Engine(memory, Limits(concurrency=1), events.append, FAST)
        for item in (here, not_here):
            upload_id = await memory.create_multipart(BUCKET, item.key, checksum=True, settings=DEFAULTS)
            engine.borrow(PartShare(BUCKET, item, upload_id, PART, True, (2, 3)))
        engine.close()
        await engine.run()
    assert [(type(event).__name__, event.number) for event in events] == [  # type: ignore[union-attr]
        *[("PartDone", 0)] * 2,
        *[("PartFailed", 1)] * 2,
    ]
    assert {event.error for event in events if not isinstance(event, PartDone)} == {  # type: ignore[union-attr]
        "the file cannot be read: No such file or directory"
    }


# the completer


async def ended(
    store: ObjectStore, items: Sequence[FileItem], events: Sequence[Event], activity: Activity | None = None
) -> list[Event]:
    """Have a completer end the uploads that a worker has left."""
    completer = Completer(LIMITS, open_store=lambda: store, retry=FAST)
    for end in [event for event in events if isinstance(event, (UploadReady, UploadFailed))]:
        completer.take(BUCKET, items[end.number], end)
        completer.take(BUCKET, items[end.number], end)  # who says it twice is heard once
    await completer.drain(DEADLINE_S)
    outcomes = completer.outcomes()
    if activity is not None:
        completer.tell_counts(activity)
    assert completer.outcomes() == []
    await completer.close()
    return list(outcomes)


async def test_the_outcome_is_that_of_a_worker_that_completes(memory: MemoryStore, files: Files) -> None:
    (item,) = files.add(3 * PART + 7)
    outcomes = await ended(memory, [item], await sent_by_a_worker(memory, [item]))
    etag = memory.objects[BUCKET][item.key].etag
    assert outcomes == [FileDone(0, etag, item.size, item.mtime_ns, crc_of(files.bodies[item.key]), item.size, PART)]
    assert memory.objects[BUCKET][item.key].body == files.bodies[item.key]
    assert memory.requests["complete_multipart"] == 1


@pytest.mark.parametrize("after", [False, True], ids=["refused for the moment", "the answer is lost"])
async def test_trouble_that_passes_is_outlived_and_counted(memory: MemoryStore, files: Files, after: bool) -> None:
    (item,) = files.add(3 * PART)
    events = await sent_by_a_worker(memory, [item])
    store = ScriptedStore(memory, [Rule("complete_multipart", Fail(after=after))])
    activity = Activity()
    (done,) = await ended(store, [item], events, activity)
    assert isinstance(done, FileDone)
    assert done.etag == memory.objects[BUCKET][item.key].etag
    assert (activity.in_flight, activity.retries) == (0, 1)
    assert store.count("abort_multipart") == 0


async def test_trouble_that_lasts_leaves_the_upload_to_the_next_start(memory: MemoryStore, files: Files) -> None:
    (item,) = files.add(3 * PART)
    events = await sent_by_a_worker(memory, [item])
    store = ScriptedStore(memory, [Rule("complete_multipart", Fail(), times=None)])
    assert await ended(store, [item], events) == [FileFailed(0, "request", "scripted")]
    assert len(memory.uploads) == 1
    assert store.count("abort_multipart") == 0


@pytest.mark.parametrize("there", [None, b"an older object of another size"])
async def test_an_upload_that_vanished_is_a_changed_file(
    memory: MemoryStore, files: Files, there: bytes | None
) -> None:
    (item,) = files.add(3 * PART)
    events = await sent_by_a_worker(memory, [item])
    (upload_id,) = memory.uploads
    memory.uploads.clear()
    if there is not None:
        async with memory:
            await memory.put_object(BUCKET, item.key, there, None, DEFAULTS)
    outcomes = await ended(memory, [item], events)
    assert outcomes[0] == UploadGone(0, upload_id)
    assert [(type(event), getattr(event, "kind", "")) for event in outcomes[1:]] == [(FileFailed, "changed")]


async def test_an_upload_that_s3_refuses_is_aborted_and_the_file_fails(memory: MemoryStore, files: Files) -> None:
    (item,) = files.add(3 * PART)
    events = await sent_by_a_worker(memory, [item])
    (upload_id,) = memory.uploads
    store = ScriptedStore(memory, [Rule("complete_multipart", Fail(Rejected("InvalidPart")))])
    assert await ended(store, [item], events) == [UploadGone(0, upload_id), FileFailed(0, "request", "InvalidPart")]
    assert memory.uploads == {}


async def test_the_upload_of_a_file_that_changed_is_aborted(memory: MemoryStore, files: Files) -> None:
    (item,) = files.add(3 * PART)
    change = Rule(lambda call: call.part == 3, Do(lambda: changed(item)))
    events = await sent_by_a_worker(ScriptedStore(memory, [change]), [item])
    (upload_id,) = memory.uploads
    text = "the file changed while it was being uploaded"
    assert await ended(memory, [item], events) == [UploadGone(0, upload_id), FileFailed(0, "changed", text)]
    assert memory.uploads == {}


async def test_an_error_nobody_expects_is_told_as_one(
    memory: MemoryStore, files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    (item,) = files.add(3 * PART)
    store = ScriptedStore(memory, [Rule(lambda call: call.part == 2, Fail(ValueError("a bug")))])
    outcomes = await ended(memory, [item], await sent_by_a_worker(store, [item]))
    assert outcomes[1:] == [FileFailed(0, "file", "unexpected UnexpectedError: ValueError: a bug")]
    assert [record.levelno for record in caplog.records if record.name.endswith("trouble")] == [logging.ERROR]


async def test_at_most_so_many_completions_are_in_flight(memory: MemoryStore, files: Files) -> None:
    items = files.add(*[3 * PART] * (AT_ONCE + 9))
    events = await sent_by_a_worker(memory, items)
    gate = asyncio.Event()
    store = ScriptedStore(memory, [Rule("complete_multipart", Hold(gate), times=None)])
    ending = asyncio.create_task(ended(store, items, events))
    await store.wait_for("complete_multipart", AT_ONCE)
    for _ in range(100):
        await asyncio.sleep(0)
    assert store.count("complete_multipart") == AT_ONCE
    gate.set()
    assert len(await ending) == len(items)
    assert store.count("complete_multipart") == len(items)


async def test_without_credentials_the_file_fails_and_its_upload_stays(memory: MemoryStore, files: Files) -> None:
    (item,) = files.add(3 * PART)
    events = await sent_by_a_worker(memory, [item])

    class NoCredentials(ScriptedStore):
        async def __aenter__(self) -> "NoCredentials":
            raise BadCredentials("no credentials were found")

    outcomes = await ended(NoCredentials(memory), [item], events)
    assert outcomes == [FileFailed(0, "bad_credentials", "no credentials were found")]
    assert len(memory.uploads) == 1


async def test_a_completer_that_has_nothing_to_do_opens_nothing() -> None:
    def open_store() -> ObjectStore:
        raise AssertionError

    completer = Completer(LIMITS, open_store=open_store)
    completer.tell_counts(Activity())
    await completer.drain(1.0)
    await completer.close()
    await Completer(LIMITS, AwsAccess(profile="nobody")).close()


# coordinator and workers together


@pytest.mark.parametrize("cut_off", [False, True])
async def test_of_a_job_that_is_being_cut_off_nothing_more_is_completed(
    memory: MemoryStore, files: Files, cut_off: bool
) -> None:
    (item,) = files.add(3 * PART)
    events = await sent_by_a_worker(memory, [item])
    completer, dealer = Completer(LIMITS, open_store=lambda: memory, retry=FAST), Dealer(LIMITS)
    active = begun(job_of([item]), 0, Journal(), as_it_is, None, some_succeeded=True)
    dealer.jobs.append(active)
    worker = cast(WorkerHandle, Hand())
    worker.took(Share(BUCKET, (item,)))
    if cut_off:
        active.cut_off_by = {worker}
    assert Reports(dealer, completer).pass_on(worker, rows_of(events[-1:]))
    await completer.drain(DEADLINE_S)
    assert worker.has_nothing()
    assert memory.requests["complete_multipart"] == (0 if cut_off else 1)
    await completer.close()


@pytest.fixture
def two_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinating, "worker_count", lambda *_: 2)


def send(
    memory: MemoryStore,
    job: Job,
    journal: Journal,
    completes_with: ScriptedStore,
    *links: ScriptedStore,
    meet: Callable[[Coordinator, LocalPool], None] = lambda *_: None,
) -> Sent:
    async def main() -> Sent:
        coordinator, pool = local_coordinator(*links, limits=LIMITS, completes_with=completes_with)
        meet(coordinator, pool)
        async with coordinator:
            return await coordinator.send(job, journal, journal.refreshed)

    return on_a_virtual_clock(main, memory)


def assert_all_there(memory: MemoryStore, job: Job, journal: Journal) -> None:
    assert journal.outcomes == dict.fromkeys(range(len(job.items)), 1)
    assert not journal.failed
    for item in job.items:
        body, found = Path(item.path).read_bytes(), memory.objects[job.bucket][item.key]
        part_size = PART if item.size > 2 * PART else None
        done = FileDone(item.number, found.etag, item.size, item.mtime_ns, crc_of(body), item.size, part_size)
        assert journal.done[item.number] == done
        assert found.body == body
    assert memory.uploads == {}


@pytest.mark.usefixtures("two_workers")
def test_only_the_coordinator_completes_also_where_parts_were_lent(memory: MemoryStore, files: Files) -> None:
    links, own = [ScriptedStore(memory), ScriptedStore(memory)], ScriptedStore(memory)
    job, journal = job_of(files.add(400 * PART, 40 * PART, *[3 * PART] * 30, *[200] * 100)), Journal()
    assert send(memory, job, journal, own, *links) == Sent()
    assert_all_there(memory, job, journal)
    assert all(link.count("upload_part") > 100 for link in links), "parts of the biggest go through both"
    assert [link.count("complete_multipart") for link in (*links, own)] == [0, 0, 32]
    assert {call.name for call in own.calls} == {"complete_multipart"}


@pytest.mark.usefixtures("two_workers")
def test_a_worker_that_dies_after_it_said_ready_changes_nothing(memory: MemoryStore, files: Files) -> None:
    pools: list[LocalPool] = []

    def kill_all() -> None:
        for worker in pools[0].workers:
            worker.kill()

    links = [ScriptedStore(memory), ScriptedStore(memory)]
    own = ScriptedStore(memory, [Rule("complete_multipart", Do(kill_all))])
    job, journal = job_of(files.add(3 * PART)), Journal()
    assert send(memory, job, journal, own, *links, meet=lambda _, pool: pools.append(pool)) == Sent()
    assert_all_there(memory, job, journal)
    assert own.count("complete_multipart") == 1
    assert [sum(link.count(name) for link in links) for name in ("upload_part", "list_parts")] == [3, 0]


def test_what_a_worker_says_after_its_death_does_not_count(memory: MemoryStore, files: Files) -> None:
    """Its file was given to another one, which ends it; the first one's end must not be taken for that."""
    slow = Rule(lambda call: call.part == 3, Hang())
    links, own = [ScriptedStore(memory, [slow]), ScriptedStore(memory)], ScriptedStore(memory)
    job, journal = job_of(files.add(3 * PART)), Journal()
    late: list[str] = []

    def meet(_coordinator: Coordinator, pool: LocalPool) -> None:
        async def isolate() -> None:
            await links[0].wait_for("upload_part", 3)
            await asyncio.sleep(1)
            (isolated,) = pool.workers
            assert isinstance(isolated, LocalWorker)
            isolated.die()
            while not links[1].calls:
                await asyncio.sleep(0)
            (upload_id,) = memory.uploads
            late.append(upload_id)
            lies = UploadFailed(0, upload_id, "ChangedError", "says who is no longer asked")
            for _ in range(2):
                pool.messages.put_nowait((isolated, Events(rows_of([lies]))))

        isolating.append(asyncio.get_running_loop().create_task(isolate()))

    isolating: list[asyncio.Task[None]] = []
    assert send(memory, job, journal, own, *links, meet=meet) == Sent()
    assert journal.outcomes == {0: 1}
    assert not journal.failed
    assert len(late) == 1
    assert [own.count(name) for name in ("complete_multipart", "abort_multipart")] == [1, 0]
    assert [event.upload_id for event in journal.events if isinstance(event, UploadBegun)] == late


def test_stopping_leaves_a_completion_that_does_not_end_to_the_next_start(memory: MemoryStore, files: Files) -> None:
    link, own = ScriptedStore(memory), ScriptedStore(memory, [Rule("complete_multipart", Hang())])
    job, journal = job_of(files.add(3 * PART, 10)), Journal()
    took_s: list[float] = []

    async def main() -> None:
        coordinator, _ = local_coordinator(link, limits=LIMITS, cores=1, completes_with=own)
        async with coordinator:
            sending = asyncio.create_task(coordinator.send(job, journal, journal.refreshed))
            await own.wait_for("complete_multipart")
            began = asyncio.get_running_loop().time()
            coordinator.stop()
            assert await sending == Sent(stopped=True)
            took_s.append(asyncio.get_running_loop().time() - began)

    on_a_virtual_clock(main, memory)
    assert took_s[0] <= coordinating.STOP_LIMIT_S
    assert journal.outcomes == {1: 1}
    assert len(memory.uploads) == 1
    again = replace(job, items=(journal.refreshed(job.items[0]), job.items[1]))
    later = Journal()
    assert send(memory, again, later, ScriptedStore(memory), link) == Sent()
    assert later.done[0].sent == 0
    assert memory.uploads == {}
    assert link.count("upload_part") == 3, "nothing is sent again"


def test_stopping_lets_completions_end_that_are_begun_or_come_meanwhile(memory: MemoryStore, files: Files) -> None:
    link = ScriptedStore(memory, [Rule(lambda call: call.part == 4, _Late(1.0))])
    own = ScriptedStore(memory, [Rule("complete_multipart", _Late(2.0), times=None)])
    job, journal = job_of(files.add(3 * PART, 4 * PART)), Journal()

    async def main() -> None:
        coordinator, _ = local_coordinator(link, limits=LIMITS, cores=1, completes_with=own)
        async with coordinator:
            sending = asyncio.create_task(coordinator.send(job, journal, journal.refreshed))
            await own.wait_for("complete_multipart")
            assert own.count("complete_multipart") == 1, "the other file has a part on its way"
            coordinator.stop()
            assert await sending == Sent(stopped=True)

    on_a_virtual_clock(main, memory)
    assert_all_there(memory, job, journal)


class _Late:
    """The call goes through after so many seconds."""

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s

    async def act(self, proceed: Any) -> Any:
        await asyncio.sleep(self._after_s)
        return await proceed()


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "beside another job"])
def test_a_doomed_job_does_not_wait_for_its_completions(memory: MemoryStore, files: Files, alone: bool) -> None:
    memory.objects["other"] = {}
    bad, good = job_of(files.add(3 * PART, 10, 11)), job_of(files.add(3 * PART, 10), "other")
    keys = {item.key for item in bad.items}
    own = ScriptedStore(memory, [Rule(lambda call: call.key in keys, Hang(), times=None)])

    def refused(call: Call) -> bool:
        return call.name == "put_object" and call.key in keys

    link = ScriptedStore(memory)
    journals = Journal(), Journal()
    ended_at: list[float] = []

    async def main() -> None:
        coordinator, pool = local_coordinator(link, limits=replace(LIMITS, request_base_s=600.0), completes_with=own)
        gate = asyncio.Event()
        link._rules = (Rule(refused, _AfterGate(gate, NoSuchBucket("gone")), times=None),)

        async def send(job: Job, journal: Journal) -> Sent:
            sent = await coordinator.send(job, journal, journal.refreshed)
            ended_at.append(asyncio.get_running_loop().time())
            return sent

        async with coordinator:
            first = asyncio.create_task(send(bad, journals[0]))
            await own.wait_for("complete_multipart")
            second = None if alone else asyncio.create_task(send(good, journals[1]))
            await asyncio.sleep(0.0)
            gate.set()
            sent = await first
            assert sent.doom is not None
            if second is not None:
                assert await second == Sent()
                assert pool.workers

    on_a_virtual_clock(main, memory)
    assert max(ended_at) < 10
    assert 0 not in journals[0].outcomes
    assert len([upload for upload in memory.uploads.values() if upload.bucket == BUCKET]) == 1
    if not alone:
        assert set(journals[1].done) == {0, 1}


class _AfterGate:
    """The call fails when the gate opens."""

    def __init__(self, gate: asyncio.Event, error: Exception) -> None:
        self._gate = gate
        self._error = error

    async def act(self, proceed: Any) -> Any:
        await self._gate.wait()
        raise self._error


def test_trouble_in_the_callers_hands_with_what_was_completed_ends_the_job(memory: MemoryStore, files: Files) -> None:
    def full(event: TransferEvent) -> None:
        if isinstance(event, FileDone):
            raise OSError(28, "No space left on device")

    job, journal = job_of(files.add(3 * PART)), Journal(full)
    with pytest.raises(OSError, match="No space"):
        send(memory, job, journal, ScriptedStore(memory), ScriptedStore(memory))


def test_a_completion_is_a_reason_not_to_give_up(memory: MemoryStore, files: Files) -> None:
    coordinators: list[Coordinator] = []
    seen: list[float] = []

    def long_ago() -> None:
        coordinators[0]._reports.succeeded_at = 0.0

    def look(event: TransferEvent) -> None:
        if isinstance(event, FileDone):
            seen.append(coordinators[0]._reports.succeeded_at)

    own = ScriptedStore(memory, [Rule("complete_multipart", Do(long_ago))])
    job, journal = job_of(files.add(3 * PART)), Journal(look)
    link = ScriptedStore(memory)
    assert send(memory, job, journal, own, link, meet=lambda found, _: coordinators.append(found)) == Sent()
    assert seen[0] > 0


def test_where_sending_is_cancelled_nothing_is_reported_any_more(memory: MemoryStore, files: Files) -> None:
    own = ScriptedStore(memory, [Rule("complete_multipart", _Late(0.5))])
    job, journal = job_of(files.add(3 * PART)), Journal()

    async def main() -> None:
        coordinator, _ = local_coordinator(ScriptedStore(memory), limits=LIMITS, completes_with=own)
        async with coordinator:
            sending: asyncio.Task[Sent] = asyncio.create_task(coordinator.send(job, journal))
            await own.wait_for("complete_multipart")
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await asyncio.sleep(2)

    on_a_virtual_clock(main, memory)
    assert not journal.outcomes
    assert len(memory.uploads) == 1
