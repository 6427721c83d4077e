"""One multipart upload while its parts are sent."""

from __future__ import annotations

from dataclasses import dataclass, field

from async_s3_upload.transfer.engine import checksum
from async_s3_upload.transfer.engine.etag import joined_etag
from async_s3_upload.transfer.engine.source import FileState
from async_s3_upload.transfer.messages import FileItem, KnownPart
from async_s3_upload.transfer.stores.store import ObjectInfo, UploadedPart


@dataclass(slots=True, eq=False)
class MultipartUpload:
    """One upload while its parts are sent.

    ``pending`` parts are neither accepted nor given up, ``lent`` are those of them that were given to other workers;
    ``error`` is the first trouble; ``sent`` counts bytes. One that is ``borrowed`` belongs to another worker, which
    completes it.
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

    def crc_header(self) -> str | None:
        """Return the checksum of the whole file, combined from those of its parts."""
        if not self.with_checksum:
            return None
        sums = [
            (checksum.from_header(part.crc64nvme), part.size)
            for _, part in sorted(self.accepted.items())
            if part.crc64nvme is not None
        ]
        return checksum.as_header(checksum.combined(sums))

    def uploaded_parts(self) -> list[UploadedPart]:
        """Return the accepted parts in ascending order."""
        return [UploadedPart(number, part.etag, part.crc64nvme) for number, part in sorted(self.accepted.items())]

    def is_joined(self, found: ObjectInfo, crc: str | None) -> bool:
        """Tell whether an object is what the parts make; where nothing proves it, it is not: the file is sent again."""
        if found.size != self.state.size:
            return False
        if found.crc64nvme and crc:
            return found.crc64nvme == crc
        return not found.opaque_etag and found.etag == joined_etag(part.etag for part in self.uploaded_parts())
