"""``AiobotocoreStore``: the portable reference implementation of ObjectStore."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import NoRegionError
from botocore.handlers import add_expect_header

from async_s3_upload.transfer.messages import AwsAccess, ObjectSettings
from async_s3_upload.transfer.pace import Pace
from async_s3_upload.transfer.stores.listing import take_objects
from async_s3_upload.transfer.stores.store import (
    AccessDenied,
    Body,
    ExpiredCredentials,
    ListedPart,
    ListedUpload,
    NoSuchBucket,
    ObjectInfo,
    UploadedPart,
)
from async_s3_upload.transfer.stores.store_client import FALLBACK_REGION, object_options, open_client
from async_s3_upload.transfer.stores.store_errors import translated

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client

PAGE_LIMIT_S = 60.0
"""Most seconds for one page of a listing, and for one piece of an object; a whole one may take longer."""
GET_PIECE = 256 * 1024


class AiobotocoreStore:
    """S3 through an aiobotocore client.

    botocore's own retries are off: the engine's layer is the only one. So are botocore's read time-outs in
    practice: the engine limits each request as a whole, which also covers stalls while sending.
    """

    streams = False

    def __init__(
        self, access: AwsAccess, connections: int, page_limit_s: float = PAGE_LIMIT_S, pace: Pace | None = None
    ) -> None:
        """Take ``connections`` as the most requests that will be in flight; ``pace`` is awaited before each body."""
        self._page_limit_s = page_limit_s
        self._pace = pace
        self._access = access
        self._connections = connections
        self._stack = AsyncExitStack()
        self._opened: S3Client | None = None
        self._expired = False
        self._credentials: Any = None
        self._ca_bundle: str | None = None

    async def __aenter__(self) -> Self:
        """Find the credentials and create the client; nothing is sent to S3 yet."""
        with translated():
            await self._open()
        return self

    async def _open(self) -> None:
        try:
            client = await self._create(self._access.region)
        except NoRegionError:
            client = await self._create(FALLBACK_REGION)
        # with this header aiohttp waits without any time limit for a "100 Continue"
        client.meta.events.unregister("before-call.s3", add_expect_header)
        # first: what comes after it parses the rest only
        client.meta.events.register_first("before-parse.s3.ListObjectsV2", take_objects)
        self._opened = client

    @contextmanager
    def _translated(self) -> Iterator[None]:
        client = self._opened
        try:
            with translated():
                yield
        except ExpiredCredentials:
            # many requests are in flight when it happens: those of the old client say nothing about the new one
            self._expired = self._expired or client is self._opened
            raise

    async def refresh(self) -> None:
        """Take credentials afresh if a request found them expired: files, SSO cache and roles are read again.

        Requests in flight keep the old client, which is closed with the store.
        """
        if self._expired:
            self._expired = False
            with translated():
                await self._open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the client's connections."""
        self._opened = None
        await self._stack.aclose()

    @property
    def _client(self) -> S3Client:
        assert self._opened is not None, "the store is not open"
        return self._opened

    async def _create(self, region: str | None) -> S3Client:
        client, self._credentials, self._ca_bundle = await open_client(
            self._stack, self._access, region, self._connections
        )
        return client

    async def check_bucket(self, bucket: str) -> None:
        """HEAD the bucket; after a refusal, whose body HEAD lacks, ask once more for the reason."""
        with self._translated():
            try:
                await self._client.head_bucket(Bucket=bucket)
            except self._client.exceptions.ClientError as error:
                status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
                if status == 404:
                    raise NoSuchBucket("there is no such bucket") from None
                if status not in (400, 403):
                    raise
                await self._client.list_objects_v2(Bucket=bucket, MaxKeys=1)
                raise AccessDenied(f"S3 answered {status} to HeadBucket, although it lists the bucket") from None

    async def put_object(
        self, bucket: str, key: str, body: Body, crc64nvme: str | None, settings: ObjectSettings
    ) -> str:
        """PUT the object."""
        options = object_options(settings) | _checksum(crc64nvme)
        if self._pace is not None:
            await self._pace(len(body))
        with self._translated():
            answer = await self._client.put_object(Bucket=bucket, Key=key, Body=_whole(body), **options)
            return _etag(answer)

    async def create_multipart(self, bucket: str, key: str, *, checksum: bool, settings: ObjectSettings) -> str:
        """Begin a multipart upload; with a checksum, one over the whole object (FULL_OBJECT)."""
        options = object_options(settings)
        if checksum:
            options |= {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "FULL_OBJECT"}
        with self._translated():
            answer = await self._client.create_multipart_upload(Bucket=bucket, Key=key, **options)
            return answer["UploadId"]

    async def upload_part(
        self, bucket: str, key: str, upload_id: str, number: int, body: Body, crc64nvme: str | None
    ) -> str:
        """PUT one part."""
        if self._pace is not None:
            await self._pace(len(body))
        with self._translated():
            answer = await self._client.upload_part(
                Bucket=bucket,
                Key=key,
                UploadId=upload_id,
                PartNumber=number,
                Body=_whole(body),
                **_checksum(crc64nvme),
            )
            return _etag(answer)

    async def complete_multipart(
        self, bucket: str, key: str, upload_id: str, parts: Sequence[UploadedPart], crc64nvme: str | None
    ) -> str:
        """Join the parts. A 200 with an error in its body is an error (botocore looks into it)."""
        options = _checksum(crc64nvme)
        if crc64nvme:
            options["ChecksumType"] = "FULL_OBJECT"
        with self._translated():
            answer = await self._client.complete_multipart_upload(
                Bucket=bucket,
                Key=key,
                UploadId=upload_id,
                MultipartUpload={"Parts": [_part(part) for part in parts]},
                **options,
            )
            return _etag(answer)

    async def abort_multipart(self, bucket: str, key: str, upload_id: str) -> None:
        """Drop the upload; that it is gone already is fine."""
        with self._translated():
            try:
                await self._client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
            except self._client.exceptions.NoSuchUpload:
                return

    async def head(self, bucket: str, key: str) -> ObjectInfo | None:
        """HEAD the object."""
        with self._translated():
            try:
                answer = await self._client.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
            except self._client.exceptions.ClientError as error:
                if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
                    return None
                raise
            whole = answer.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT"
            crc = answer.get("ChecksumCRC64NVME") if whole else None
            encryption = answer.get("ServerSideEncryption", "")
            opaque = encryption.startswith("aws:kms") or "SSECustomerAlgorithm" in answer
            return ObjectInfo(key, answer["ContentLength"], _etag(answer), crc, opaque)

    async def get_object(self, bucket: str, key: str) -> AsyncGenerator[bytes, None]:
        """GET the object; aiobotocore compares length and checksum at the end of the body.

        A body that is not read to its end takes its connection with it.
        """
        with self._translated():
            async with asyncio.timeout(self._page_limit_s):
                answer = await self._client.get_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
            body = answer["Body"]
        try:
            while True:
                with self._translated():
                    async with asyncio.timeout(self._page_limit_s):
                        piece = await body.read(GET_PIECE)
                if not piece:
                    return
                yield piece
        finally:
            body.close()

    async def list_parts(self, bucket: str, key: str, upload_id: str) -> list[ListedPart]:
        """List with ListParts, 1,000 a request."""
        found: list[ListedPart] = []
        marker: dict[str, Any] = {}
        while True:
            with self._translated():
                async with asyncio.timeout(self._page_limit_s):
                    page = await self._client.list_parts(Bucket=bucket, Key=key, UploadId=upload_id, **marker)
                found += [ListedPart(part["PartNumber"], part["Size"], _etag(part)) for part in page.get("Parts", [])]
                if not page.get("IsTruncated"):
                    return found
                marker = {"PartNumberMarker": page["NextPartNumberMarker"]}

    async def list_uploads(self, bucket: str, prefix: str) -> AsyncIterator[ListedUpload]:
        """List with ListMultipartUploads, 1,000 a request."""
        marker: dict[str, Any] = {}
        while True:
            with self._translated():
                async with asyncio.timeout(self._page_limit_s):
                    page = await self._client.list_multipart_uploads(Bucket=bucket, Prefix=prefix, **marker)
            for upload in page.get("Uploads", []):
                yield ListedUpload(upload["Key"], upload["UploadId"], upload["Initiated"].timestamp())
            if not page.get("IsTruncated"):
                return
            marker = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    async def list_objects(self, bucket: str, prefix: str) -> AsyncIterator[ObjectInfo]:
        """List with ListObjectsV2."""
        token: dict[str, Any] = {}
        while True:
            with self._translated():
                async with asyncio.timeout(self._page_limit_s):
                    page = await self._client.list_objects_v2(Bucket=bucket, Prefix=prefix, **token)
                found = [ObjectInfo(entry["Key"], entry["Size"], _etag(entry)) for entry in page.get("Contents", [])]
                more = page["IsTruncated"]  # an answer without it is no listing, least of all an empty one
                token = {"ContinuationToken": page["NextContinuationToken"]} if more else {}
            for entry in found:
                yield entry
            if not more:
                return


def _whole(body: Body) -> bytes:
    """Return the body as botocore takes it; a copy, where it lies in a buffer that is used again."""
    return body if isinstance(body, bytes) else bytes(body)


def _etag(answer: Mapping[str, Any]) -> str:
    """Return the ETag; an answer without one raises KeyError, as any that makes no sense."""
    etag: str = answer["ETag"]
    return etag.strip('"')


def _checksum(crc64nvme: str | None) -> dict[str, Any]:
    return {"ChecksumCRC64NVME": crc64nvme} if crc64nvme else {}


def _part(part: UploadedPart) -> Any:
    entry: dict[str, Any] = {"PartNumber": part.number, "ETag": f'"{part.etag}"'}
    if part.crc64nvme:
        entry["ChecksumCRC64NVME"] = part.crc64nvme
    return entry
