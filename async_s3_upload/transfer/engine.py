"""Streams files to a store through a bounded number of coroutines.

``concurrency`` consumers pull units of work: a small file, or one part of a big one. Parts of files that are
begun come before new files, so few multipart uploads are open at a time. A unit takes its memory from the
byte budget before it reads. A file that fails is an event, never an exception.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

from async_s3_upload.text import printable
from async_s3_upload.transfer import checksum, plan
from async_s3_upload.transfer.budget import ByteBudget
from async_s3_upload.transfer.messages import (
    BytesSent,
    Event,
    FailureKind,
    FileDone,
    FileFailed,
    FileItem,
    Limits,
)
from async_s3_upload.transfer.multipart import MultipartUpload
from async_s3_upload.transfer.retry import RetryPolicy, retrying
from async_s3_upload.transfer.source import FileState, SourceError, check_unchanged, read_range, state_of
from async_s3_upload.transfer.store import (
    AccessDenied,
    BadCredentials,
    NoSuchBucket,
    NoSuchUpload,
    ObjectStore,
    StoreError,
)

log = logging.getLogger(__name__)
T = TypeVar("T")

COMPLETE_LIMIT_S = 600.0
"""Joining parts takes a server minutes for big objects (AWS, CompleteMultipartUpload)."""
ABORT_LIMIT_S = 5.0

Unit = Callable[[], Awaitable[None]]


class Engine:
    """Sends the files given to ``submit`` while ``run`` runs; reports each through ``emit``."""

    def __init__(
        self,
        store: ObjectStore,
        limits: Limits,
        emit: Callable[[Event], None],
        retry: RetryPolicy | None = None,
    ) -> None:
        self._store = store
        self._limits = limits
        self._emit = emit
        self._retry = retry or RetryPolicy(attempts=limits.attempts)
        self._files: deque[Unit] = deque()
        self._parts: deque[Unit] = deque()
        self._available = asyncio.Semaphore(0)
        self._closed = False
        self._dropped = False
        self._uploads: set[MultipartUpload] = set()
        self._aborts: set[asyncio.Task[None]] = set()
        self.memory = ByteBudget(limits.memory_bytes)
        self.in_flight_peak = 0
        self._in_flight = 0

    def submit(self, bucket: str, item: FileItem) -> None:
        """Queue one file."""
        self._files.append(lambda: self._send_file(bucket, item))
        self._available.release()

    def close(self) -> None:
        """Take no more files: ``run`` returns once the queued work is done."""
        self._closed = True
        for _ in range(self._limits.concurrency):
            self._available.release()

    def drop_queued(self) -> None:
        """Forget what is not begun; parts of begun files stay away too, so these files do not complete."""
        self._files.clear()
        self._parts.clear()
        self._dropped = True
        self.close()

    async def run(self) -> None:
        """Work until closed. When cancelled, begun multipart uploads are aborted first, within seconds."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._limits.concurrency):
                    group.create_task(self._consume())
        finally:
            await self._abort_all()

    async def _consume(self) -> None:
        while True:
            await self._available.acquire()
            queue = self._parts or self._files
            if queue:
                await queue.popleft()()
            elif self._closed:
                return

    async def _request(self, what: str, size: int, call: Callable[[int], Awaitable[T]], limit_s: float = 0.0) -> T:
        """One request with its retries and its time limit."""
        limits = self._limits
        self._in_flight += 1
        self.in_flight_peak = max(self.in_flight_peak, self._in_flight)
        try:
            return await retrying(
                self._retry,
                call,
                lambda number, error: log.warning("%s: attempt %d failed, trying again: %s", what, number, str(error)),
                limit_s=max(limit_s, limits.request_base_s + size / limits.min_rate),
            )
        finally:
            self._in_flight -= 1

    async def _send_file(self, bucket: str, item: FileItem) -> None:
        try:
            # a size that differs from the plan is no trouble: nothing is read yet
            state = state_of(item.path)
            if plan.is_multipart(state.size):
                await self._begin_multipart(bucket, item, state)
            else:
                self._emit(await self._put(bucket, item, state))
        except Exception as error:
            self._fail(item, error)

    async def _put(self, bucket: str, item: FileItem, state: FileState) -> FileDone:
        async with self.memory.hold(state.size):
            body = await read_range(item.path, state, 0, state.size)
            crc = checksum.as_header(checksum.crc_of(body)) if self._with_checksum else None
            etag = await self._request(
                f"PUT {printable(item.key)}",
                state.size,
                lambda _: self._store.put_object(bucket, item.key, body, crc),
            )
        check_unchanged(item.path, state)
        return FileDone(item.number, etag, state.size, state.mtime_ns, crc)

    @property
    def _with_checksum(self) -> bool:
        return self._limits.checksum == "crc64nvme"

    async def _begin_multipart(self, bucket: str, item: FileItem, state: FileState) -> None:
        parts = list(plan.parts(state.size))
        upload_id = await self._request(
            f"begin multipart upload of {printable(item.key)}",
            0,
            lambda _: self._store.create_multipart(bucket, item.key, checksum=self._with_checksum),
        )
        upload = MultipartUpload(bucket, item, state, upload_id, pending=len(parts))
        self._uploads.add(upload)
        if self._dropped:
            return
        for part in parts:
            self._parts.append(lambda part=part: self._send_part(upload, part))  # type: ignore[misc]
            self._available.release()

    async def _send_part(self, upload: MultipartUpload, part: plan.Part) -> None:
        if upload.error is None:
            try:
                await self._put_part(upload, part)
            except Exception as error:
                upload.error = error
        upload.pending -= 1
        if upload.pending == 0:
            await self._finish(upload)

    async def _put_part(self, upload: MultipartUpload, part: plan.Part) -> None:
        item = upload.item
        async with self.memory.hold(part.length):
            body = await read_range(item.path, upload.state, part.offset, part.length)
            crc = checksum.crc_of(body) if self._with_checksum else None
            header = None if crc is None else checksum.as_header(crc)
            etag = await self._request(
                f"PUT part {part.number} of {printable(item.key)}",
                part.length,
                lambda _: self._store.upload_part(upload.bucket, item.key, upload.upload_id, part.number, body, header),
            )
        upload.add(part, etag, crc)
        self._emit(BytesSent(part.length))

    async def _finish(self, upload: MultipartUpload) -> None:
        item = upload.item
        try:
            if upload.error is not None:
                raise upload.error
            check_unchanged(item.path, upload.state)
            crc = upload.crc_header()
            etag = await self._complete(upload, crc)
        except Exception as error:
            upload.error = None  # it holds a part's body through its traceback, and the upload through the same
            await self._abort(upload)
            self._fail(item, error)
        else:
            self._uploads.discard(upload)
            self._emit(FileDone(item.number, etag, upload.state.size, upload.state.mtime_ns, crc))

    async def _complete(self, upload: MultipartUpload, crc: str | None) -> str:
        item = upload.item

        async def attempt(number: int) -> str:
            try:
                return await self._store.complete_multipart(
                    upload.bucket, item.key, upload.upload_id, upload.uploaded_parts(), crc
                )
            except NoSuchUpload:
                # an earlier attempt may have succeeded although its answer was lost
                found = await self._store.head(upload.bucket, item.key) if number > 1 else None
                if found is None or found.size != upload.state.size:
                    raise
                return found.etag

        return await self._request(
            f"complete multipart upload of {printable(item.key)}", 0, attempt, limit_s=COMPLETE_LIMIT_S
        )

    async def _abort(self, upload: MultipartUpload) -> None:
        """Abort; when this is cancelled the abort goes on, and ``run`` waits for its end."""
        await asyncio.shield(self._begin_abort(upload))

    def _begin_abort(self, upload: MultipartUpload) -> asyncio.Task[None]:
        """Abort in a task of its own, which no cancellation reaches."""
        self._uploads.discard(upload)
        task = asyncio.create_task(self._abort_quietly(upload))
        self._aborts.add(task)
        task.add_done_callback(self._aborts.discard)
        return task

    async def _abort_quietly(self, upload: MultipartUpload) -> None:
        try:
            async with asyncio.timeout(ABORT_LIMIT_S):
                await retrying(
                    self._retry,
                    lambda _: self._store.abort_multipart(upload.bucket, upload.item.key, upload.upload_id),
                    lambda *_: None,
                    limit_s=ABORT_LIMIT_S,
                )
        except Exception as error:
            log.warning(
                "multipart upload %s of %s could not be aborted, its parts stay in the bucket: %s",
                upload.upload_id,
                printable(upload.item.key),
                str(error) or "no answer",
            )

    async def _abort_all(self) -> None:
        for upload in list(self._uploads):
            self._begin_abort(upload)
        if self._aborts:
            await asyncio.wait(self._aborts)

    def _fail(self, item: FileItem, error: Exception) -> None:
        expected = isinstance(error, (StoreError, SourceError, plan.Unplannable))
        text = str(error) if expected else f"unexpected {type(error).__name__}: {error}"
        log.log(logging.DEBUG if expected else logging.ERROR, "%s failed", printable(item.path), exc_info=error)
        self._emit(FileFailed(item.number, _kind_of(error), text))


def _kind_of(error: Exception) -> FailureKind:
    if isinstance(error, AccessDenied):
        return "access_denied"
    if isinstance(error, NoSuchBucket):
        return "no_such_bucket"
    if isinstance(error, BadCredentials):
        return "bad_credentials"
    return "request" if isinstance(error, StoreError) else "file"
