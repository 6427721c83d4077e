"""Workers that do nothing and report everything as done, in place of processes or of a cluster's workers."""

from __future__ import annotations

import asyncio
import pickle
import time
from collections import deque
from collections.abc import Iterator

from async_s3_upload.transfer.lending import GiveBack, LendingFromWorker, LendingToWorker, PartsQueued, Returned
from async_s3_upload.transfer.messages import (
    Event,
    Events,
    FileDone,
    FileItem,
    FromWorker,
    KnownPart,
    PartDone,
    Share,
    ToWorker,
    UploadBegun,
    WorkerSettings,
)
from async_s3_upload.transfer.parts import PART_SIZE, is_multipart, parts
from async_s3_upload.transfer.rows import rows_of
from async_s3_upload.transfer.workers.channel import PipeChannel
from async_s3_upload.transfer.workers.pool import Message, WorkerHandle, WorkerPool

ETAG, CRC64NVME = "9b2cf535" * 4, "rosUhgp5mIg="
UPLOAD_ID = "upload" * 20
"""About as long as those of S3."""


class IdleWorker(WorkerHandle):
    """Reports what it is given, through the pool."""

    def __init__(self, pool: IdlePool) -> None:
        super().__init__()
        self._pool = pool
        self.ready = True

    def tell(self, message: ToWorker | LendingToWorker) -> None:
        """Cross the pipe: what has been done is reported, and nothing is left that could be given back."""
        text = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        if isinstance(message, Share):
            self._pool.report(self, text)
        elif isinstance(message, GiveBack):
            self._pool.say(self, Returned((), ()))

    def kill(self) -> None:
        """Nobody does."""


class IdlePool(WorkerPool):
    """A pool whose workers never die.

    ``cpu_seconds`` is what making the results took, which is no work of the coordinator's process.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        super().__init__(settings)
        self.cpu_seconds = 0.0
        self.results = self.sent = 0
        self._waiting: dict[WorkerHandle, deque[bytes]] = {}

    def grow_to(self, count: int) -> None:
        """Have so many workers."""
        while len(self.workers) < count:
            self.workers.append(IdleWorker(self))

    async def next_messages(self, patience_s: float) -> list[Message]:
        """Return one message of each worker that has any: so many an event loop reads of all pipes in one turn."""
        await asyncio.sleep(0)
        found = [(worker, pickle.loads(texts.popleft())) for worker, texts in self._waiting.items()]
        self._waiting = {worker: texts for worker, texts in self._waiting.items() if texts}
        return found

    async def close(self, grace_s: float, limit_s: float) -> list[tuple[WorkerHandle, Events]]:
        """End; they have nothing more to say."""
        self.kill_all()
        return []

    def remove(self, worker: WorkerHandle) -> None:
        """Forget a worker."""
        self.workers.remove(worker)

    def kill_all(self) -> None:
        """Forget all workers."""
        self.workers.clear()

    def report(self, worker: IdleWorker, text: bytes) -> None:
        """Make the messages of a worker whose share this is."""
        began = time.thread_time()
        share = pickle.loads(text)
        for events in _messages(share.items):
            self.say(worker, Events(rows_of(events)))
            self.results += len(events)
            self.sent += 1
        self.cpu_seconds += time.thread_time() - began

    def say(self, worker: IdleWorker, message: FromWorker | LendingFromWorker) -> None:
        """Send a message of a worker."""
        text = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        self._waiting.setdefault(worker, deque()).append(text)


def _messages(items: tuple[FileItem, ...]) -> Iterator[list[Event]]:
    """Yield what a worker says of these files, message by message."""
    said: list[Event] = []
    for item in items:
        if is_multipart(item.size):
            yield from _of_big(item)
        else:
            said.append(FileDone(item.number, ETAG, item.size, item.mtime_ns, CRC64NVME, item.size))
        if len(said) == PipeChannel.most_events:
            yield said
            said = []
    if said:
        yield said


def _of_big(item: FileItem) -> Iterator[list[Event]]:
    """Parts are told one by one: what saves megabytes after a crash is told at once."""
    planned = list(parts(item.size, PART_SIZE))
    yield [UploadBegun(item.number, UPLOAD_ID, PART_SIZE, with_checksum=True)]
    yield [PartsQueued(item.number, len(planned), item.size)]
    for part in planned:
        yield [PartDone(item.number, UPLOAD_ID, KnownPart(part.number, part.length, ETAG, CRC64NVME))]
    yield [FileDone(item.number, f"{ETAG}-{len(planned)}", item.size, item.mtime_ns, CRC64NVME, item.size, PART_SIZE)]
