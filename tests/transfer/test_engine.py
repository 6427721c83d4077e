"""The engine over stores that enforce S3's rules and fail on demand; parts are 1,000 bytes here."""

import asyncio
import gc
import os
import random
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from async_s3_upload.transfer import parts
from async_s3_upload.transfer.engine import completion
from async_s3_upload.transfer.engine import requests as requesting
from async_s3_upload.transfer.messages import (
    FailureKind,
    FileDone,
    FileFailed,
    Limits,
    ObjectSettings,
    PartDone,
    UploadBegun,
)
from async_s3_upload.transfer.stores.store import (
    AccessDenied,
    BadCredentials,
    NoSuchBucket,
    NoSuchUpload,
    Rejected,
    StoreError,
    WrongRegion,
)
from tests.contract.memory_store import DEFAULTS, MemoryStore
from tests.contract.scripted_store import Do, Fail, Hang, Hold, Rule, ScriptedStore
from tests.transfer.sending import (
    BUCKET,
    PART,
    QUICK,
    THRESHOLD,
    Files,
    begun,
    crc_of,
    done,
    failed,
    first_body_of,
    gone,
    on_key,
    outcomes,
    parts_sent,
    send,
    stored,
    working,
)

pytestmark = pytest.mark.usefixtures("small_parts")


# what is sent


async def test_a_small_file_is_one_put(memory: MemoryStore, files: Files) -> None:
    (item,) = files.add(500)
    events = await send(memory, [item])
    body = files.bodies[item.key]
    found = memory.objects[BUCKET][item.key]
    assert (found.body, found.crc64nvme) == (body, crc_of(body))
    assert events == [FileDone(0, found.etag, 500, os.stat(item.path).st_mtime_ns, crc_of(body), 500)]
    assert memory.requests == {"put_object": 1}


async def test_a_big_file_goes_in_parts_with_the_checksum_of_the_whole(memory: MemoryStore, files: Files) -> None:
    (item,) = files.add(3 * PART + 7)
    events = await send(memory, [item])
    body = files.bodies[item.key]
    found = memory.objects[BUCKET][item.key]
    assert (found.body, found.parts, found.crc64nvme) == (body, 4, crc_of(body))
    size = len(body)
    assert events[-1] == FileDone(0, found.etag, size, os.stat(item.path).st_mtime_ns, crc_of(body), size, PART)
    assert isinstance(events[0], UploadBegun)
    assert (events[0].part_size, events[0].with_checksum) == (PART, True)
    parts = [event for event in events if isinstance(event, PartDone)]
    assert sum(event.part.size for event in parts) == size
    assert {event.upload_id for event in parts} == {events[0].upload_id}
    for event in parts:
        offset = (event.part.number - 1) * PART
        assert event.part.crc64nvme == crc_of(body[offset : offset + event.part.size])
    assert memory.requests == {"create_multipart": 1, "upload_part": 4, "complete_multipart": 1}
    assert memory.uploads == {}


@pytest.mark.parametrize(
    ("size", "parts"), [(0, 0), (1, 0), (THRESHOLD, 0), (THRESHOLD + 1, 3), (3 * PART, 3), (3 * PART + 1, 4)]
)
async def test_sizes_at_the_edges(memory: MemoryStore, files: Files, size: int, parts: int) -> None:
    (item,) = files.add(size)
    events = await send(memory, [item])
    assert stored(memory) == files.bodies
    assert memory.objects[BUCKET][item.key].parts == parts
    assert outcomes(events) == {0: 1}
    assert done(events)[0].size == size


async def test_without_checksums_none_is_sent_nor_reported(memory: MemoryStore, files: Files) -> None:
    items = files.add(10, 3 * PART)
    events = await send(memory, items, Limits(concurrency=2, checksum="none"))
    assert [found.crc64nvme for found in done(events).values()] == [None, None]
    assert [found.crc64nvme for found in memory.objects[BUCKET].values()] == [None, None]
    assert stored(memory) == files.bodies


