"""The one seam at the network: ``ObjectStore``, and the errors that cross it.

Only implementations see errors of the libraries below; everybody else sees the classes here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from async_s3_upload.transfer.engine.file_body import FileBody
from async_s3_upload.transfer.messages import ObjectSettings

Body = bytes | bytearray | memoryview | FileBody
"""Bytes to send; a FileBody is for stores that ``stream``.

They must stay as they are until the call returns; after one that failed or was cancelled the buffer must not be used
again, since a connection may still hold it."""


class StoreError(Exception):
    """A request that did not succeed; the text is a sentence for people and holds no secret."""


class Transient(StoreError):
    """The same request may well succeed later: connection trouble, 5xx, SlowDown, a body that arrived damaged."""


class Throttled(Transient):
    """The server asks for fewer requests: 503, SlowDown, 429."""


class ExpiredCredentials(Transient):
    """The credentials expired; the store takes fresh ones before the next request."""


class AccessDenied(StoreError):
    """403 for this key or bucket."""


class BadCredentials(StoreError):
    """The credentials are missing, unknown or expired for good: no request can succeed."""


class NoSuchBucket(StoreError):
    """The bucket does not exist: no request to it can succeed."""


class NoSuchKey(StoreError):
    """There is no object of this key."""


class NoSuchUpload(StoreError):
    """The multipart upload does not exist (any more): completed, aborted or never created."""


class WrongRegion(StoreError):
    """The bucket lives in another region, and no redirect helped."""


class Rejected(StoreError):
    """Any other refusal, which will be the same next time."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object as HEAD or LIST show it: ``size`` in bytes, ``etag`` without quotes.

    ``crc64nvme`` (base64, of the whole object) comes from HEAD alone, None where S3 keeps none; so does
    ``opaque_etag``: the ETag is no MD5 sum, because the object is encrypted with a KMS key or the customer's.
    """

    key: str
    size: int
    etag: str
    crc64nvme: str | None = None
    opaque_etag: bool = False


@dataclass(frozen=True, slots=True)
class ListedPart:
    """A part as ListParts shows it: ``size`` in bytes, ``etag`` without quotes."""

    number: int
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class ListedUpload:
    """A multipart upload as ListMultipartUploads shows it; ``initiated`` in seconds since the epoch."""

    key: str
    upload_id: str
    initiated: float


@dataclass(frozen=True, slots=True)
class UploadedPart:
    """A part that S3 accepted; ``crc64nvme`` is base64, or None where no checksum is sent."""

    number: int
    etag: str
    crc64nvme: str | None


class ObjectStore(Protocol):
    """What the engine needs of an S3 server.

    ``streams`` tells that bodies may be a FileBody, which is read while it is sent.

    Every call may be cancelled; a cancelled or failed call may nevertheless have taken effect. Every call
    may raise any StoreError. ``crc64nvme`` is the CRC64NVME of the bytes in base64 (big-endian): the server
    refuses a body that differs with Transient; None sends no checksum. ETags come back without quotes and
    are not assumed to be MD5 sums. Used as an async context manager; one event loop only.
    """

    streams: bool

    async def __aenter__(self) -> Self:
        """Open connections lazily; raises BadCredentials where none can be found."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        ...

    async def refresh(self) -> None:
        """Take fresh credentials, if a request found them expired (ExpiredCredentials); else do nothing."""
        ...

    async def check_bucket(self, bucket: str) -> None:
        """Return if the bucket exists and may be used, else raise what is wrong with it."""
        ...

    async def put_object(
        self, bucket: str, key: str, body: Body, crc64nvme: str | None, settings: ObjectSettings
    ) -> str:
        """Store ``body`` as the whole object, atomically; may be repeated. Returns the ETag."""
        ...

    async def create_multipart(self, bucket: str, key: str, *, checksum: bool, settings: ObjectSettings) -> str:
        """Begin a multipart upload and return its id; each call begins another one.

        With ``checksum`` each part and the completion have to bring their CRC64NVME.
        """
        ...

    async def upload_part(
        self, bucket: str, key: str, upload_id: str, number: int, body: Body, crc64nvme: str | None
    ) -> str:
        """Store part ``number`` (1 to 10,000); may be repeated, the last one counts. Returns the part's ETag."""
        ...

    async def complete_multipart(
        self, bucket: str, key: str, upload_id: str, parts: Sequence[UploadedPart], crc64nvme: str | None
    ) -> str:
        """Join the parts (ascending numbers; all but the last at least 5 MiB) into the object, atomically.

        ``crc64nvme`` is that of the whole object. A repeated call after success changes nothing: it raises
        NoSuchUpload, or on some servers returns the ETag again. Returns the ETag.
        """
        ...

    async def abort_multipart(self, bucket: str, key: str, upload_id: str) -> None:
        """Drop the upload and its parts; may be repeated."""
        ...

    async def head(self, bucket: str, key: str) -> ObjectInfo | None:
        """Return what the object is, None if there is none (or no such bucket: HEAD cannot tell)."""
        ...

    def get_object(self, bucket: str, key: str) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of the object in pieces of at most some hundred KiB; each wait for one has a limit.

        Raises NoSuchKey, and Transient where the object was cut short or differs from the checksum that S3 keeps of
        it; what was yielded before is then worth nothing. Whoever does not take everything closes the iterator.
        """
        ...

    async def list_parts(self, bucket: str, key: str, upload_id: str) -> list[ListedPart]:
        """Return the parts of an upload that S3 has, in ascending order; raises NoSuchUpload."""
        ...

    def list_uploads(self, bucket: str, prefix: str) -> AsyncIterator[ListedUpload]:
        """Yield the multipart uploads in progress whose keys start with ``prefix``."""
        ...

    def list_objects(self, bucket: str, prefix: str) -> AsyncIterator[ObjectInfo]:
        """Yield the objects whose keys start with ``prefix``, 1,000 a request, in the order of their keys."""
        ...
