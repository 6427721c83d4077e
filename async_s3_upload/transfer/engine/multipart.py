"""Multipart uploads: begun, gone on with after a restart, and ended here or by the coordinator."""

from __future__ import annotations

import logging
from collections.abc import Callable

from async_s3_upload.text import printable
from async_s3_upload.transfer import parts
from async_s3_upload.transfer.ending import Completes, UploadFailed
from async_s3_upload.transfer.engine import checksum
from async_s3_upload.transfer.engine.completion import Completion
from async_s3_upload.transfer.engine.file_body import Bodies
from async_s3_upload.transfer.engine.requests import Requests
from async_s3_upload.transfer.engine.source import FileState, check_unchanged
from async_s3_upload.transfer.engine.trouble import told
from async_s3_upload.transfer.engine.upload import MultipartUpload
from async_s3_upload.transfer.engine.workqueue import PartUnit
from async_s3_upload.transfer.lending import PartFailed, PartsQueued
from async_s3_upload.transfer.messages import (
    Event,
    FileItem,
    KnownPart,
    KnownUpload,
    ObjectSettings,
    PartDone,
    UploadBegun,
    UploadGone,
)
from async_s3_upload.transfer.stores.store import AccessDenied, NoSuchUpload

log = logging.getLogger(__name__)