@pytest.mark.parametrize("size", [10, 3 * PART])
async def test_the_settings_go_with_every_object(memory: MemoryStore, files: Files, size: int) -> None:
    (item,) = files.add(size)
    settings = ObjectSettings(storage_class="STANDARD_IA", tags=(("lab", "a"),))
    await send(memory, [item], settings=settings)
    assert memory.objects[BUCKET][item.key].settings == settings


@pytest.mark.parametrize("field", ["size", "mtime_ns", "inode"])
@pytest.mark.parametrize("size", [10, 3 * PART])
async def test_a_file_in_another_state_than_planned_is_not_sent(
    memory: MemoryStore, files: Files, field: str, size: int
) -> None:
    (item,) = files.add(size)
    planned = {
        "size": replace(item, size=size + 1),
        "mtime_ns": replace(item, mtime_ns=item.mtime_ns - 1),
        "inode": replace(item, inode=item.inode + 1),
    }
    events = await send(memory, [planned[field]])
    assert events == [FileFailed(0, "changed", "the file changed since the run was looked through")]
    assert memory.requests == {}


async def test_many_files_of_all_sizes_arrive_each_reported_once(memory: MemoryStore, files: Files) -> None:
    items = files.add(*range(0, 6_000, 130))
    events = await send(memory, items)
    assert stored(memory) == files.bodies
    assert outcomes(events) == dict.fromkeys(range(len(items)), 1)
    assert not failed(events)


# the two limits


async def test_never_more_requests_than_the_concurrency(memory: MemoryStore, files: Files) -> None:
    gate = asyncio.Event()
    store = ScriptedStore(memory, [Rule("", Hold(gate), times=None)])
    items = files.add(*[10] * 20, *[4 * PART] * 3)
    async with working(store, items, Limits(concurrency=3)) as (found, task, events):
        await store.wait_for("put_object", 3)
        assert len(store.calls) == 3
        found.close()
        gate.set()
        await task
    assert memory.in_progress_peak == 3
    assert found.requests.gate.peak == 3
    assert len(done(events)) == len(items)


async def test_parts_of_one_file_use_the_whole_concurrency(memory: MemoryStore, files: Files) -> None:
    gate = asyncio.Event()
    store = ScriptedStore(memory, [Rule("upload_part", Hold(gate), times=None)])
    async with working(store, files.add(10 * PART), Limits(concurrency=4)) as (found, task, _):
        await store.wait_for("upload_part", 4)
        gate.set()
        while not done(_):
            await asyncio.sleep(0)
        found.close()
        await task


async def test_never_more_bytes_than_the_budget(memory: MemoryStore, files: Files) -> None:
    items = files.add(*[900] * 20, *[3 * PART] * 4)
    limits = Limits(concurrency=8, memory_bytes=2500)
    async with working(memory, items, limits) as (found, task, events):
        found.close()
        await task
    assert memory.bytes_in_progress_peak <= 2500
    assert found.memory.peak <= 2500
    assert memory.in_progress_peak > 1, "nothing went side by side"
    assert len(done(events)) == len(items)


async def test_a_file_above_the_budget_goes_alone(memory: MemoryStore, files: Files) -> None:
    items = files.add(100, 1900, 100)
    events = await send(memory, items, Limits(concurrency=3, memory_bytes=500))
    assert len(done(events)) == 3
    assert memory.bytes_in_progress_peak == 1900


@pytest.fixture
def no_garbage_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    tracemalloc.start()
    yield
    tracemalloc.stop()
    gc.enable()


