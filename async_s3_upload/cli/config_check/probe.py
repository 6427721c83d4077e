"""What ``config check`` tries at a destination: one small object and one multipart upload, both removed again."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import suppress

from async_s3_upload.cli.config_check.destinations import Asker, Destination
from async_s3_upload.cli.config_check.findings import Check, Finding, Level
from async_s3_upload.transfer.engine.checksum import as_header, crc_of
from async_s3_upload.transfer.messages import ObjectSettings
from async_s3_upload.transfer.stores.preflight import likely_cause
from async_s3_upload.transfer.stores.store import AccessDenied, Rejected, StoreError, Transient
from async_s3_upload.transfer.stores.store_probe import ProbeStore

PROBE = ".async-s3-upload-probe-"
BODY = b"async-s3-upload config check: may be deleted\n"
CRC64NVME = as_header(crc_of(BODY))


async def check_destination(asker: Asker, destination: Destination) -> list[Finding]:
    """Try everything that an upload to the destination may need; trouble is in the findings, not raised."""
    probe = _Probe(asker, destination)
    await probe.listings()
    if await probe.object():
        await probe.multipart()
    return probe.found


class _Probe:
    def __init__(self, asker: Asker, destination: Destination) -> None:
        self._asker = asker
        self._to = destination
        self._bucket = destination.bucket
        self._key = f"{destination.prefix}{PROBE}{secrets.token_hex(8)}"
        self._version: str | None = None
        self.found: list[Finding] = []

    def _note(self, check: Check, level: Level, text: str, advice: str = "") -> None:
        self.found.append(Finding(check, level, self._to.name, text, advice))

    async def listings(self) -> None:
        """List what is not there: the right counts, not what comes."""

        async def objects(store: ProbeStore) -> None:
            async for _ in store.list_objects(self._bucket, self._key):
                pass

        async def uploads(store: ProbeStore) -> None:
            async for _ in store.list_uploads(self._bucket, self._key):
                pass

        try:
            await self._asker.ask(objects)
        except StoreError as error:
            level: Level = "problem" if self._to.verify else "warning"
            self._note("list", level, f"cannot be listed: {_cause(error)}", "give s3:ListBucket on the bucket")
        else:
            self._note("list", "ok", "can be listed")
        try:
            await self._asker.ask(uploads)
        except StoreError as error:
            text = f"uploads in progress cannot be listed, and parts that are lost stay and cost: {_cause(error)}"
            self._note("list_uploads", "warning", text, "give s3:ListBucketMultipartUploads on the bucket")
        else:
            self._note("list_uploads", "ok", "uploads in progress can be listed")

    async def object(self) -> bool:
        """Put an object as uploads do, look at it, and delete it; tell whether it could be put."""
        there = None
        try:
            there = await self._put()
            if there:
                await self._look()
        finally:
            if there:
                await self._delete()
            elif there is None:  # it may be there all the same
                with suppress(StoreError):
                    await self._asker.ask(lambda store: store.delete_object(self._bucket, self._key))
        return bool(there)

    async def _put(self) -> bool | None:
        """Return whether the object is there, None where nobody knows."""
        try:
            try:
                await self._send(CRC64NVME if self._to.checksum else None)
            except (Rejected, Transient) as refused:
                if not self._to.checksum:
                    raise
                try:
                    await self._send(None)
                except StoreError:
                    raise refused from None
                advice = 'set "checksum": "none"'
                self._note("checksum", "problem", f"does not take a CRC64NVME: {refused}", advice)
        except StoreError as error:
            advice = f"give {', '.join(_rights(self._to.settings))}" if isinstance(error, AccessDenied) else ""
            self._note("put", "problem", f"nothing can be put there: {_cause(error)}", advice)
            return None if isinstance(error, Transient) else False
        self._note("put", "ok", "objects can be put")
        return True

    async def _send(self, crc64nvme: str | None) -> None:
        settings = self._to.settings
        self._version = await self._asker.ask(
            lambda store: store.put_probe(self._bucket, self._key, BODY, crc64nvme, settings)
        )

    async def _look(self) -> None:
        try:
            seen = await self._asker.ask(lambda store: store.head(self._bucket, self._key))
        except StoreError as error:
            text = f"objects cannot be looked at, which `verify --deep` and `verify --manifest` need: {_cause(error)}"
            self._note("get", "warning", text, "give s3:GetObject on the bucket's objects")
            return
        if seen is None or seen.size != len(BODY):
            self._note("get", "problem", "the object that was put is not there, or another one")
            return
        self._note("get", "ok", "objects can be looked at")
        if not self._to.checksum or any(finding.check == "checksum" for finding in self.found):
            return
        if seen.crc64nvme == CRC64NVME:
            self._note("checksum", "ok", "takes and keeps a CRC64NVME of each object")
        else:
            text = "takes a CRC64NVME and does not keep it"
            self._note("checksum", "warning", text, "nothing to do: `verify --deep` compares ETags there")

    async def _delete(self) -> None:
        try:
            await self._asker.ask(lambda store: store.delete_object(self._bucket, self._key))
        except StoreError as error:
            why = "this user may not delete" if isinstance(error, AccessDenied) else str(error)
            text = f"the probe object stays, {why}: s3://{self._bucket}/{self._key}"
            self._note("delete", "warning", text, "remove it; uploads never delete and need no right for it")
            return
        kept = "" if self._version is None else f"; the bucket keeps versions, {self._version} of it stays"
        self._note("delete", "ok", f"the probe object was removed again{kept}")

    async def multipart(self) -> None:
        """Begin a multipart upload, list its parts, and abort it."""
        checksum = self._to.checksum and not any(
            finding.check == "checksum" and finding.level == "problem" for finding in self.found
        )
        begun: list[str] = []

        async def begin(store: ProbeStore) -> None:
            settings = self._to.settings
            begun.append(await store.create_multipart(self._bucket, self._key, checksum=checksum, settings=settings))

        try:
            try:
                await self._asker.ask(begin)
            except StoreError as error:
                advice = f"give {', '.join(_rights(self._to.settings))}" if isinstance(error, AccessDenied) else ""
                self._note("multipart", "problem", f"no multipart upload can be begun: {_cause(error)}", advice)
            else:
                self._note("multipart", "ok", "multipart uploads can be begun")
                await self._list_parts(begun[-1])
        finally:
            for upload_id in begun:
                await self._abort(upload_id)

    async def _list_parts(self, upload_id: str) -> None:
        try:
            await self._asker.ask(lambda store: store.list_parts(self._bucket, self._key, upload_id))
        except StoreError as error:
            text = f"parts cannot be listed, a big file that was cut short begins anew: {_cause(error)}"
            self._note("list_parts", "warning", text, "give s3:ListMultipartUploadParts on the bucket's objects")
        else:
            self._note("list_parts", "ok", "parts can be listed")

    async def _abort(self, upload_id: str) -> None:
        try:
            await self._asker.ask(lambda store: store.abort_multipart(self._bucket, self._key, upload_id))
        except StoreError as error:
            text = (
                f"multipart uploads cannot be aborted, this one stays: s3://{self._bucket}/{self._key}: {_cause(error)}"
            )
            self._note("abort", "problem", text, "give s3:AbortMultipartUpload on the bucket's objects")
        else:
            self._note("abort", "ok", "multipart uploads can be aborted")


def _cause(error: StoreError) -> str:
    """Return what was said; of a refusal the sentence after it would guess at another right."""
    return str(error) if isinstance(error, AccessDenied) else likely_cause(error)


def _rights(settings: ObjectSettings) -> Iterator[str]:
    """Yield the rights that putting an object with these properties takes."""
    yield "s3:PutObject on the bucket's objects"
    if settings.tags:
        yield "s3:PutObjectTagging"
    if settings.acl:
        yield "s3:PutObjectAcl"
    if settings.server_side_encryption in ("aws:kms", "aws:kms:dsse"):
        yield "kms:GenerateDataKey and kms:Decrypt on the key"
