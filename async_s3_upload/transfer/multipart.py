"""The state of one multipart upload while its parts are sent."""

from __future__ import annotations

from dataclasses import dataclass, field

from async_s3_upload.transfer import checksum
from async_s3_upload.transfer.messages import FileItem
from async_s3_upload.transfer.plan import Part
from async_s3_upload.transfer.source import FileState
from async_s3_upload.transfer.store import UploadedPart


@dataclass(slots=True, eq=False)
class MultipartUpload:
    """One file on its way: ``pending`` parts are neither accepted nor given up; ``error`` is the first trouble."""

    bucket: str
    item: FileItem
    state: FileState
    upload_id: str
    pending: int
    error: Exception | None = None
    _parts: dict[int, tuple[Part, str, int | None]] = field(default_factory=dict)

    def add(self, part: Part, etag: str, crc: int | None) -> None:
        """Note an accepted part, its ETag and the CRC64NVME of its bytes (None: no checksums)."""
        self._parts[part.number] = (part, etag, crc)

    def uploaded_parts(self) -> list[UploadedPart]:
        """Return the accepted parts in ascending order."""
        return [
            UploadedPart(number, etag, None if crc is None else checksum.as_header(crc))
            for number, (_, etag, crc) in sorted(self._parts.items())
        ]

    def crc_header(self) -> str | None:
        """Return the checksum of the whole file, combined from those of its parts."""
        sums = [(crc, part.length) for _, (part, _, crc) in sorted(self._parts.items()) if crc is not None]
        return checksum.as_header(checksum.combined(sums)) if sums else None