@pytest.mark.parametrize("trouble", ["E", "EEE", "H", "HHH"], ids=["retried", "failed", "late", "too late"])
@pytest.mark.parametrize("pieces", [1, 2])
@pytest.mark.usefixtures("no_garbage_collection")
async def test_what_was_sent_is_freed_at_once_whatever_went_wrong(
    memory: MemoryStore, files: Files, monkeypatch: pytest.MonkeyPatch, trouble: str, pieces: int
) -> None:
    """A request that failed must not keep its body in a reference cycle until some later collection."""
    size = 100_000
    monkeypatch.setattr(parts, "PART_SIZE", size)
    monkeypatch.setattr(parts, "MULTIPART_THRESHOLD", size)
    items = files.add(*[size * pieces] * 10)
    files.bodies.clear()
    of_each = Fail() if trouble[0] == "E" else Hang()
    rules = [Rule(first_body_of(item), of_each, times=len(trouble)) for item in items]
    before = tracemalloc.get_traced_memory()[0]
    events = await send(ScriptedStore(memory, rules), items, QUICK)
    assert len(failed(events)) == (10 if len(trouble) == 3 else 0)
    memory.objects.clear()
    memory.uploads.clear()
    assert tracemalloc.get_traced_memory()[0] - before < 2 * size


# trouble with requests


async def test_a_request_is_tried_as_often_as_the_policy_says(memory: MemoryStore, files: Files) -> None:
    (item,) = files.add(10)
    store = ScriptedStore(memory, "EE.")
    events = await send(store, [item])
    assert len(done(events)) == 1
    assert len(store.calls) == 3


async def test_after_the_last_attempt_the_file_failed(memory: MemoryStore, files: Files) -> None:
    (item,) = files.add(10)
    store = ScriptedStore(memory, "EEE.")
    events = await send(store, [item])
    assert events == [FileFailed(0, "request", "scripted")]
    assert len(store.calls) == 3


