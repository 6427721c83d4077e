"""What a worker has not begun: in which order it is given out, and which of it is taken back."""

import asyncio

import pytest

from async_s3_upload.transfer import parts
from async_s3_upload.transfer.engine.budget import ByteBudget
from async_s3_upload.transfer.engine.source import FileState
from async_s3_upload.transfer.engine.upload import MultipartUpload
from async_s3_upload.transfer.engine.workqueue import FileUnit, PartUnit, Unit, WorkQueue
from async_s3_upload.transfer.messages import FileItem
from tests.contract.memory_store import DEFAULTS

MIB = 1024 * 1024


def file_of(number: int, size: int = MIB) -> FileUnit:
    return FileUnit("b", FileItem(number, f"/seq/{number}", f"run/{number}", size, 1, 1), DEFAULTS)


def parts_of(number: int, count: int, step: int = 8 * MIB) -> list[PartUnit]:
    size = count * step
    item = FileItem(number, f"/seq/{number}", f"run/{number}", size, 1, 1)
    upload = MultipartUpload("b", item, FileState(size, 1, 1, 1), "id", step, with_checksum=True, pending=count)
    return [PartUnit(upload, part) for part in parts.parts(size, step)]


def queue_of(*units: Unit, memory: int = 64 * MIB) -> WorkQueue:
    queue = WorkQueue(ByteBudget(memory))
    for unit in units:
        queue.put(unit)
    return queue


async def rest_of(queue: WorkQueue) -> list[Unit]:
    queue.close(1)
    found: list[Unit] = []
    while (unit := await queue.get()) is not None:
        found.append(unit)
    return found


async def test_parts_come_before_files_and_each_in_its_order() -> None:
    files, parts = [file_of(0), file_of(1)], parts_of(2, 3)
    assert await rest_of(queue_of(files[0], *parts, files[1])) == [*parts, *files]


async def test_half_of_the_files_are_taken_back_from_the_end() -> None:
    files = [file_of(number) for number in range(8)]
    queue = queue_of(*files)
    assert queue.take_back(0) == files[4:]
    assert await rest_of(queue) == files[:4]


async def test_small_files_are_weighed_by_their_number() -> None:
    queue = queue_of(*(file_of(number, 10) for number in range(100)))
    assert len(queue.take_back(0)) == 50


async def test_whole_files_are_taken_before_parts() -> None:
    files, parts = [file_of(0, 16 * MIB), file_of(1, 16 * MIB)], parts_of(2, 10)
    queue = queue_of(*files, *parts)
    taken = queue.take_back(0)
    assert [unit for unit in taken if isinstance(unit, FileUnit)] == files
    assert [unit for unit in taken if isinstance(unit, PartUnit)] == parts[-3:]
    assert await rest_of(queue) == parts[:-3]


async def test_at_least_one_is_taken_back() -> None:
    (only,) = parts_of(0, 1)
    queue = queue_of(only)
    assert queue.take_back(0) == [only]
    assert queue.take_back(0) == []
    assert not queue


async def test_what_idle_readers_begin_at_once_stays() -> None:
    parts = parts_of(0, 12)
    assert queue_of(*parts[:3]).take_back(3) == []
    assert queue_of(*parts[:4]).take_back(3) == [parts[3]]
    assert queue_of(*parts).take_back(12) == parts[10:], "there is memory for 8 of them"
    assert queue_of(file_of(0, 10**12), file_of(1)).take_back(2) == [], "to begin a big file takes no memory"


async def test_how_an_upload_is_ended_is_nobody_elses_business() -> None:
    (part,) = parts_of(0, 1)
    assert queue_of(PartUnit(part.upload, None)).take_back(0) == []


async def test_while_somebody_waits_for_memory_nothing_is_given_out_and_all_can_be_taken_back() -> None:
    memory = ByteBudget(10)
    queue = WorkQueue(memory)
    for number in range(3):
        queue.put(file_of(number))
    async with memory.hold(10):
        waiting = asyncio.create_task(memory.hold(5).__aenter__())
        await asyncio.sleep(0)
        reading = asyncio.create_task(queue.get())
        done, _ = await asyncio.wait([reading], timeout=0.01)
        assert not done
        assert len(queue.take_back(5)) == 1
    await waiting
    unit = await reading
    assert unit == file_of(0)


async def test_files_are_forgotten_by_their_numbers_with_their_parts() -> None:
    files, parts = [file_of(0), file_of(1)], parts_of(2, 3)
    queue = queue_of(*files, *parts)
    queue.forget(range(1, 3).__contains__)
    assert await rest_of(queue) == files[:1]


@pytest.mark.parametrize("late", [file_of(1), parts_of(1, 1)[0]], ids=["file", "part"])
async def test_what_comes_after_the_queue_was_dropped_is_dropped_too(late: Unit) -> None:
    queue = queue_of(file_of(0))
    queue.drop()
    queue.put(late)
    assert await rest_of(queue) == []
