"""Streams files to a store, or compares them with it, through a bounded number of coroutines.

``concurrency`` consumers pull units of work: a small file, or one part of a big one. Parts of files that are
begun come before new files, so few multipart uploads are open at a time. A unit takes its memory from the
byte budget before it reads. A file that fails is an event, never an exception.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from async_s3_upload.text import printable
from async_s3_upload.transfer import parts
from async_s3_upload.transfer.activity import Counts
from async_s3_upload.transfer.ending import Completes
from async_s3_upload.transfer.engine import checksum
from async_s3_upload.transfer.engine.budget import ByteBudget
from async_s3_upload.transfer.engine.buffers import Buffers
from async_s3_upload.transfer.engine.checksum import Crc
from async_s3_upload.transfer.engine.compare import Comparer
from async_s3_upload.transfer.engine.file_body import Bodies
from async_s3_upload.transfer.engine.lender import Lender
from async_s3_upload.transfer.engine.multipart import MultipartSender
from async_s3_upload.transfer.engine.pacer import Pacer
from async_s3_upload.transfer.engine.requests import Requests
from async_s3_upload.transfer.engine.source import (
    CHANGED_SINCE_SCAN,
    THREAD_FROM,
    ChangedError,
    FileState,
    SmallFiles,
    check_unchanged,
    state_of,
)
from async_s3_upload.transfer.engine.trouble import failure_of
from async_s3_upload.transfer.engine.widener import Widener
from async_s3_upload.transfer.engine.workqueue import FileUnit, PartUnit, WorkQueue
from async_s3_upload.transfer.lending import PartsBack, PartShare, Returned
from async_s3_upload.transfer.messages import (
    Event,
    FileDone,
    FileFailed,
    FileItem,
    Limits,
    ObjectSettings,
)
from async_s3_upload.transfer.stores.retry import RetryPolicy
from async_s3_upload.transfer.stores.store import (
    Body,
    ObjectStore,
)

WIDEN_EVERY_S = 0.15
WIDEN_LOOKS = 3
"""So often within that time it has to be seen that places in flight are what is lacking."""


class Engine:
    """Sends the files given to ``submit`` while ``run`` runs; reports each through ``emit``."""

    def __init__(
        self,
        store: ObjectStore,
        limits: Limits,
        emit: Callable[[Event], None],
        retry: RetryPolicy | None = None,
        pacer: Pacer | None = None,
        completes: Completes = "worker",
    ) -> None:
        self._store = store
        self._limits = limits
        self._emit = emit
        self._consumers = limits.concurrency
        self._weight_done = 0
        self._at_close: list[Callable[[], object]] = []
        self._running: dict[asyncio.Task[None], int] = {}
        self._cut_off: dict[asyncio.Task[None], asyncio.Future[None]] = {}
        self.memory = ByteBudget(limits.memory_bytes)
        self.buffers = Buffers(self.memory, limits.memory_bytes)
        self._bodies = Bodies(self.memory, self.buffers, streams=store.streams)
        self._small_files = SmallFiles()
        self._queue = WorkQueue(self.memory)
        self._lender = Lender(self._queue)
        self.requests = Requests(store, limits, retry, pacer)
        self._comparer = Comparer(self.requests, self.buffers)
        self._multipart = MultipartSender(
            self.requests, self._bodies, emit, self._queue.put, limits.part_size, completes
        )

    def submit(self, bucket: str, item: FileItem, settings: ObjectSettings) -> None:
        """Queue one file."""
        self._queue.put(FileUnit(bucket, item, settings))

    @property
    def starving(self) -> bool:
        """Whether nothing is queued: consumers end what they do, and then have nothing to do."""
        return not self._queue

    @property
    def counts(self) -> Counts:
        """What it does at this moment."""
        return Counts(self.requests.gate.in_flight, self.requests.retries)

    def give_back(self) -> Returned:
        """Forget about half of what is not begun, nor will be at once, and return it."""
        units = self._queue.take_back(self._consumers - len(self._running))
        files = tuple(unit.item.number for unit in units if isinstance(unit, FileUnit))
        return Returned(files, self._lender.lend([unit for unit in units if isinstance(unit, PartUnit)]))

    def borrow(self, share: PartShare) -> None:
        """Queue parts of a file that another worker has begun and will complete."""
        self._lender.borrow(share)

    def parts_back(self, message: PartsBack) -> None:
        """Take what became of parts that were given back."""
        self._lender.parts_back(message)

    def close(self) -> None:
        """Take no more files: ``run`` returns once the queued work is done."""
        for end in self._at_close:
            end()
        self._queue.close(self._consumers)

    def drop_queued(self) -> None:
        """Forget what is not begun. Uploads whose parts are dropped stay open: the next start goes on with them."""
        self._queue.drop()
        self.close()

    async def cut_off(self, numbers: range) -> None:
        """Forget the files with these numbers and cancel what is on its way of them; return once it ended."""
        self._queue.forget(numbers.__contains__)
        self._lender.forget(numbers.__contains__)
        loop = asyncio.get_running_loop()
        ends = []
        for task, number in self._running.items():
            if number in numbers and task not in self._cut_off:
                self._cut_off[task] = loop.create_future()
                ends.append(self._cut_off[task])
                task.cancel()
        await asyncio.gather(*ends)

    async def run(self) -> None:
        """Work until closed."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._consumers):
                    group.create_task(self._consume())
                if self._limits.most_at_a_time > self._consumers:
                    widening = group.create_task(self._widen(group))
                    self._at_close.append(widening.cancel)
        finally:
            await self._multipart.aborts_ended()

    async def _widen(self, group: asyncio.TaskGroup) -> None:
        """Have more consumers where more requests in flight bring more."""
        widener = Widener(self._consumers, self._limits.most_at_a_time)
        clock = asyncio.get_running_loop().time
        began, cpu, done = clock(), time.process_time(), self._weight_done
        full = True
        while True:
            for _ in range(WIDEN_LOOKS):
                await asyncio.sleep(WIDEN_EVERY_S / WIDEN_LOOKS)
                full = full and self.requests.gate.full and bool(self._queue)
            now = clock()
            rate, share = (self._weight_done - done) / (now - began), (time.process_time() - cpu) / (now - began)
            number = widener.observe(rate, share, full=full)
            self.requests.gate.widen(number)
            for _ in range(self._consumers, number):
                group.create_task(self._consume())
            self._consumers = max(self._consumers, number)
            began, cpu, done, full = now, time.process_time(), self._weight_done, True

    async def _consume(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        while (unit := await self._queue.get()) is not None:
            self._running[task] = unit.item.number
            try:
                if isinstance(unit, FileUnit):
                    await self._send_file(unit.bucket, unit.item, unit.settings)
                else:
                    await self._multipart.send_part(unit)
            except asyncio.CancelledError:
                if task not in self._cut_off or task.uncancel():  # else only this file's work is to end
                    raise
            finally:
                self._weight_done += unit.weight
                del self._running[task]
                if task in self._cut_off:
                    self._cut_off.pop(task).set_result(None)

    @property
    def _with_checksum(self) -> bool:
        return self._limits.checksum == "crc64nvme"

    async def _send_file(self, bucket: str, item: FileItem, settings: ObjectSettings) -> None:
        try:
            if _is_small(item):
                self._emit(await self._put_small(bucket, item, settings))
                return
            state = state_of(item.path)
            if (state.size, state.mtime_ns, state.inode) != (item.size, item.mtime_ns, item.inode):
                raise ChangedError(CHANGED_SINCE_SCAN)
            if item.mode != "send" and await self._settled_by_comparing(bucket, item, state):
                return
            if parts.is_multipart(state.size):
                await self._multipart.begin(bucket, item, state, settings, with_checksum=self._with_checksum)
            else:
                await self._multipart.forget(bucket, item)
                async with self._bodies.lend(item.path, state, 0, state.size) as (body, crc):
                    done = await self._put(bucket, item, state, body, crc, settings)
                self._emit(done)
        except Exception as error:
            self._emit(failure_of(item, error))

    async def _put_small(self, bucket: str, item: FileItem, settings: ObjectSettings) -> FileDone:
        async with self.memory.hold(item.size):
            found = await self._small_files.read(item.path, (item.size, item.mtime_ns, item.inode))
            return await self._put(bucket, item, found.state, found.body, found.crc, settings)

    async def _put(
        self, bucket: str, item: FileItem, state: FileState, body: Body, crc: Crc, settings: ObjectSettings
    ) -> FileDone:
        header = checksum.as_header(crc) if self._with_checksum else None
        etag = await self.requests.make(
            f"PUT {printable(item.key)}",
            lambda _: self._store.put_object(bucket, item.key, body, header, settings),
            size=state.size,
        )
        check_unchanged(item.path, state)
        return FileDone(item.number, etag, state.size, state.mtime_ns, header, state.size)

    async def _settled_by_comparing(self, bucket: str, item: FileItem, state: FileState) -> bool:
        """Compare with the object that may be there; returns whether the file needs nothing more."""
        found = await self._comparer.compare(bucket, item, state)
        if found.verdict == "same":
            if item.mode != "compare":
                await self._multipart.forget(bucket, item)
            self._emit(
                FileDone(item.number, found.etag, state.size, state.mtime_ns, found.crc64nvme, 0, found.part_size)
            )
            return True
        if item.mode == "compare":
            self._emit(FileFailed(item.number, found.verdict, found.detail))
        return item.mode == "compare"


def _is_small(item: FileItem) -> bool:
    """Tell whether a file is sent in one go, and nothing has to be looked at before."""
    plain = item.mode == "send" and item.known is None and not item.stray
    return plain and item.size <= THREAD_FROM and not parts.is_multipart(item.size)
