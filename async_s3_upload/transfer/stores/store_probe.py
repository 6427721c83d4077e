"""``ProbeStore``: what ``config check`` asks S3 beyond what an upload needs: clock, region, credentials, a deletion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from async_s3_upload.transfer.messages import ObjectSettings
from async_s3_upload.transfer.stores.store_aiobotocore import AiobotocoreStore
from async_s3_upload.transfer.stores.store_client import object_options


@dataclass(frozen=True, slots=True)
class BucketLook:
    """What the head of an answer tells, also of a refusal: its status, the bucket's region, the server's clock.

    ``server_time`` is in seconds since the epoch, to the second. None: it does not say.
    """

    status: int
    region: str | None
    server_time: float | None


@dataclass(frozen=True, slots=True)
class CredentialsSeen:
    """Where credentials come from (botocore's word), whose key they are, and when they end.

    ``key_id`` is no secret; the secret is not here. ``expires_at`` is in seconds since the epoch, None where nobody
    knows; ``temporary`` are those that come with a session token.
    """

    method: str
    key_id: str
    temporary: bool
    expires_at: float | None


class ProbeStore(AiobotocoreStore):
    """A store that is asked about itself. Every call may raise any StoreError."""

    @property
    def region(self) -> str:
        """The region that requests are signed for."""
        return self._client.meta.region_name

    @property
    def endpoint(self) -> str:
        """The address of S3, without what a bucket adds to it."""
        return self._client.meta.endpoint_url

    async def look_at_bucket(self, bucket: str, owner: str | None = None) -> BucketLook:
        """HEAD the bucket, with the account it should belong to; a refusal is an answer too."""
        options: dict[str, Any] = {} if owner is None else {"ExpectedBucketOwner": owner}
        answer: Mapping[str, Any]
        with self._translated():
            try:
                answer = await self._client.head_bucket(Bucket=bucket, **options)
            except self._client.exceptions.ClientError as error:
                answer = error.response
        about = answer.get("ResponseMetadata", {})
        headers: dict[str, str] = {name.lower(): value for name, value in about.get("HTTPHeaders", {}).items()}
        return BucketLook(
            int(about.get("HTTPStatusCode", 0)),
            headers.get("x-amz-bucket-region") or None,
            _seconds(headers.get("date", "")),
        )

    async def put_probe(
        self, bucket: str, key: str, body: bytes, crc64nvme: str | None, settings: ObjectSettings
    ) -> str | None:
        """PUT as an upload does; returns the version that came of it, None in a bucket that keeps none."""
        options = object_options(settings) | ({"ChecksumCRC64NVME": crc64nvme} if crc64nvme else {})
        with self._translated():
            answer = await self._client.put_object(Bucket=bucket, Key=key, Body=body, **options)
            return answer.get("VersionId")

    async def delete_object(self, bucket: str, key: str) -> None:
        """Delete the object; may be repeated."""
        with self._translated():
            await self._client.delete_object(Bucket=bucket, Key=key)

    async def credentials(self) -> CredentialsSeen:
        """Return what the requests are signed with, renewed first where it is time for that."""
        with self._translated():
            held = self._credentials
            used = await held.get_frozen_credentials()
        end = getattr(held, "_expiry_time", None)  # botocore has no other way to ask
        return CredentialsSeen(
            held.method or "explicit", used.access_key, bool(used.token), None if end is None else end.timestamp()
        )


def _seconds(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
