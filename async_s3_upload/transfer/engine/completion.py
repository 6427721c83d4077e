"""The end of multipart uploads, by a worker or by the coordinator: completed, or aborted when of no more use.

An upload that failed for the moment stays open: the next start goes on with it. One whose file changed is
aborted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from async_s3_upload.text import printable
from async_s3_upload.transfer.ending import UploadReady
from async_s3_upload.transfer.engine.etag import joined_etag
from async_s3_upload.transfer.engine.requests import Requests
from async_s3_upload.transfer.engine.trouble import failure_of
from async_s3_upload.transfer.messages import FileDone, FileFailed, FileItem, UploadGone
from async_s3_upload.transfer.stores.retry import within
from async_s3_upload.transfer.stores.store import NoSuchUpload, ObjectInfo, Transient, UploadedPart

log = logging.getLogger(__name__)

ABORT_LIMIT_S = 5.0


class Completion:
    """Ends uploads, each file's with exactly one FileDone or FileFailed, after what became of the upload."""

    def __init__(self, requests: Requests, emit: Callable[[FileDone | FileFailed | UploadGone], None]) -> None:
        self._requests = requests
        self._emit = emit
        self._aborts: set[asyncio.Task[Exception | None]] = set()

    async def aborts_ended(self) -> None:
        """Wait for aborts that go on although who asked for them was cancelled; they end within seconds."""
        if self._aborts:
            await asyncio.wait(self._aborts)

    async def complete(self, bucket: str, item: FileItem, ready: UploadReady) -> None:
        """Complete an upload, or give it up where S3 refuses."""
        try:
            etag = await self._complete(bucket, item, ready)
        except Exception as error:
            await self.give_up(bucket, item, ready.upload_id, error)
        else:
            self._emit(
                FileDone(item.number, etag, ready.size, ready.mtime_ns, ready.crc64nvme, ready.sent, ready.part_size)
            )

    async def _complete(self, bucket: str, item: FileItem, ready: UploadReady) -> str:
        store = self._requests.store
        uploaded = [UploadedPart(part.number, part.etag, part.crc64nvme) for part in ready.parts]

        async def attempt(_: int) -> str:
            try:
                return await store.complete_multipart(bucket, item.key, ready.upload_id, uploaded, ready.crc64nvme)
            except NoSuchUpload:
                # an earlier attempt, or an earlier start, may have succeeded although the answer was lost
                found = await store.head(bucket, item.key)
                if found is None or not _is_joined(found, ready):
                    raise
                return found.etag

        return await self._requests.make(
            f"complete multipart upload of {printable(item.key)}", attempt, limit_s=self._requests.complete_limit_s
        )

    async def give_up(self, bucket: str, item: FileItem, upload_id: str, error: Exception) -> None:
        """Fail a file for this error; its upload is aborted, unless the next start can go on with it."""
        if isinstance(error, NoSuchUpload):
            self._emit(UploadGone(item.number, upload_id))
        elif not isinstance(error, Transient):
            await self.abort(bucket, item, upload_id)
        self._emit(failure_of(item, error))

    async def abort(self, bucket: str, item: FileItem, upload_id: str, *, must: bool = False) -> None:
        """Abort in a task of its own, which no cancellation reaches.

        What cannot be aborted is logged, and stays known. With ``must`` it would be forgotten with the success
        of its file: then trouble that may pass is raised as Transient, and the next start tries again.
        """
        task = asyncio.create_task(self._abort_quietly(bucket, item, upload_id))
        self._aborts.add(task)
        task.add_done_callback(self._aborts.discard)
        error = await asyncio.shield(task)
        if must and isinstance(error, Transient):
            raise error

    async def _abort_quietly(self, bucket: str, item: FileItem, upload_id: str) -> Exception | None:
        what = f"abort multipart upload of {printable(item.key)}"
        try:
            await within(
                ABORT_LIMIT_S,
                self._requests.make(what, lambda _: self._requests.store.abort_multipart(bucket, item.key, upload_id)),
            )
        except Exception as error:
            log.warning(
                "multipart upload %s of %s could not be aborted, the next start tries again: %s",
                upload_id,
                printable(item.key),
                error,
            )
            return error.with_traceback(None)
        self._emit(UploadGone(item.number, upload_id))
        return None


def _is_joined(found: ObjectInfo, ready: UploadReady) -> bool:
    """Tell whether an object is what the parts make; where nothing proves it, it is not: the file is sent again."""
    if found.size != ready.size:
        return False
    if found.crc64nvme and ready.crc64nvme:
        return found.crc64nvme == ready.crc64nvme
    return not found.opaque_etag and found.etag == joined_etag(part.etag for part in ready.parts)
