"""``MemoryStore``: an ObjectStore in memory that enforces the rules of S3."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from async_s3_upload.transfer import checksum as crc
from async_s3_upload.transfer.store import (
    NoSuchBucket,
    NoSuchUpload,
    ObjectInfo,
    Rejected,
    Transient,
    UploadedPart,
)

MIN_PART_SIZE = 5 * 1024 * 1024
MAX_PARTS = 10_000
MAX_KEY_BYTES = 1024


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object; ``crc64nvme`` as it was sent, ``parts`` is 0 for one that was PUT."""

    body: bytes
    etag: str
    crc64nvme: str | None
    parts: int


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
    parts: dict[int, StoredPart] = field(default_factory=dict)


class MemoryStore:
    """Buckets in memory. What S3 refuses is refused; ETags are no MD5 sums, and never the same twice.

    ``requests`` counts the calls by their names, refused ones included. The peaks are the most calls, and the
    most bytes of their bodies, that were in progress at a time.
    """

    def __init__(self, *buckets: str, min_part_size: int = MIN_PART_SIZE) -> None:
        self.objects: dict[str, dict[str, StoredObject]] = {bucket: {} for bucket in buckets}
        self.uploads: dict[str, OpenUpload] = {}
        self.requests: Counter[str] = Counter()
        self.in_progress_peak = 0
        self.bytes_in_progress_peak = 0
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

    async def check_bucket(self, bucket: str) -> None:
        with self._call("check_bucket"):
            await asyncio.sleep(0)
            self._bucket(bucket)

    async def put_object(self, bucket: str, key: str, body: bytes, crc64nvme: str | None) -> str:
        with self._call("put_object", body):
            await asyncio.sleep(0)
            _check_key(key)
            _check_sum(body, crc64nvme)
            stored = StoredObject(bytes(body), self._new_etag(), crc64nvme, parts=0)
            self._bucket(bucket)[key] = stored
            return stored.etag

    async def create_multipart(self, bucket: str, key: str, *, checksum: bool) -> str:
        with self._call("create_multipart"):
            await asyncio.sleep(0)
            _check_key(key)
            self._bucket(bucket)
            upload_id = f"upload-{next(self._numbers)}"
            self.uploads[upload_id] = OpenUpload(bucket, key, checksum)
            return upload_id

    async def upload_part(
        self, bucket: str, key: str, upload_id: str, number: int, body: bytes, crc64nvme: str | None
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
            stored = StoredObject(body, f"{self._new_etag()}-{len(chosen)}", crc64nvme, len(chosen))
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
            return None if stored is None else ObjectInfo(key, len(stored.body), stored.etag)

    async def list_objects(self, bucket: str, prefix: str) -> AsyncIterator[ObjectInfo]:
        after = ""
        while True:
            with self._call("list_objects"):
                await asyncio.sleep(0)
                found = self._bucket(bucket)
                keys = sorted((key for key in found if key.startswith(prefix) and key > after), key=str.encode)
                page = [ObjectInfo(key, len(found[key].body), found[key].etag) for key in keys[:1000]]
            for entry in page:
                yield entry
            if len(keys) <= 1000:
                return
            after = page[-1].key

    @contextmanager
    def _call(self, name: str, body: bytes = b"") -> Iterator[None]:
        assert self._open, "the store is not open"
        self.requests[name] += 1
        self._in_progress += 1
        self._bytes_in_progress += len(body)
        self.in_progress_peak = max(self.in_progress_peak, self._in_progress)
        self.bytes_in_progress_peak = max(self.bytes_in_progress_peak, self._bytes_in_progress)
        try:
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


def _check_sum(body: bytes, crc64nvme: str | None) -> None:
    if crc64nvme is not None and crc64nvme != crc.as_header(crc.crc_of(body)):
        raise Transient("BadDigest: the checksum does not match the body")
