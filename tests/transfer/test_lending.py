"""Workers that take over what others have not begun, on a virtual clock: no worker idles while work is left."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from async_s3_upload.transfer.coordination import coordinator as coordinating
from async_s3_upload.transfer.coordination.coordinator import Sent
from async_s3_upload.transfer.messages import (
    FileFailed,
    Limits,
    PartDone,
    TransferEvent,
)
from async_s3_upload.transfer.plan import Job
from async_s3_upload.transfer.stores.store import Body, NoSuchBucket, Rejected, Transient
from tests.contract.memory_store import MemoryStore
from tests.contract.scripted_store import Call, Fail, Hang, Rule, ScriptedStore
from tests.faults.local_workers import LocalPool, LocalWorker, local_coordinator
from tests.transfer.jobs import Journal, job_of, on_a_virtual_clock
from tests.transfer.sending import PART, Files, crc_of

pytestmark = pytest.mark.usefixtures("small_parts", "two_workers")
LIMITS = Limits(concurrency=8, memory_bytes=8 * PART)
FAST, SLOW = 100 * PART, 10 * PART
"""Bytes a second."""


@pytest.fixture
def two_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinating, "worker_count", lambda *_: 2)


class Link(ScriptedStore):
    """A worker's way to S3: ``rate`` bytes a second for all its requests together, each at least ``least`` bytes."""

    def __init__(self, inner: MemoryStore, rate: float, rules: Sequence[Rule] = (), least: int = 20) -> None:
        super().__init__(inner, list(rules))
        self._rate = rate
        self._least = least
        self._free_at = 0.0

    async def _send(self, body: Body) -> None:
        loop = asyncio.get_running_loop()
        self._free_at = max(self._free_at, loop.time()) + max(len(body), self._least) / self._rate
        await asyncio.sleep(self._free_at - loop.time())

    async def put_object(self, bucket: str, key: str, body: Body, *rest: Any) -> str:
        await self._send(body)
        return await super().put_object(bucket, key, body, *rest)

    async def upload_part(self, bucket: str, key: str, upload_id: str, number: int, body: Body, *rest: Any) -> str:
        await self._send(body)
        return await super().upload_part(bucket, key, upload_id, number, body, *rest)

    @property
    def parts(self) -> list[int]:
        """Numbers of the parts that went this way."""
        return [call.part for call in self.calls if call.part is not None]


def send(
    memory: MemoryStore,
    job: Job,
    journal: Journal,
    *links: ScriptedStore,
    limits: Limits = LIMITS,
    meanwhile: Callable[[LocalPool], Coroutine[Any, Any, None]] | None = None,
) -> float:
    """Send the job with one worker for each link; returns the seconds it took."""

    async def main() -> float:
        coordinator, pool = local_coordinator(*links, limits=limits)
        async with coordinator:
            other = asyncio.create_task(meanwhile(pool)) if meanwhile else None
            sent = await coordinator.send(job, journal, journal.refreshed)
            took_s = asyncio.get_running_loop().time()
            assert sent == Sent()
            if other:
                await other
        return took_s

    return on_a_virtual_clock(main, memory)


def assert_all_there(memory: MemoryStore, job: Job, journal: Journal) -> None:
    assert journal.outcomes == dict.fromkeys(range(len(job.items)), 1)
    assert not journal.failed
    for item in job.items:
        body = Path(item.path).read_bytes()
        found = memory.objects[job.bucket][item.key]
        assert found.body == body
        assert (found.etag, found.crc64nvme) == (journal.done[item.number].etag, crc_of(body))
    assert memory.uploads == {}


# an even end


SETS = {
    "one big file": [1000 * PART],
    "small files": [200] * 3000,
    "files of one piece that fill the memory": [2 * PART] * 500,
    "all kinds": [300 * PART, 40 * PART, *[2 * PART] * 100, *[300] * 1500],
}


