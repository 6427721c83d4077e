"""One multipart upload while its parts are sent."""

from __future__ import annotations

from dataclasses import dataclass, field

from async_s3_upload.transfer.ending import UploadReady
from async_s3_upload.transfer.engine import checksum
from async_s3_upload.transfer.engine.source import FileState
from async_s3_upload.transfer.messages import FileItem, KnownPart


@dataclass(slots=True, eq=False)
class MultipartUpload:
    """One upload while its parts are sent.

    ``pending`` parts are neither accepted nor given up, ``lent`` are those of them that were given to other workers;
    ``error`` is the first trouble; ``sent`` counts bytes. One that is ``borrowed`` belongs to another worker, which
    ends it.
    """

    bucket: str
    item: FileItem
    state: FileState
    upload_id: str
    part_size: int
    with_checksum: bool
    borrowed: bool = False
    pending: int = 0
    sent: int = 0
    error: Exception | None = None
    accepted: dict[int, KnownPart] = field(default_factory=dict)
    lent: set[int] = field(default_factory=set)

    def _crc_header(self) -> str | None:
        """Return the checksum of the whole file, combined from those of its parts."""
        if not self.with_checksum:
            return None
        sums = [
            (checksum.from_header(part.crc64nvme), part.size)
            for _, part in sorted(self.accepted.items())
            if part.crc64nvme is not None
        ]
        return checksum.as_header(checksum.combined(sums))

    def ready(self) -> UploadReady:
        """Return what its completion takes."""
        return UploadReady(
            self.item.number,
            self.upload_id,
            self.state.size,
            self.state.mtime_ns,
            self.part_size,
            self._crc_header(),
            tuple(part for _, part in sorted(self.accepted.items())),
            self.sent,
        )
