"""What tests of the coordinator with local workers share: jobs, a journal, a clock that jumps."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from async_s3_upload.transfer.messages import (
    FileDone,
    FileFailed,
    FileItem,
    KnownUpload,
    PartDone,
    TransferEvent,
    UploadBegun,
)
from async_s3_upload.transfer.plan import Job
from tests.contract.memory_store import DEFAULTS, MemoryStore
from tests.faults.warp import WarpLoop
from tests.transfer.sending import BUCKET

T = TypeVar("T")
LONGEST_S = 3600.0


class Journal:
    """Takes events as the recorder does; ``then`` hears of each."""

    def __init__(self, then: Callable[[TransferEvent], None] = lambda _: None) -> None:
        self.events: list[TransferEvent] = []
        self.then = then

    def __call__(self, event: TransferEvent) -> None:
        self.events.append(event)
        self.then(event)

    def refreshed(self, item: FileItem) -> FileItem:
        begun = [event for event in self.events if isinstance(event, UploadBegun) and event.number == item.number]
        if not begun:
            return item
        last = begun[-1]
        parts = tuple(
            event.part for event in self.events if isinstance(event, PartDone) and event.upload_id == last.upload_id
        )
        known = KnownUpload(
            last.upload_id, item.size, item.mtime_ns, item.inode, last.part_size, last.with_checksum, parts
        )
        return replace(item, known=known)

    @property
    def done(self) -> dict[int, FileDone]:
        return {event.number: event for event in self.events if isinstance(event, FileDone)}

    @property
    def failed(self) -> dict[int, FileFailed]:
        return {event.number: event for event in self.events if isinstance(event, FileFailed)}

    @property
    def outcomes(self) -> Counter[int]:
        return Counter(event.number for event in self.events if isinstance(event, (FileDone, FileFailed)))


def job_of(items: Sequence[FileItem], bucket: str = BUCKET) -> Job:
    ordered = sorted(items, key=lambda item: -item.size)
    numbered = tuple(replace(item, number=number) for number, item in enumerate(ordered))
    return Job(bucket, DEFAULTS, numbered, tuple(item.key for item in numbered), {})


def on_a_virtual_clock(main: Callable[[], Awaitable[T]], memory: MemoryStore) -> T:
    async def whole() -> T:
        async with memory, asyncio.timeout(LONGEST_S):
            return await main()

    with asyncio.Runner(loop_factory=WarpLoop) as runner:
        return runner.run(whole())