@pytest.mark.parametrize("sizes", SETS.values(), ids=SETS)
@pytest.mark.parametrize("slow_one", [0, 1])
def test_with_a_worker_ten_times_slower_the_whole_takes_little_longer_than_ideal(
    memory: MemoryStore, files: Files, sizes: list[int], slow_one: int
) -> None:
    rates = [SLOW, FAST] if slow_one == 0 else [FAST, SLOW]
    links = [Link(memory, rate) for rate in rates]
    job, journal = job_of(files.add(*sizes)), Journal()
    took_s = send(memory, job, journal, *links)
    assert_all_there(memory, job, journal)
    ideal_s = sum(sizes) / (FAST + SLOW)
    assert took_s <= 1.15 * ideal_s
    assert all(link.calls for link in links)


def test_two_workers_share_one_big_file_from_its_first_second_to_its_last(memory: MemoryStore, files: Files) -> None:
    links = [Link(memory, FAST), Link(memory, FAST)]
    job, journal = job_of(files.add(1000 * PART)), Journal()
    took_s = send(memory, job, journal, *links)
    assert_all_there(memory, job, journal)
    assert took_s <= 1.02 * 1000 * PART / (2 * FAST)
    assert all(len(link.parts) >= 480 for link in links)
    assert sorted(links[0].parts + links[1].parts) == list(range(1, 1001)), "each part is sent once"
    assert [link.count("create_multipart") for link in links] in ([1, 0], [0, 1])
    assert [link.count("complete_multipart") for link in links] in ([1, 0], [0, 1])
    assert journal.done[0].sent == 1000 * PART


def test_nothing_is_sent_twice_when_nothing_fails(memory: MemoryStore, files: Files) -> None:
    links = [Link(memory, FAST), Link(memory, SLOW)]
    job, journal = job_of(files.add(*SETS["all kinds"])), Journal()
    send(memory, job, journal, *links)
    calls = Counter((call.name, call.key, call.part) for link in links for call in link.calls)
    assert set(calls.values()) == {1}
    assert_all_there(memory, job, journal)


