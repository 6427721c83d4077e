"""``MemoryStore``: an ObjectStore in memory that enforces the rules of S3."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from async_s3_upload.transfer.engine import checksum as crc
from async_s3_upload.transfer.messages import ObjectSettings
from async_s3_upload.transfer.stores.store import (
    AccessDenied,
    Body,
    ExpiredCredentials,
    ListedPart,
    ListedUpload,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    ObjectInfo,
    Rejected,
    Transient,
    UploadedPart,
)

MIN_PART_SIZE = 5 * 1024 * 1024
MAX_PARTS = 10_000
MAX_KEY_BYTES = 1024
PAGE = 1000
DEFAULTS = ObjectSettings()
OWNER = "111122223333"
"""Of every bucket."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object; ``crc64nvme`` as it was sent, ``parts`` is 0 for one that was PUT."""

    body: bytes
    etag: str
    crc64nvme: str | None
    parts: int
    settings: ObjectSettings = DEFAULTS

    def info(self, key: str) -> ObjectInfo:
        """Return what a HEAD shows."""
        opaque = (self.settings.server_side_encryption or "").startswith("aws:kms")
        return ObjectInfo(key, len(self.body), self.etag, self.crc64nvme, opaque)


@dataclass(frozen=True, slots=True)
class StoredPart:
    body: bytes
    etag: str
    crc64nvme: str | None


@dataclass(slots=True)
class OpenUpload:
    bucket: str
    key: str
    checksum: bool
    settings: ObjectSettings
    initiated: float
    parts: dict[int, StoredPart] = field(default_factory=dict)


