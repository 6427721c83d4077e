"""Going on with what an earlier start left: its uploads, those whose ids were lost, files that may be there."""

import logging
import os
import random
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from async_s3_upload.transfer import parts
from async_s3_upload.transfer.engine import completion
from async_s3_upload.transfer.engine import requests as requesting
from async_s3_upload.transfer.messages import (
    Event,
    FileDone,
    FileFailed,
    FileItem,
    KnownUpload,
    Limits,
    PartDone,
    UploadBegun,
    UploadGone,
)
from async_s3_upload.transfer.stores.store import AccessDenied, Rejected
from tests.contract.memory_store import DEFAULTS, MemoryStore
from tests.contract.scripted_store import Do, Fail, Rule, ScriptedStore
from tests.transfer.sending import (
    BUCKET,
    PART,
    QUICK,
    Files,
    begun,
    crc_of,
    done,
    failed,
    gone,
    outcomes,
    parts_sent,
    send,
    stored,
)

pytestmark = pytest.mark.usefixtures("small_parts")
ONE_BY_ONE = Limits(concurrency=1)


class Journal:
    """What the coordinator remembers of the events, as the next start takes it."""

    def __init__(self) -> None:
        self.uploads: dict[int, KnownUpload] = {}
        self.begun: set[int] = set()
        self.done: dict[int, FileDone] = {}

    def take(self, items: Sequence[FileItem], events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, UploadBegun):
                item = next(item for item in items if item.number == event.number)
                self.uploads[event.number] = KnownUpload(
                    event.upload_id, item.size, item.mtime_ns, item.inode, event.part_size, event.with_checksum
                )
            elif isinstance(event, PartDone):
                upload = self.uploads[event.number]
                assert upload.upload_id == event.upload_id
                self.uploads[event.number] = replace(upload, parts=(*upload.parts, event.part))
            elif isinstance(event, UploadGone):
                known = self.uploads.get(event.number)
                if known is not None and known.upload_id == event.upload_id:
                    del self.uploads[event.number]
            elif isinstance(event, FileDone):
                self.uploads.pop(event.number, None)
                self.begun.discard(event.number)
                self.done[event.number] = event

    def next(self, item: FileItem) -> FileItem:
        """Return the item as the next start sends it."""
        known = self.uploads.get(item.number)
        stray = known is None and item.number in self.begun
        if parts.is_multipart(item.size):
            self.begun.add(item.number)
        return replace(item, known=known, stray=stray)


async def interrupted(
    memory: MemoryStore, item: FileItem, parts: Collection[int], limits: Limits = ONE_BY_ONE
) -> FileItem:
    """Send only these parts of the file; returns the item that goes on with its upload."""
    refused = Rule(lambda call: call.part is not None and call.part not in parts, Fail(), times=None)
    completion = Rule("complete_multipart", Fail(), times=None)
    # the first part that fails ends the file: those to be sent go first
    assert list(parts) == list(range(1, len(parts) + 1))
    events = await send(ScriptedStore(memory, [refused, completion]), [item], limits)
    assert parts_sent(events) == sorted(parts)
    journal = Journal()
    journal.take([item], events)
    memory.requests.clear()
    return journal.next(item)


def known_of(item: FileItem) -> KnownUpload:
    assert item.known is not None
    return item.known


# a known upload


@pytest.mark.parametrize("sums", ["crc64nvme", "none"])
async def test_parts_that_journal_and_s3_have_are_not_sent_again(memory: MemoryStore, files: Files, sums: str) -> None:
    (item,) = files.add(4 * PART + 7)
    limits = Limits(concurrency=1, checksum="none" if sums == "none" else "crc64nvme")
    again = await interrupted(memory, item, [1, 2, 3], limits)
    events = await send(memory, [again], limits)
    assert parts_sent(events) == [4, 5]
    assert memory.requests == {"list_parts": 1, "upload_part": 2, "complete_multipart": 1}
    body = files.bodies[item.key]
    crc = None if sums == "none" else crc_of(body)
    etag = memory.objects[BUCKET][item.key].etag
    assert events[-1] == FileDone(0, etag, len(body), item.mtime_ns, crc, PART + 7, PART)
    assert stored(memory) == files.bodies
    assert memory.uploads == {}