@pytest.mark.parametrize("name", ["create_multipart", "upload_part", "complete_multipart"])
async def test_each_request_of_a_big_file_is_retried(memory: MemoryStore, files: Files, name: str) -> None:
    (item,) = files.add(3 * PART)
    store = ScriptedStore(memory, [Rule(name, Fail(), times=2)])
    events = await send(store, [item])
    assert outcomes(events) == {0: 1}
    assert stored(memory) == files.bodies
    assert memory.uploads == {}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (AccessDenied("no"), "access_denied"),
        (NoSuchBucket("no"), "no_such_bucket"),
        (BadCredentials("no"), "bad_credentials"),
        (WrongRegion("no"), "request"),
        (Rejected("no"), "request"),
        (NoSuchUpload("no"), "changed"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
@pytest.mark.parametrize("size", [10, 3 * PART])
async def test_a_refusal_is_not_retried_and_names_its_kind(
    memory: MemoryStore, files: Files, error: StoreError, kind: FailureKind, size: int
) -> None:
    (item,) = files.add(size)
    store = ScriptedStore(memory, [Rule("", Fail(error), times=1)])
    events = await send(store, [item])
    assert events == [FileFailed(0, kind, "no")]
    assert len(store.calls) == 1


async def test_a_part_that_fails_fails_its_file_only_and_the_upload_is_aborted(
    memory: MemoryStore, files: Files
) -> None:
    bad, good, small = files.add(5 * PART, 5 * PART, 10)
    refused = Rule(lambda call: (call.key, call.part) == (bad.key, 3), Fail(Rejected("no")), times=None)
    store = ScriptedStore(memory, [refused])
    events = await send(store, [bad, good, small], Limits(concurrency=2))
    assert failed(events) == {0: FileFailed(0, "request", "no")}
    assert set(done(events)) == {1, 2}
    assert set(stored(memory)) == {good.key, small.key}
    assert memory.uploads == {}
    assert store.count("complete_multipart") == 1
    assert store.count("abort_multipart") == 1
    assert len(gone(events)) == 1


async def test_an_upload_that_fails_for_the_moment_stays_open(memory: MemoryStore, files: Files) -> None:
    (item,) = files.add(4 * PART)
    store = ScriptedStore(memory, [Rule(lambda call: call.part == 3, Fail(), times=None)])
    events = await send(store, [item], Limits(concurrency=1))
    assert failed(events) == {0: FileFailed(0, "request", "scripted")}
    (upload_id,) = begun(events)
    assert list(memory.uploads) == [upload_id]
    assert parts_sent(events) == sorted(memory.uploads[upload_id].parts) == [1, 2]
    assert gone(events) == []
    assert store.count("abort_multipart") == 0


async def test_a_completion_that_fails_for_the_moment_leaves_the_upload_open(memory: MemoryStore, files: Files) -> None:
    (item,) = files.add(3 * PART)
    store = ScriptedStore(memory, [Rule("complete_multipart", Fail(), times=None)])
    events = await send(store, [item])
    assert failed(events)[0].kind == "request"
    assert list(memory.uploads) == begun(events)
    assert store.count("abort_multipart") == 0


async def test_parts_after_a_failed_one_are_not_sent(memory: MemoryStore, files: Files) -> None:
    (item,) = files.add(20 * PART)
    store = ScriptedStore(memory, [Rule("upload_part", Fail(Rejected("no")))])
    await send(store, [item], Limits(concurrency=1))
    assert store.count("upload_part") == 1


async def test_a_lost_answer_to_a_put_is_sent_again(memory: MemoryStore, files: Files) -> None:
    (item,) = files.add(10)
    events = await send(ScriptedStore(memory, "L"), [item])
    assert done(events)[0].etag == memory.objects[BUCKET][item.key].etag
    assert outcomes(events) == {0: 1}


@pytest.mark.parametrize("head", [[], [Rule("head", Fail())]], ids=["head answers", "head answers later"])
async def test_after_a_lost_answer_to_complete_head_decides(
    memory: MemoryStore, files: Files, head: list[Rule]
) -> None:
    (item,) = files.add(3 * PART)
    store = ScriptedStore(memory, [Rule("complete_multipart", Fail(after=True)), *head])
    events = await send(store, [item])
    assert outcomes(events) == {0: 1}
    assert done(events)[0].etag == memory.objects[BUCKET][item.key].etag
    assert stored(memory) == files.bodies


@pytest.mark.parametrize("there", [None, b"an older object of another size"])
async def test_an_upload_that_vanished_is_a_failed_file(memory: MemoryStore, files: Files, there: bytes | None) -> None:
    (item,) = files.add(3 * PART)
    if there is not None:
        async with memory:
            await memory.put_object(BUCKET, item.key, there, None, DEFAULTS)
    store = ScriptedStore(
        memory,
        [Rule("complete_multipart", Fail()), Rule("complete_multipart", Do(memory.uploads.clear))],
    )
    events = await send(store, [item])
    assert outcomes(events) == {0: 1}
    assert failed(events)[0].kind == "changed", "planned anew, it is sent again"
    assert gone(events) == begun(events)


@pytest.mark.parametrize("sums", [True, False], ids=["with a checksum", "without"])
async def test_after_no_such_upload_another_object_of_the_same_size_is_no_success(
    memory: MemoryStore, files: Files, sums: bool
) -> None:
    (item,) = files.add(3 * PART)
    body = b"x" * 3 * PART
    async with memory:
        await memory.put_object(BUCKET, item.key, body, crc_of(body) if sums else None, DEFAULTS)
    store = ScriptedStore(memory, [Rule("complete_multipart", Do(memory.uploads.clear))])
    events = await send(store, [item])
    assert len(failed(events)) == 1


async def test_after_no_such_upload_another_object_of_as_many_parts_is_no_success(
    memory: MemoryStore, files: Files
) -> None:
    """Without a checksum in HEAD the number of parts proves nothing: an older file of the same size has it too."""
    (item,) = files.add(3 * PART)
    plain = Limits(checksum="none")
    await send(memory, [item], plain)
    Path(item.path).write_bytes(b"x" * 3 * PART)
    store = ScriptedStore(memory, [Rule("complete_multipart", Do(memory.uploads.clear))])
    events = await send(store, [files.again(item)], plain)
    assert set(failed(events)) == {0}


async def test_a_bug_below_fails_the_file_only(memory: MemoryStore, files: Files) -> None:
    bad, bad_big, good = files.add(10, 3 * PART, 10)
    store = ScriptedStore(
        memory,
        [
            Rule(on_key("put_object", bad), Fail(ZeroDivisionError("boom"))),
            Rule(on_key("upload_part", bad_big), Fail(ZeroDivisionError("boom"))),
        ],
    )
    events = await send(store, [bad, bad_big, good])
    assert {found.error for found in failed(events).values()} == {"unexpected ZeroDivisionError: boom"}
    assert set(done(events)) == {good.number}
    assert memory.uploads == {}


async def test_a_bug_in_an_abort_hurts_nobody_else(memory: MemoryStore, files: Files) -> None:
    bad, good = files.add(3 * PART, 10)
    store = ScriptedStore(
        memory, [Rule("upload_part", Fail(Rejected("no"))), Rule("abort_multipart", Fail(ZeroDivisionError("boom")))]
    )
    events = await send(store, [bad, good], Limits(concurrency=1))
    assert set(failed(events)) == {bad.number}
    assert set(done(events)) == {good.number}


async def test_an_abort_is_retried_too(memory: MemoryStore, files: Files) -> None:
    (item,) = files.add(3 * PART)
    rules = [Rule("upload_part", Fail(Rejected("no"))), Rule("abort_multipart", Fail(), times=2)]
    events = await send(ScriptedStore(memory, rules), [item])
    assert memory.uploads == {}
    assert gone(events) == begun(events)


# a store that hangs


async def test_a_request_that_hangs_is_cut_off_and_tried_again(memory: MemoryStore, files: Files) -> None:
    items = files.add(10, 3 * PART)
    rules = [Rule(name, Hang()) for name in ("put_object", "create_multipart", "upload_part")]
    events = await send(ScriptedStore(memory, rules), items, QUICK)
    assert set(done(events)) == {0, 1}


async def test_a_store_that_always_hangs_fails_the_file(memory: MemoryStore, files: Files) -> None:
    items = files.add(10, 3 * PART)
    rules = [Rule(name, Hang(), times=None) for name in ("put_object", "upload_part")]
    events = await send(ScriptedStore(memory, rules), items, QUICK)
    assert outcomes(events) == {0: 1, 1: 1}
    assert list(memory.uploads) == begun(events), "the next start goes on with it"
    assert all("no answer within" in found.error for found in failed(events).values())


async def test_the_time_limit_grows_with_the_size(memory: MemoryStore, files: Files) -> None:
    small, big = files.add(1, 2000)
    limits = Limits(concurrency=2, request_base_s=0.0, min_rate=1000)
    gate = asyncio.Event()
    store = ScriptedStore(memory, [Rule("put_object", Hold(gate), times=None)])
    async with working(store, [small, big], limits) as (found, task, events):
        while not failed(events):  # 3 attempts of 1 ms
            await asyncio.sleep(0)
        gate.set()
        found.close()
        await task
    assert set(failed(events)) == {small.number}
    assert set(done(events)) == {big.number}
    assert [call.key for call in store.calls].count(big.key) == 1


async def test_a_completion_that_hangs_is_cut_off_and_head_decides(
    memory: MemoryStore, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requesting, "COMPLETE_TIMES", 1)
    (item,) = files.add(3 * PART)
    events = await send(ScriptedStore(memory, [Rule("complete_multipart", Hang())]), [item], QUICK)
    assert len(done(events)) == 1


# files that change


def rewrite(path: str) -> None:
    Path(path).write_bytes(b"y" * os.path.getsize(path))
    os.utime(path, ns=(1, 1))


def truncate(path: str) -> None:
    os.truncate(path, 1)


def become_a_fifo(path: str) -> None:
    os.remove(path)
    os.mkfifo(path)


def become_a_folder(path: str) -> None:
    os.remove(path)
    os.mkdir(path)


def be_replaced(path: str) -> None:
    """Replace it by another file of the same size and times."""
    before = os.stat(path)
    Path(path + ".new").write_bytes(b"z" * before.st_size)
    os.utime(path + ".new", ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(path + ".new", path)


CHANGES = [rewrite, truncate, become_a_fifo, become_a_folder, be_replaced, os.remove]


def kind_after(change: Callable[[str], None]) -> FailureKind:
    """A new plan may send what changed; what is no file any more stays failed."""
    return "changed" if change in (rewrite, truncate, be_replaced) else "file"


each_change = pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)


@each_change
@pytest.mark.parametrize("size", [10, 4 * PART])
@pytest.mark.parametrize("moment", ["first part", "last part", "completion"])
async def test_a_file_that_changes_while_it_is_sent_is_never_recorded(
    memory: MemoryStore, files: Files, change: Callable[[str], None], size: int, moment: str
) -> None:
    item, good = files.add(size, 10)
    name = "put_object" if size == 10 else "complete_multipart" if moment == "completion" else "upload_part"
    skip = 3 if name == "upload_part" and moment == "last part" else 0
    store = ScriptedStore(memory, [Rule(on_key(name, item), Do(lambda: change(item.path)), skip=skip)])
    events = await send(store, [item, good], Limits(concurrency=1))
    if name == "complete_multipart":
        # all of its bytes, and the last look at it, are of the moment before
        assert set(done(events)) == {0, 1}
        assert stored(memory) == files.bodies
        return
    assert set(failed(events)) == {item.number}
    assert failed(events)[0].kind == kind_after(change)
    assert set(done(events)) == {good.number}
    assert memory.uploads == {}
    assert gone(events) == begun(events)


@each_change
async def test_a_file_that_changes_before_its_bytes_are_read_is_not_sent(
    memory: MemoryStore, files: Files, change: Callable[[str], None]
) -> None:
    blocker, item = files.add(500, 500)
    gate = asyncio.Event()
    store = ScriptedStore(memory, [Rule(on_key("put_object", blocker), Hold(gate))])
    async with working(store, [blocker, item], Limits(concurrency=2, memory_bytes=500)) as (found, task, events):
        await store.wait_for("put_object")
        await asyncio.sleep(0)  # the second file was looked at and waits for its memory
        change(item.path)
        found.close()
        gate.set()
        await task
    assert set(failed(events)) == {item.number}
    assert failed(events)[item.number].kind == kind_after(change)
    assert set(stored(memory)) == {blocker.key}


@pytest.mark.parametrize("change", [become_a_fifo, become_a_folder, os.remove], ids=lambda change: change.__name__)
async def test_what_is_no_file_any_more_is_not_sent(
    memory: MemoryStore, files: Files, change: Callable[[str], None]
) -> None:
    (item,) = files.add(10)
    change(item.path)
    events = await send(memory, [item])
    assert failed(events)[0].kind == "file"
    assert memory.requests == {}


# the end


async def test_cancelling_leaves_open_uploads_to_the_next_start(memory: MemoryStore, files: Files) -> None:
    items = files.add(4 * PART, 4 * PART)
    store = ScriptedStore(memory, [Rule("upload_part", Hang(), times=None, skip=3)])
    async with working(store, items, Limits(concurrency=4)) as (_, task, events):
        await store.wait_for("upload_part", 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert sorted(memory.uploads) == sorted(begun(events))
    assert gone(events) == []
    assert store.count("abort_multipart") == 0
    assert outcomes(events) == {}


async def test_cancelling_waits_for_an_abort_that_is_on_its_way(memory: MemoryStore, files: Files) -> None:
    (item,) = files.add(3 * PART)
    gate = asyncio.Event()
    store = ScriptedStore(memory, [Rule("upload_part", Fail(Rejected("no"))), Rule("abort_multipart", Hold(gate))])
    async with working(store, [item]) as (_, task, _events):
        await store.wait_for("abort_multipart")
        task.cancel()
        done_too_early, _pending = await asyncio.wait([task], timeout=0.05)
        assert not done_too_early
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert memory.uploads == {}


async def test_an_abort_that_hangs_is_given_up(
    memory: MemoryStore, files: Files, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(completion, "ABORT_LIMIT_S", 0.05)
    (item,) = files.add(3 * PART)
    store = ScriptedStore(memory, [Rule("upload_part", Fail(Rejected("no"))), Rule("abort_multipart", Hang())])
    async with working(store, [item]) as (_, task, events):
        await store.wait_for("abort_multipart")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert "could not be aborted, the next start tries again: no answer within" in caplog.text
    assert gone(events) == []


async def test_dropping_the_queue_lets_what_is_in_flight_end(memory: MemoryStore, files: Files) -> None:
    gate = asyncio.Event()
    items = files.add(*[10] * 10)
    store = ScriptedStore(memory, [Rule("put_object", Hold(gate), times=None)])
    async with working(store, items, Limits(concurrency=2)) as (found, task, events):
        await store.wait_for("put_object", 2)
        found.drop_queued()
        gate.set()
        await task
    assert outcomes(events) == {0: 1, 1: 1}
    assert memory.requests["put_object"] == 2


async def test_dropping_the_queue_leaves_uploads_whose_parts_are_not_all_on_their_way_open(
    memory: MemoryStore, files: Files
) -> None:
    gate = asyncio.Event()
    (item,) = files.add(5 * PART)
    store = ScriptedStore(memory, [Rule("upload_part", Hold(gate), times=None)])
    async with working(store, [item], Limits(concurrency=2)) as (found, task, events):
        await store.wait_for("upload_part", 2)
        found.drop_queued()
        gate.set()
        await task
    assert outcomes(events) == {}
    assert memory.requests["upload_part"] == 2
    assert list(memory.uploads) == begun(events)
    assert parts_sent(events) == [1, 2], "what was on its way is remembered"
    assert gone(events) == []


async def test_dropping_the_queue_holds_for_a_file_that_is_just_begun(memory: MemoryStore, files: Files) -> None:
    gate = asyncio.Event()
    (item,) = files.add(5 * PART)
    store = ScriptedStore(memory, [Rule("create_multipart", Hold(gate))])
    async with working(store, [item]) as (found, task, events):
        await store.wait_for("create_multipart")
        found.drop_queued()
        gate.set()
        await task
    assert outcomes(events) == {}
    assert memory.requests["upload_part"] == 0
    assert list(memory.uploads) == begun(events)


async def test_closing_without_work_ends(memory: MemoryStore) -> None:
    assert await send(memory, []) == []


async def test_files_may_come_while_others_are_sent(memory: MemoryStore, files: Files) -> None:
    first, *rest = files.add(10, 3 * PART, 10)
    async with working(memory, [first]) as (found, task, events):
        while not events:
            await asyncio.sleep(0)
        for item in rest:
            found.submit(BUCKET, item, DEFAULTS)
        found.close()
        await task
    assert set(done(events)) == {0, 1, 2}


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_goes_wrong_each_file_is_reported_once_and_truly(
    memory: MemoryStore, files: Files, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(requesting, "COMPLETE_TIMES", 1)
    monkeypatch.setattr(completion, "ABORT_LIMIT_S", 0.5)
    chance = random.Random(seed)
    items = files.add(*(chance.choice([0, 10, 1999, 2001, 4500]) for _ in range(30)))
    script = "".join(chance.choices("E.LH", weights=[4, 12, 3, 0.3], k=400))
    events = await send(ScriptedStore(memory, script), items, QUICK)
    assert outcomes(events) == dict.fromkeys(range(30), 1)
    for item in items:
        if item.number in done(events):
            found = memory.objects[BUCKET][item.key]
            assert found.body == files.bodies[item.key]
            assert done(events)[item.number].crc64nvme == found.crc64nvme == crc_of(found.body)
    keys = {item.key: item.number for item in items}
    assert not {keys[upload.key] for upload in memory.uploads.values()} & set(done(events)), "an upload dangles"