class MemoryStore:
    """Buckets in memory. What S3 refuses is refused; ETags are no MD5 sums, and never the same twice.

    ``requests`` counts the calls by their names, refused ones included. The peaks are the most calls, and the
    most bytes of their bodies, that were in progress at a time. ``refreshes`` counts how often fresh
    credentials were taken.
    """

    streams = False

    def __init__(self, *buckets: str, min_part_size: int = MIN_PART_SIZE) -> None:
        self.objects: dict[str, dict[str, StoredObject]] = {bucket: {} for bucket in buckets}
        self.uploads: dict[str, OpenUpload] = {}
        self.requests: Counter[str] = Counter()
        self.in_progress_peak = 0
        self.bytes_in_progress_peak = 0
        self.refreshes = 0
        self._expired = False
        self._found_expired = False
        self._min_part_size = min_part_size
        self._in_progress = 0
        self._bytes_in_progress = 0
        self._open = False
        self._numbers = itertools.count(1)

    async def __aenter__(self) -> Self:
        assert not self._open
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False

    def expire(self) -> None:
        """From now on every call finds the credentials expired, until fresh ones are taken."""
        self._expired = True

    async def refresh(self) -> None:
        if self._found_expired:
            await asyncio.sleep(0)
            self._expired = self._found_expired = False
            self.refreshes += 1

    async def check_bucket(self, bucket: str) -> None:
        with self._call("check_bucket"):
            await asyncio.sleep(0)
            self._bucket(bucket)

    async def put_object(
        self, bucket: str, key: str, body: Body, crc64nvme: str | None, settings: ObjectSettings
    ) -> str:
        with self._call("put_object", body):
            await asyncio.sleep(0)
            _check_key(key)
            _check_owner(settings)
            _check_sum(body, crc64nvme)
            stored = StoredObject(bytes(body), self._new_etag(), crc64nvme, 0, settings)
            self._bucket(bucket)[key] = stored
            return stored.etag

    async def create_multipart(self, bucket: str, key: str, *, checksum: bool, settings: ObjectSettings) -> str:
        with self._call("create_multipart"):
            await asyncio.sleep(0)
            _check_key(key)
            _check_owner(settings)
            self._bucket(bucket)
            upload_id = f"upload-{next(self._numbers)}"
            self.uploads[upload_id] = OpenUpload(bucket, key, checksum, settings, time.time())
            return upload_id

    async def upload_part(
        self, bucket: str, key: str, upload_id: str, number: int, body: Body, crc64nvme: str | None
    ) -> str:
        with self._call("upload_part", body):
            await asyncio.sleep(0)
            upload = self._upload(bucket, key, upload_id)
            if not 1 <= number <= MAX_PARTS:
                raise Rejected(f"InvalidArgument: part number {number}")
            if upload.checksum and crc64nvme is None:
                raise Rejected("InvalidRequest: the upload was begun with a checksum, the part has none")
            _check_sum(body, crc64nvme)
            part = StoredPart(bytes(body), self._new_etag(), crc64nvme)
            upload.parts[number] = part
            return part.etag

    async def complete_multipart(
        self, bucket: str, key: str, upload_id: str, parts: Sequence[UploadedPart], crc64nvme: str | None
    ) -> str:
        with self._call("complete_multipart"):
            await asyncio.sleep(0)
            upload = self._upload(bucket, key, upload_id)
            chosen = self._chosen(upload, parts)
            if upload.checksum and crc64nvme is None:
                raise Rejected("InvalidRequest: the upload was begun with a checksum, its completion has none")
            body = b"".join(part.body for part in chosen)
            _check_sum(body, crc64nvme)
            stored = StoredObject(body, f"{self._new_etag()}-{len(chosen)}", crc64nvme, len(chosen), upload.settings)
            self._bucket(bucket)[key] = stored
            del self.uploads[upload_id]
            return stored.etag

    async def abort_multipart(self, bucket: str, key: str, upload_id: str) -> None:
        with self._call("abort_multipart"):
            await asyncio.sleep(0)
            self._bucket(bucket)
            upload = self.uploads.get(upload_id)
            if upload is not None and (upload.bucket, upload.key) == (bucket, key):
                del self.uploads[upload_id]

    async def head(self, bucket: str, key: str) -> ObjectInfo | None:
        with self._call("head"):
            await asyncio.sleep(0)
            stored = self.objects.get(bucket, {}).get(key)
            return None if stored is None else stored.info(key)

    async def get_object(self, bucket: str, key: str) -> AsyncGenerator[bytes, None]:
        with self._call("get_object"):
            await asyncio.sleep(0)
            stored = self._bucket(bucket).get(key)
            if stored is None:
                raise NoSuchKey(f"no object {key}")
            for offset in range(0, len(stored.body), PAGE):
                yield stored.body[offset : offset + PAGE]
                await asyncio.sleep(0)

    async def list_parts(self, bucket: str, key: str, upload_id: str) -> list[ListedPart]:
        with self._call("list_parts"):
            await asyncio.sleep(0)
            parts = self._upload(bucket, key, upload_id).parts
            return [ListedPart(number, len(part.body), part.etag) for number, part in sorted(parts.items())]

    async def list_uploads(self, bucket: str, prefix: str) -> AsyncIterator[ListedUpload]:
        after = ("", "")
        while True:
            with self._call("list_uploads"):
                await asyncio.sleep(0)
                self._bucket(bucket)
                found = sorted(
                    (upload.key, upload_id, upload.initiated)
                    for upload_id, upload in self.uploads.items()
                    if upload.bucket == bucket and upload.key.startswith(prefix) and (upload.key, upload_id) > after
                )
                page = [ListedUpload(*entry) for entry in found[:PAGE]]
            for entry in page:
                yield entry
            if len(found) <= PAGE:
                return
            after = (page[-1].key, page[-1].upload_id)

    async def list_objects(self, bucket: str, prefix: str) -> AsyncIterator[ObjectInfo]:
        after = ""
        while True:
            with self._call("list_objects"):
                await asyncio.sleep(0)
                found = self._bucket(bucket)
                keys = sorted((key for key in found if key.startswith(prefix) and key > after), key=str.encode)
                page = [ObjectInfo(key, len(found[key].body), found[key].etag) for key in keys[:PAGE]]
            for entry in page:
                yield entry
            if len(keys) <= PAGE:
                return
            after = page[-1].key

    @contextmanager
    def _call(self, name: str, body: Body = b"") -> Iterator[None]:
        assert self._open, "the store is not open"
        self.requests[name] += 1
        self._in_progress += 1
        self._bytes_in_progress += len(body)
        self.in_progress_peak = max(self.in_progress_peak, self._in_progress)
        self.bytes_in_progress_peak = max(self.bytes_in_progress_peak, self._bytes_in_progress)
        try:
            if self._expired:
                self._found_expired = True
                raise ExpiredCredentials("ExpiredToken")
            yield
        finally:
            self._in_progress -= 1
            self._bytes_in_progress -= len(body)

    def _new_etag(self) -> str:
        return f"etag{next(self._numbers)}"

    def _bucket(self, bucket: str) -> dict[str, StoredObject]:
        if bucket not in self.objects:
            raise NoSuchBucket(f"no bucket {bucket}")
        return self.objects[bucket]

    def _upload(self, bucket: str, key: str, upload_id: str) -> OpenUpload:
        self._bucket(bucket)
        upload = self.uploads.get(upload_id)
        if upload is None or (upload.bucket, upload.key) != (bucket, key):
            raise NoSuchUpload(f"no upload {upload_id} of {key}")
        return upload

    def _chosen(self, upload: OpenUpload, parts: Sequence[UploadedPart]) -> list[StoredPart]:
        if not parts:
            raise Rejected("MalformedXML: no parts")
        numbers = [part.number for part in parts]
        if numbers != sorted(set(numbers)):
            raise Rejected(f"InvalidPartOrder: {numbers}")
        chosen = []
        for part in parts:
            stored = upload.parts.get(part.number)
            if stored is None or stored.etag != part.etag:
                raise Rejected(f"InvalidPart: {part.number} with ETag {part.etag}")
            if stored.crc64nvme != part.crc64nvme:
                raise Rejected(f"InvalidPart: {part.number} has another checksum")
            chosen.append(stored)
        if any(len(stored.body) < self._min_part_size for stored in chosen[:-1]):
            raise Rejected("EntityTooSmall")
        return chosen


def _check_key(key: str) -> None:
    if not 1 <= len(key.encode()) <= MAX_KEY_BYTES:
        raise Rejected("KeyTooLongError")


def _check_owner(settings: ObjectSettings) -> None:
    if settings.expected_bucket_owner not in (None, OWNER):
        raise AccessDenied("the bucket is another account's")


def _check_sum(body: Body, crc64nvme: str | None) -> None:
    if crc64nvme is not None and crc64nvme != crc.as_header(crc.crc_of(bytes(body))):
        raise Transient("BadDigest: the checksum does not match the body")