async def test_where_only_the_completion_is_missing_nothing_is_sent(memory: MemoryStore, files: Files) -> None:
    (item,) = files.add(3 * PART)
    again = await interrupted(memory, item, [1, 2, 3])
    events = await send(memory, [again])
    assert memory.requests == {"list_parts": 1, "complete_multipart": 1}
    assert [type(event) for event in events] == [FileDone]
    assert done(events)[0].sent == 0
    assert stored(memory) == files.bodies


async def lose(memory: MemoryStore, item: FileItem) -> None:
    del memory.uploads[known_of(item).upload_id].parts[2]


async def other_size(memory: MemoryStore, item: FileItem) -> None:
    body = b"other"
    async with memory:
        await memory.upload_part(BUCKET, item.key, known_of(item).upload_id, 2, body, crc_of(body))


async def other_etag(memory: MemoryStore, item: FileItem) -> None:
    body = b"x" * PART
    async with memory:
        await memory.upload_part(BUCKET, item.key, known_of(item).upload_id, 2, body, crc_of(body))


@pytest.mark.parametrize("harm", [lose, other_size, other_etag])
async def test_a_part_that_s3_has_not_as_it_was_sent_is_sent_again(
    memory: MemoryStore, files: Files, harm: Callable[[MemoryStore, FileItem], Awaitable[None]]
) -> None:
    (item,) = files.add(4 * PART)
    again = await interrupted(memory, item, [1, 2, 3])
    await harm(memory, again)
    events = await send(memory, [again])
    assert parts_sent(events) == [2, 4]
    assert begun(events) == []
    assert stored(memory) == files.bodies


async def test_a_part_that_only_s3_has_is_sent_again(memory: MemoryStore, files: Files) -> None:
    """Its answer was lost with the start: nobody knows its checksum."""
    (item,) = files.add(4 * PART)
    again = await interrupted(memory, item, [1, 2, 3])
    known = known_of(again)
    forgetful = replace(again, known=replace(known, parts=known.parts[:1]))
    events = await send(memory, [forgetful])
    assert parts_sent(events) == [2, 3, 4]
    assert stored(memory) == files.bodies