class MultipartSender:
    """Sends big files part by part. ``queue`` takes the parts; each comes back through ``send_part``.

    Where the coordinator completes, an upload of which all parts are settled is emitted as UploadReady or
    UploadFailed, and forgotten: by then another worker may have its file. Nothing is aborted then but what was there
    before an upload of the file is begun.
    """

    def __init__(
        self,
        requests: Requests,
        bodies: Bodies,
        emit: Callable[[Event], None],
        queue: Callable[[PartUnit], None],
        part_size: int = 0,
        completes: Completes = "worker",
    ) -> None:
        self._requests = requests
        self._bodies = bodies
        self._part_size = part_size
        self._emit = emit
        self._queue = queue
        self._completes = completes
        self._completion = Completion(requests, emit)

    async def aborts_ended(self) -> None:
        """Wait for aborts that go on although who asked for them was cancelled; they end within seconds."""
        await self._completion.aborts_ended()

    async def begin(
        self, bucket: str, item: FileItem, state: FileState, settings: ObjectSettings, *, with_checksum: bool
    ) -> None:
        """Begin the upload, or go on with the one that is known, and queue the parts that are missing."""
        upload = await self._known(bucket, item, state, with_checksum=with_checksum)
        if upload is None:
            upload = await self._create(bucket, item, state, settings, with_checksum=with_checksum)
        missing = [part for part in parts.parts(state.size, upload.part_size) if part.number not in upload.accepted]
        upload.pending = len(missing)
        if not missing:
            await self._finish(upload)
        for part in missing:
            self._queue(PartUnit(upload, part))
        if len(missing) > 1:
            self._emit(PartsQueued(item.number, len(missing), sum(part.length for part in missing)))

    async def _known(
        self, bucket: str, item: FileItem, state: FileState, *, with_checksum: bool
    ) -> MultipartUpload | None:
        """Return the known upload with the parts that both S3 and the journal have, alike in size and ETag."""
        known = item.known
        if known is None:
            return None
        if (known.size, known.mtime_ns, known.inode, known.with_checksum) != (
            state.size,
            state.mtime_ns,
            state.inode,
            with_checksum,
        ):
            await self._completion.abort(bucket, item, known.upload_id, must=True)
            return None
        upload = MultipartUpload(bucket, item, state, known.upload_id, known.part_size, known.with_checksum)
        try:
            listed = await self._requests.make(
                f"list parts of {printable(item.key)}",
                lambda _: self._requests.store.list_parts(bucket, item.key, known.upload_id),
            )
        except NoSuchUpload:
            self._emit(UploadGone(item.number, known.upload_id))
            return self._completed_before(upload, known)
        there = {(part.number, part.size, part.etag) for part in listed}
        upload.accepted = {part.number: part for part in known.parts if (part.number, part.size, part.etag) in there}
        log.info("%s: going on with its upload, %d parts are there", printable(item.key), len(upload.accepted))
        return upload

    def _completed_before(self, upload: MultipartUpload, known: KnownUpload) -> MultipartUpload | None:
        """All parts were accepted and the upload is gone: it may have been completed; who completes finds out."""
        if sum(part.size for part in known.parts) != upload.state.size:
            return None
        upload.accepted = {part.number: part for part in known.parts}
        return upload

    async def _create(
        self, bucket: str, item: FileItem, state: FileState, settings: ObjectSettings, *, with_checksum: bool
    ) -> MultipartUpload:
        if item.stray or item.known is not None:
            await self.abort_others(bucket, item, keep=None)
        attempts = 0

        async def create(number: int) -> str:
            nonlocal attempts
            attempts = number
            return await self._requests.store.create_multipart(
                bucket, item.key, checksum=with_checksum, settings=settings
            )

        upload_id = await self._requests.make(f"begin multipart upload of {printable(item.key)}", create)
        step = parts.part_size(state.size, self._part_size)
        if attempts > 1:
            # an attempt whose answer was lost may have begun another upload; as long as this one is not
            # remembered, the next start looks for both
            await self.abort_others(bucket, item, keep=upload_id)
        self._emit(UploadBegun(item.number, upload_id, step, with_checksum))
        return MultipartUpload(bucket, item, state, upload_id, step, with_checksum)

    async def send_part(self, unit: PartUnit) -> None:
        """Send one part, unless another one failed; after the last one the upload is ended."""
        upload, part = unit.upload, unit.part
        if part is not None:
            if upload.error is None:
                try:
                    await self._put_part(upload, part)
                except Exception as error:
                    # without traceback and context: they hold the frames above, and with them the part's body
                    upload.error = error.with_traceback(None)
                    error.__context__ = None
            if upload.borrowed:
                if upload.error is not None:
                    self._emit(PartFailed(upload.item.number, part.number, *told(upload.error)))
                return
            upload.pending -= 1
        if upload.pending == 0:
            await self._finish(upload)

    async def _put_part(self, upload: MultipartUpload, part: parts.Part) -> None:
        item = upload.item
        async with self._bodies.lend(item.path, upload.state, part.offset, part.length) as (body, found):
            crc = checksum.as_header(found) if upload.with_checksum else None
            etag = await self._requests.make(
                f"PUT part {part.number} of {printable(item.key)}",
                lambda _: self._requests.store.upload_part(
                    upload.bucket, item.key, upload.upload_id, part.number, body, crc
                ),
                size=part.length,
            )
        accepted = KnownPart(part.number, part.length, etag, crc)
        upload.accepted[part.number] = accepted
        upload.sent += part.length
        self._emit(PartDone(item.number, upload.upload_id, accepted))

    async def _finish(self, upload: MultipartUpload) -> None:
        item = upload.item
        try:
            if upload.error is not None:
                raise upload.error
            check_unchanged(item.path, upload.state)
            ready = upload.ready()
        except Exception as error:
            if self._completes == "coordinator":
                self._emit(UploadFailed(item.number, upload.upload_id, *told(error)))
            else:
                await self._completion.give_up(upload.bucket, item, upload.upload_id, error)
            return
        if self._completes == "coordinator":
            self._emit(ready)
        else:
            await self._completion.complete(upload.bucket, item, ready)

    async def forget(self, bucket: str, item: FileItem) -> None:
        """Abort what earlier starts began of a file that needs no multipart upload any more."""
        if item.known is not None:
            await self._completion.abort(bucket, item, item.known.upload_id, must=True)
        if item.stray or item.known is not None:  # a start may have died between aborting it and telling of the next
            await self.abort_others(bucket, item, keep=None)

    async def abort_others(self, bucket: str, item: FileItem, keep: str | None) -> None:
        """Abort the uploads of exactly this key, but for ``keep``: their ids were lost with an answer or a kill."""

        async def find(_: int) -> list[str]:
            uploads = self._requests.store.list_uploads(bucket, item.key)
            return [upload.upload_id async for upload in uploads if upload.key == item.key]

        try:
            found = await self._requests.make(f"list uploads of {printable(item.key)}", find)
        except AccessDenied as error:
            log.warning("%s: uploads that were begun before cannot be looked for: %s", printable(item.key), error)
            return
        for upload_id in found:
            if upload_id != keep:
                await self._completion.abort(bucket, item, upload_id, must=True)
