"""A worker's side of lending: parts of its uploads that others send, and parts that it sends for others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from async_s3_upload.transfer import parts
from async_s3_upload.transfer.engine.source import FileState, SourceError, state_of
from async_s3_upload.transfer.engine.trouble import made_again
from async_s3_upload.transfer.engine.upload import MultipartUpload
from async_s3_upload.transfer.engine.workqueue import PartUnit, WorkQueue
from async_s3_upload.transfer.lending import PartsBack, PartShare


class Lender:
    """Makes shares of parts that are queued, and takes what became of them. Parts come from and go to ``queue``."""

    def __init__(self, queue: WorkQueue) -> None:
        self._queue = queue
        self._lent: dict[int, MultipartUpload] = {}

    def lend(self, units: Sequence[PartUnit]) -> tuple[PartShare, ...]:
        """Return parts that were queued as shares for other workers, one for each upload."""
        uploads: dict[MultipartUpload, list[int]] = {}
        for unit in units:
            if unit.part is not None:
                uploads.setdefault(unit.upload, []).append(unit.part.number)
        for upload, numbers in uploads.items():
            if not upload.borrowed:
                upload.lent.update(numbers)
                self._lent[upload.item.number] = upload
        return tuple(
            PartShare(
                upload.bucket,
                upload.item,
                upload.upload_id,
                upload.part_size,
                upload.with_checksum,
                tuple(numbers),
            )
            for upload, numbers in uploads.items()
        )

    def borrow(self, share: PartShare) -> None:
        """Queue parts of an upload that another worker ends. Who is on another host may see another device number."""
        item = share.item
        error, device = None, 0
        try:
            device = state_of(item.path).device
        except SourceError as trouble:
            error = trouble.with_traceback(None)
        state = FileState(item.size, item.mtime_ns, item.inode, device)
        upload = MultipartUpload(
            share.bucket, item, state, share.upload_id, share.part_size, share.with_checksum, borrowed=True
        )
        upload.error = error
        for number in share.parts:
            self._queue.put(PartUnit(upload, parts.part(item.size, share.part_size, number)))

    def parts_back(self, message: PartsBack) -> None:
        """Take what became of parts that were lent; each counts once. After the last one the upload is ended."""
        upload = self._lent.get(message.number)
        if upload is None:
            return
        for accepted in message.accepted:
            if _comes_back(upload, accepted.number):
                upload.accepted[accepted.number] = accepted
                upload.sent += accepted.size
                upload.pending -= 1
        for failed in message.failed:
            if _comes_back(upload, failed.part):
                upload.error = upload.error or made_again(failed.kind, failed.error)
                upload.pending -= 1
        for number in message.again:
            if _comes_back(upload, number):
                self._queue.put(PartUnit(upload, parts.part(upload.state.size, upload.part_size, number)))
        if not upload.lent:
            del self._lent[message.number]
        if upload.pending == 0:
            self._queue.put(PartUnit(upload, None))

    def forget(self, gone: Callable[[int], bool]) -> None:
        """Forget what was lent of the files with these numbers."""
        for number in [number for number in self._lent if gone(number)]:
            del self._lent[number]


def _comes_back(upload: MultipartUpload, number: int) -> bool:
    if number not in upload.lent:
        return False
    upload.lent.remove(number)
    return True