async def test_it_goes_on_in_parts_of_the_size_they_had(
    memory: MemoryStore, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    (item,) = files.add(4 * PART)
    again = await interrupted(memory, item, [1, 2])
    monkeypatch.setattr(parts, "PART_SIZE", 2 * PART)
    events = await send(memory, [again])
    assert parts_sent(events) == [3, 4]
    assert done(events)[0].part_size == PART
    assert stored(memory) == files.bodies


async def test_an_upload_that_fails_again_keeps_what_both_starts_sent(memory: MemoryStore, files: Files) -> None:
    (item,) = files.add(5 * PART)
    again = await interrupted(memory, item, [1, 2])
    journal = Journal()
    journal.uploads[0] = known_of(again)
    last = Rule(lambda call: call.part == 4, Fail(), times=None)
    journal.take([item], await send(ScriptedStore(memory, [last]), [again], ONE_BY_ONE))
    events = await send(memory, [journal.next(item)])
    assert parts_sent(events) == [4, 5]
    assert stored(memory) == files.bodies


async def test_an_upload_that_vanished_is_begun_anew(memory: MemoryStore, files: Files) -> None:
    (item,) = files.add(4 * PART)
    again = await interrupted(memory, item, [1, 2])
    memory.uploads.clear()
    events = await send(memory, [again])
    assert gone(events)[0] == known_of(again).upload_id
    assert len(begun(events)) == 1
    assert parts_sent(events) == [1, 2, 3, 4]
    assert stored(memory) == files.bodies
    assert memory.uploads == {}


async def test_of_an_upload_that_vanished_with_all_its_parts_head_decides(memory: MemoryStore, files: Files) -> None:
    """It was completed, but the answer was lost with the start."""
    (item,) = files.add(3 * PART)
    again = await interrupted(memory, item, [1, 2, 3])
    lost = [Rule("complete_multipart", Fail(after=True)), Rule("head", Fail(), times=None)]
    assert failed(await send(ScriptedStore(memory, lost), [again]))
    assert memory.uploads == {}
    memory.requests.clear()
    events = await send(memory, [again])
    etag = memory.objects[BUCKET][item.key].etag
    assert done(events) == {0: FileDone(0, etag, 3 * PART, item.mtime_ns, crc_of(files.bodies[item.key]), 0, PART)}
    assert memory.requests["upload_part"] == memory.requests["create_multipart"] == 0


@pytest.mark.parametrize("there", [None, b"y" * 3 * PART, b"of another size"])
async def test_where_head_finds_something_else_the_file_is_for_a_new_plan(
    memory: MemoryStore, files: Files, there: bytes | None
) -> None:
    (item,) = files.add(3 * PART)
    again = await interrupted(memory, item, [1, 2, 3])
    memory.uploads.clear()
    if there is not None:
        async with memory:
            await memory.put_object(BUCKET, item.key, there, crc_of(there), DEFAULTS)
    events = await send(memory, [again])
    assert failed(events)[0].kind == "changed"
    assert set(gone(events)) == {known_of(again).upload_id}
    events = await send(memory, [replace(again, known=None, stray=True)])
    assert len(done(events)) == 1
    assert stored(memory) == files.bodies


@pytest.mark.parametrize("field", ["size", "mtime_ns", "inode", "with_checksum"])
async def test_an_upload_of_another_state_of_the_file_is_aborted_and_begun_anew(
    memory: MemoryStore, files: Files, field: str
) -> None:
    (item,) = files.add(4 * PART)
    again = await interrupted(memory, item, [1, 2])
    known = known_of(again)
    other = {
        "size": replace(known, size=known.size - 1),
        "mtime_ns": replace(known, mtime_ns=known.mtime_ns + 1),
        "inode": replace(known, inode=known.inode + 1),
        "with_checksum": replace(known, with_checksum=False),
    }[field]
    events = await send(memory, [replace(again, known=other)])
    assert gone(events)[0] == known.upload_id
    assert parts_sent(events) == [1, 2, 3, 4]
    assert memory.requests["list_parts"] == 0
    assert stored(memory) == files.bodies
    assert memory.uploads == {}


async def test_an_upload_that_cannot_be_aborted_for_the_moment_is_not_forgotten(
    memory: MemoryStore, files: Files
) -> None:
    """Were the file sent now, nobody would remember the upload of its older state."""
    (item,) = files.add(4 * PART)
    again = await interrupted(memory, item, [1, 2])
    other = replace(again, known=replace(known_of(again), inode=0))
    store = ScriptedStore(memory, [Rule("abort_multipart", Fail(), times=None)])
    events = await send(store, [other])
    assert events == [FileFailed(0, "request", "scripted")]
    assert list(memory.uploads) == [known_of(again).upload_id]
    assert len(done(await send(memory, [other]))) == 1
    assert memory.uploads == {}


async def test_an_upload_that_may_not_be_aborted_does_not_hold_up_its_file(memory: MemoryStore, files: Files) -> None:
    (item,) = files.add(4 * PART)
    again = await interrupted(memory, item, [1, 2])
    other = replace(again, known=replace(known_of(again), inode=0))
    store = ScriptedStore(memory, [Rule("abort_multipart", Fail(AccessDenied("no")), times=None)])
    assert len(done(await send(store, [other]))) == 1


async def test_a_file_that_changes_while_it_goes_on_loses_its_upload(memory: MemoryStore, files: Files) -> None:
    (item,) = files.add(4 * PART)
    again = await interrupted(memory, item, [1, 2])
    change = Do(lambda: os.truncate(item.path, 3 * PART))
    events = await send(ScriptedStore(memory, [Rule("list_parts", change)]), [again])
    assert failed(events)[0].kind == "changed"
    assert gone(events) == [known_of(again).upload_id]
    assert memory.uploads == {}


async def test_an_upload_that_s3_refuses_to_list_for_the_moment_stays(
    memory: MemoryStore, files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "async_s3_upload")
    (item,) = files.add(4 * PART)
    again = await interrupted(memory, item, [1, 2])
    events = await send(ScriptedStore(memory, [Rule("list_parts", Fail(), times=None)]), [again])
    assert events == [FileFailed(0, "request", "scripted")]
    assert list(memory.uploads) == [known_of(again).upload_id]
    assert f"list parts of {item.key}: attempt 1 failed, trying again: scripted" in caplog.messages


# uploads whose ids were lost


async def test_a_begin_whose_answer_was_lost_leaves_no_second_upload(memory: MemoryStore, files: Files) -> None:
    (item,) = files.add(3 * PART)
    store = ScriptedStore(memory, [Rule("create_multipart", Fail(after=True), times=2)])
    events = await send(store, [item])
    assert store.count("create_multipart") == 3
    assert len(begun(events)) == 1
    assert len(gone(events)) == 2
    assert begun(events)[0] not in gone(events)
    assert stored(memory) == files.bodies
    assert memory.uploads == {}


async def test_until_the_lost_one_is_aborted_the_new_upload_is_not_remembered(
    memory: MemoryStore, files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "async_s3_upload")
    (item,) = files.add(3 * PART)
    rules = [Rule("create_multipart", Fail(after=True)), Rule("list_uploads", Fail(), times=None)]
    events = await send(ScriptedStore(memory, rules), [item])
    assert events == [FileFailed(0, "request", "scripted")]
    assert len(memory.uploads) == 2
    assert f"list uploads of {item.key}: attempt 1 failed, trying again: scripted" in caplog.messages
    events = await send(memory, [replace(item, stray=True)])
    assert len(gone(events)) == 2
    assert len(done(events)) == 1
    assert memory.uploads == {}


@pytest.mark.parametrize("size", [10, 3 * PART])
async def test_stray_uploads_of_exactly_this_key_are_aborted(memory: MemoryStore, files: Files, size: int) -> None:
    (item,) = files.add(size)
    async with memory:
        for key in (item.key, item.key, f"{item.key}0", f"{item.key}/sub"):
            await memory.create_multipart(BUCKET, key, checksum=True, settings=DEFAULTS)
    events = await send(memory, [replace(item, stray=True)])
    assert len(done(events)) == 1
    assert len(gone(events)) == 2
    assert {upload.key for upload in memory.uploads.values()} == {f"{item.key}0", f"{item.key}/sub"}


async def test_without_stray_uploads_nobody_lists_any(memory: MemoryStore, files: Files) -> None:
    await send(memory, files.add(10, 3 * PART))
    assert memory.requests["list_uploads"] == 0


async def test_who_may_not_list_uploads_sends_all_the_same(
    memory: MemoryStore, files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    (item,) = files.add(3 * PART)
    store = ScriptedStore(memory, [Rule("list_uploads", Fail(AccessDenied("no right")), times=None)])
    events = await send(store, [replace(item, stray=True)])
    assert len(done(events)) == 1
    assert "uploads that were begun before cannot be looked for: no right" in caplog.text


async def test_a_stray_upload_that_cannot_be_aborted_for_the_moment_is_not_forgotten(
    memory: MemoryStore, files: Files
) -> None:
    (item,) = files.add(3 * PART)
    async with memory:
        await memory.create_multipart(BUCKET, item.key, checksum=True, settings=DEFAULTS)
    store = ScriptedStore(memory, [Rule("abort_multipart", Fail(), times=None)])
    events = await send(store, [replace(item, stray=True)])
    assert events == [FileFailed(0, "request", "scripted")]


async def test_a_file_that_became_small_gives_up_its_upload(memory: MemoryStore, files: Files) -> None:
    (item,) = files.add(4 * PART)
    again = await interrupted(memory, item, [1, 2])
    Path(item.path).write_bytes(b"small")
    events = await send(memory, [replace(files.again(item), known=again.known)])
    assert gone(events) == [known_of(again).upload_id]
    assert stored(memory) == files.bodies
    assert memory.uploads == {}


async def test_of_a_file_that_became_small_a_later_upload_than_the_known_one_goes_too(
    memory: MemoryStore, files: Files
) -> None:
    """A start aborted the known one, began another one, and died before it could tell."""
    (item,) = files.add(4 * PART)
    again = await interrupted(memory, item, [1, 2])
    memory.uploads.clear()
    async with memory:
        await memory.create_multipart(BUCKET, item.key, checksum=True, settings=DEFAULTS)
    Path(item.path).write_bytes(b"small")
    events = await send(memory, [replace(files.again(item), known=again.known)])
    assert len(done(events)) == 1
    assert memory.uploads == {}


# files that may be in S3 already


@pytest.mark.parametrize("size", [0, 10, 3 * PART + 5])
async def test_a_probed_file_that_is_there_is_done_and_not_sent(memory: MemoryStore, files: Files, size: int) -> None:
    (item,) = files.add(size)
    await send(memory, [item])
    memory.requests.clear()
    events = await send(memory, [replace(item, mode="probe")])
    etag = memory.objects[BUCKET][item.key].etag
    assert events == [FileDone(0, etag, size, item.mtime_ns, crc_of(files.bodies[item.key]), 0)]
    assert memory.requests == {"head": 1}


@pytest.mark.parametrize("there", [None, b"x" * 10, b"longer than the file", b""])
async def test_a_probed_file_that_differs_or_is_missing_is_sent(
    memory: MemoryStore, files: Files, there: bytes | None
) -> None:
    (item,) = files.add(10)
    if there is not None:
        async with memory:
            await memory.put_object(BUCKET, item.key, there, crc_of(there), DEFAULTS)
    events = await send(memory, [replace(item, mode="probe")])
    assert done(events)[0].sent == 10
    assert stored(memory) == files.bodies


async def test_a_probed_file_of_which_nothing_proves_that_it_is_there_is_sent(
    memory: MemoryStore, files: Files
) -> None:
    (item,) = files.add(10)
    plain = Limits(checksum="none")
    await send(memory, [item], plain)
    events = await send(memory, [replace(item, mode="probe")], plain)
    assert done(events)[0].sent == 10


async def test_a_probed_file_that_changes_meanwhile_is_not_done(memory: MemoryStore, files: Files) -> None:
    (item,) = files.add(10)
    await send(memory, [item])
    change = Rule("head", Do(lambda: os.utime(item.path, ns=(1, 1))))
    events = await send(ScriptedStore(memory, [change]), [replace(item, mode="probe")])
    assert failed(events)[0].kind == "changed"


async def test_a_big_probed_file_goes_on_with_its_upload_where_it_is_not_there(
    memory: MemoryStore, files: Files
) -> None:
    (item,) = files.add(4 * PART)
    again = await interrupted(memory, item, [1, 2])
    events = await send(memory, [replace(again, mode="probe")])
    assert parts_sent(events) == [3, 4]
    assert stored(memory) == files.bodies


async def test_a_probe_that_s3_refuses_to_answer_fails_the_file(memory: MemoryStore, files: Files) -> None:
    (item,) = files.add(10)
    store = ScriptedStore(memory, [Rule("head", Fail(Rejected("no")))])
    assert await send(store, [replace(item, mode="probe")]) == [FileFailed(0, "request", "no")]


# all of it


@pytest.mark.parametrize("seed", range(30))
async def test_whatever_goes_wrong_start_after_start_ends_with_everything_there_once(
    memory: MemoryStore, files: Files, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(requesting, "COMPLETE_TIMES", 1)
    monkeypatch.setattr(completion, "ABORT_LIMIT_S", 0.2)
    chance = random.Random(seed)
    items = files.add(*(chance.choice([10, 2500, 4500, 9000]) for _ in range(8)))
    journal = Journal()
    for start in range(40):
        left = [journal.next(item) for item in items if item.number not in journal.done]
        if not left:
            break
        letters = chance.choices("E.LH", weights=[5, 8, 4, 0.2], k=200 if start < 20 else 0)
        events = await send(ScriptedStore(memory, "".join(letters)), left, QUICK)
        assert outcomes(events) == {item.number: 1 for item in left}
        known = {item.known.upload_id: {part.number for part in item.known.parts} for item in left if item.known}
        for event in events:
            if isinstance(event, PartDone):
                assert event.part.number not in known.get(event.upload_id, ()), "sent again although it is there"
        if start % 3 == 2 and letters:  # the events of the last moment are lost with the coordinator
            kept = chance.randrange(len(events) + 1)
            del events[kept:]
        journal.take(left, events)
    assert stored(memory) == files.bodies
    assert memory.uploads == {}
    for item in items:
        assert journal.done[item.number].crc64nvme == crc_of(files.bodies[item.key])
