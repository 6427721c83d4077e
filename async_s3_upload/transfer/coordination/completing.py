"""The coordinator completes uploads itself, where its workers do not: it knows whose each one is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace

from async_s3_upload.transfer.activity import Activity, Counts
from async_s3_upload.transfer.ending import UploadEnd, UploadReady
from async_s3_upload.transfer.engine.completion import Completion
from async_s3_upload.transfer.engine.requests import Requests
from async_s3_upload.transfer.engine.trouble import failure_of, made_again
from async_s3_upload.transfer.messages import AwsAccess, FileDone, FileFailed, FileItem, Limits, UploadGone
from async_s3_upload.transfer.stores.preflight import open_s3
from async_s3_upload.transfer.stores.retry import RetryPolicy
from async_s3_upload.transfer.stores.store import ObjectStore

AT_ONCE = 16
"""Completions in flight: a server joins the parts of a big file for minutes, and most of them wait for it."""

Outcome = FileDone | FileFailed | UploadGone


class Completer:
    """Ends uploads whose parts workers have sent; what comes of it is in ``outcomes``, each file once.

    Numbers are those of the pipe. S3 is opened when the first upload has to be ended. What is under way when it
    stops stays as it is: the journal knows the upload, and the next start goes on with it.
    """

    def __init__(
        self,
        limits: Limits,
        access: AwsAccess | None = None,
        open_store: Callable[[], AbstractAsyncContextManager[ObjectStore]] | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        """Take ``access`` for the way to S3, or ``open_store`` whose context is a store."""
        self._limits = replace(limits, concurrency=AT_ONCE)
        self._open_store = open_store or (lambda: open_s3(access or AwsAccess(), connections=AT_ONCE))
        self._retry = retry
        self._opening = asyncio.Lock()
        self._opened = AsyncExitStack()
        self._requests: Requests | None = None
        self._completion: Completion | None = None
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._outcomes: list[Outcome] = []
        self.on_outcome: Callable[[], None] = lambda: None
        """Called when there may be something in ``outcomes``."""
        self.on_halved: Callable[[], None] = lambda: None
        """Called when S3 refused a request of its own, and it has halved what it does at a time."""

    def take(self, bucket: str, item: FileItem, end: UploadEnd) -> None:
        """End an upload: complete it, or abort one that failed for good."""
        number = end.number
        if number not in self._tasks:
            self._tasks[number] = asyncio.create_task(self._end(bucket, replace(item, number=number), end))
            self._tasks[number].add_done_callback(lambda _: self._ended(number))

    def outcomes(self) -> list[Outcome]:
        """Return what came of it since the last call, in order."""
        found = list(self._outcomes)
        self._outcomes.clear()
        return found

    def slow_down(self) -> None:
        """Do less at a time: S3 refused requests of workers."""
        if self._requests is not None:
            self._requests.gate.ease()

    def cut_off(self, numbers: range) -> None:
        """Cancel what is under way of the files with these numbers."""
        for number, task in self._tasks.items():
            if number in numbers:
                task.cancel()

    async def drain(self, grace_s: float) -> None:
        """Let what is under way end for ``grace_s`` seconds, and cancel the rest."""
        tasks = list(self._tasks.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._completion is not None:
            await self._completion.aborts_ended()

    async def close(self) -> None:
        """End everything and close the way to S3."""
        await self.drain(0.0)
        self._requests = self._completion = None
        await self._opened.aclose()

    def tell_counts(self, activity: Activity) -> None:
        """Count its requests in ``activity``, as those of a worker."""
        if self._requests is not None:
            activity.told(self, Counts(self._requests.gate.in_flight, self._requests.retries))

    async def _end(self, bucket: str, item: FileItem, end: UploadEnd) -> None:
        try:
            completion = await self._ready()
        except Exception as error:  # no credentials: the upload stays open
            self._outcomes.append(failure_of(item, error))
            return
        if isinstance(end, UploadReady):
            await completion.complete(bucket, item, end)
        else:
            await completion.give_up(bucket, item, end.upload_id, made_again(end.kind, end.error))

    async def _ready(self) -> Completion:
        async with self._opening:
            if self._completion is None:
                store = await self._opened.enter_async_context(self._open_store())
                self._requests = Requests(store, self._limits, self._retry)
                self._requests.on_halved = self.on_halved
                self._completion = Completion(self._requests, self._outcomes.append)
            return self._completion

    def _ended(self, number: int) -> None:
        del self._tasks[number]
        self.on_outcome()