def test_messages_are_few(memory: MemoryStore, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    tell = LocalWorker.tell

    def listening(worker: LocalWorker, message: Any) -> None:
        told.append(message)
        tell(worker, message)

    monkeypatch.setattr(LocalWorker, "tell", listening)
    job, journal = job_of(files.add(*[200] * 3000)), Journal()
    send(memory, job, journal, Link(memory, FAST), Link(memory, SLOW))
    kinds = Counter(type(message).__name__ for message in told)
    assert kinds["GiveBack"] < 30
    assert kinds["Share"] < 3000 / 10


def test_an_upload_that_is_gone_on_with_is_shared_too(memory: MemoryStore, files: Files) -> None:
    job, journal = job_of(files.add(200 * PART)), Journal()
    refused = Rule(lambda call: call.part is not None and call.part > 100, Fail(), times=None)
    send(memory, job, journal, ScriptedStore(memory, [refused]), limits=replace(LIMITS, concurrency=1))
    again = replace(job, items=(journal.refreshed(job.items[0]),))
    assert again.items[0].known is not None
    known = {part.number for part in again.items[0].known.parts}
    links = [Link(memory, FAST), Link(memory, FAST)]
    journal.events = [event for event in journal.events if not isinstance(event, FileFailed)]
    send(memory, again, journal, *links)
    assert_all_there(memory, job, journal)
    assert sorted(links[0].parts + links[1].parts) == sorted(set(range(1, 201)) - known)
    assert all(len(link.parts) > 30 for link in links)


# trouble with parts that were lent


@pytest.mark.parametrize("error", [Transient("for the moment"), Rejected("no")])
def test_a_part_that_fails_elsewhere_fails_the_file_once(memory: MemoryStore, files: Files, error: Exception) -> None:
    links: list[Link] = []

    def elsewhere(number: int) -> Callable[[Call], bool]:
        return lambda call: call.part is not None and not links[number].count("create_multipart")

    for number in range(2):
        rules = [Rule(elsewhere(number), Fail(error), times=None, skip=20)]
        links.append(Link(memory, FAST, rules))
    job, journal = job_of(files.add(200 * PART, 10)), Journal()
    send(memory, job, journal, *links)
    assert journal.outcomes == {0: 1, 1: 1}
    assert (journal.failed[0].kind, journal.failed[0].error) == ("request", str(error))
    assert sum(link.count("complete_multipart") for link in links) == 0
    if isinstance(error, Transient):
        assert len(memory.uploads) == 1, "the next start goes on with it"
    else:
        assert memory.uploads == {}


def test_a_file_that_changes_is_noticed_by_who_sends_parts_of_it_for_another(memory: MemoryStore, files: Files) -> None:
    links = [Link(memory, FAST), Link(memory, FAST)]
    job, journal = job_of(files.add(200 * PART)), Journal()
    changed = Path(job.items[0].path)

    def change(event: TransferEvent) -> None:
        if isinstance(event, PartDone) and all(len(link.parts) > 5 for link in links):
            changed.write_bytes(b"x" * (200 * PART + 1))

    journal.then = change
    send(memory, job, journal, *links)
    assert (journal.outcomes, journal.failed[0].kind) == ({0: 1}, "changed")
    assert memory.uploads == {}
    assert sum(len(link.parts) for link in links) < 100


# death


def dies(pool: LocalPool, links: Sequence[ScriptedStore], *, owner: bool) -> Callable[[TransferEvent], None]:
    """Return what kills the owner of the upload, or else the other one, once both have sent parts."""
    killed: list[LocalWorker] = []

    def kill(event: TransferEvent) -> None:
        if not killed and isinstance(event, PartDone) and all(count_parts(link) > 20 for link in links):
            workers = [worker for worker in pool.workers if isinstance(worker, LocalWorker)]
            killed.append(next(worker for worker in workers if bool(worker.outstanding) == owner))
            killed[0].die()

    return kill


def count_parts(link: ScriptedStore) -> int:
    return link.count("upload_part")


@pytest.mark.parametrize("owner", [True, False], ids=["the owner", "who has borrowed"])
def test_when_a_worker_dies_the_other_ends_the_file_with_the_parts_that_arrived(
    memory: MemoryStore, files: Files, owner: bool
) -> None:
    links = [Link(memory, FAST), Link(memory, FAST), Link(memory, FAST)]
    job, journal = job_of(files.add(300 * PART)), Journal()

    async def set_trap(pool: LocalPool) -> None:
        journal.then = dies(pool, links[:2], owner=owner)

    send(memory, job, journal, *links, meanwhile=set_trap)
    assert_all_there(memory, job, journal)
    sent = Counter(part for link in links for part in link.parts)
    in_flight = LIMITS.concurrency
    assert sum(sent.values()) <= 300 + in_flight, "only what was on its way is sent again"
    assert sum(link.count("create_multipart") for link in links) == 1
    assert sum(link.count("complete_multipart") for link in links) == 1


def test_a_dead_owners_file_waits_until_nobody_else_sends_parts_of_it(memory: MemoryStore, files: Files) -> None:
    """Else two would send the same part, and the completion could find another one than it names."""
    links = [Link(memory, FAST), Link(memory, SLOW), Link(memory, FAST)]
    job, journal = job_of(files.add(300 * PART)), Journal()
    in_progress: Counter[int | None] = Counter()
    twice: list[int | None] = []

    class Watching(Link):
        async def upload_part(self, bucket: str, key: str, upload_id: str, number: int, *rest: Any) -> str:
            in_progress[number] += 1
            if in_progress[number] > 1 and self is not links[0]:
                twice.append(number)
            try:
                return await super().upload_part(bucket, key, upload_id, number, *rest)
            finally:
                in_progress[number] -= 1

    links = [Watching(memory, FAST), Watching(memory, SLOW), Watching(memory, FAST)]

    async def set_trap(pool: LocalPool) -> None:
        journal.then = dies(pool, links[:1], owner=True)

    send(memory, job, journal, *links, meanwhile=set_trap)
    assert_all_there(memory, job, journal)
    assert twice == []


# several jobs at once


def test_the_next_job_uses_the_workers_while_the_last_files_of_the_first_are_on_their_way(
    memory: MemoryStore, files: Files
) -> None:
    memory.objects["other"] = {}
    first, second = job_of(files.add(*[10] * 40, 11)), job_of(files.add(*[10] * 50), "other")
    hanging = Rule(lambda call: call.key == first.items[0].key, Hang())
    link = ScriptedStore(memory, [hanging])
    journals = Journal(), Journal()
    handed_out: list[int] = []

    async def main() -> None:
        coordinator, _ = local_coordinator(link, limits=replace(LIMITS, request_base_s=30.0))
        async with coordinator:
            one = asyncio.create_task(
                coordinator.send(first, journals[0], on_handed_out=lambda: handed_out.append(len(journals[0].done)))
            )
            while not handed_out:
                await asyncio.sleep(0.01)
            assert await coordinator.send(second, journals[1]) == Sent()
            assert not one.done()
            assert len(journals[0].done) == 40
            assert await one == Sent()

    on_a_virtual_clock(main, memory)
    assert len(handed_out) == 1
    for job, journal in zip((first, second), journals, strict=True):
        assert_all_there(memory, job, journal)


@pytest.mark.parametrize("sizes", [[10] * 200, [50 * PART] * 4], ids=["small", "big"])
def test_a_job_that_is_doomed_ends_at_once_and_the_other_one_goes_on(
    memory: MemoryStore, files: Files, sizes: list[int]
) -> None:
    memory.objects["other"] = {}
    bad, good = job_of(files.add(*sizes)), job_of(files.add(*sizes), "other")
    keys = {item.key for item in bad.items}
    small = sizes[0] == 10
    begins = "put_object" if small else "create_multipart"
    rules = [
        Rule(
            lambda call: call.name == begins and call.key in keys, Fail(NoSuchBucket("gone")), skip=15 if small else 1
        ),
        Rule(lambda call: call.name in ("put_object", "upload_part") and call.key in keys, Hang(), times=None, skip=14),
    ]
    link = ScriptedStore(memory, rules)
    journals = Journal(), Journal()
    ended: dict[str, float] = {}

    async def main() -> None:
        coordinator, pool = local_coordinator(link, limits=replace(LIMITS, request_base_s=600.0, concurrency=30))
        loop = asyncio.get_running_loop()

        async def send(name: str, job: Job, journal: Journal) -> Sent:
            sent = await coordinator.send(job, journal)
            ended[name] = loop.time()
            return sent

        async with coordinator:
            sent_bad, sent_good = await asyncio.gather(send("bad", bad, journals[0]), send("good", good, journals[1]))
            assert sent_bad.doom is not None
            assert sent_good == Sent()
            assert len(pool.workers) == 2

    on_a_virtual_clock(main, memory)
    assert ended["bad"] < 10
    uploads_of_the_good = [upload for upload in memory.uploads.values() if upload.bucket == "other"]
    assert uploads_of_the_good == []
    assert journals[1].outcomes == dict.fromkeys(range(len(good.items)), 1)
    assert not journals[1].failed
    assert len(journals[0].done) < len(bad.items)


def test_an_error_in_one_callers_hands_ends_all_jobs(memory: MemoryStore, files: Files) -> None:
    def full(_event: TransferEvent) -> None:
        raise OSError(28, "No space left on device")

    first, second = job_of(files.add(*[10] * 40)), job_of(files.add(*[10] * 40))

    async def main() -> list[Sent | BaseException]:
        coordinator, _ = local_coordinator(ScriptedStore(memory), limits=LIMITS)
        async with coordinator:
            sending = coordinator.send(first, full), coordinator.send(second, Journal())
            return list(await asyncio.gather(*sending, return_exceptions=True))

    assert [type(found) for found in on_a_virtual_clock(main, memory)] == [OSError, OSError]


def test_stopping_ends_all_jobs(memory: MemoryStore, files: Files) -> None:
    link = ScriptedStore(memory, [Rule("", Hang(), times=None)])
    first, second = job_of(files.add(*[10] * 40)), job_of(files.add(*[10] * 40))

    async def main() -> tuple[Sent, Sent]:
        coordinator, _ = local_coordinator(link, limits=LIMITS)
        async with coordinator:
            sending = asyncio.gather(coordinator.send(first, Journal()), coordinator.send(second, Journal()))
            await asyncio.sleep(1)
            coordinator.stop()
            return tuple(await sending)  # type: ignore[return-value]

    assert on_a_virtual_clock(main, memory) == (Sent(stopped=True), Sent(stopped=True))
