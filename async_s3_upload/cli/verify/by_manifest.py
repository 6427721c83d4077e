"""``verify --manifest``: is a run in S3 as its manifest says? Needs nothing but the manifest."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

from async_s3_upload.cli.logs import console_log
from async_s3_upload.cli.session import access_for, control_store, require_buckets, trouble_code
from async_s3_upload.cli.signals import Interruption
from async_s3_upload.cli.verify.manifest_check import ManifestCheck
from async_s3_upload.cli.verify.manifest_source import ManifestSource, manifest_source
from async_s3_upload.cli.verify.report import Level, VerifiedRun, VerifyReport
from async_s3_upload.cli.verify.verifier import STOPPED
from async_s3_upload.destination import check_bucket_name
from async_s3_upload.errors import ManifestError, UploadError, UsageError
from async_s3_upload.state.manifest import manifest_names
from async_s3_upload.state.manifest_reading import Manifest
from async_s3_upload.text import plural
from async_s3_upload.transfer.stores.inspect import HEADS_AT_A_TIME
from async_s3_upload.transfer.stores.store import ObjectStore, StoreError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ManifestRequest:
    """The options of the command. ``bucket`` is where the run lies, if neither beside the manifest nor as it says."""

    manifest: str
    bucket: str | None
    level: Level
    at_a_time: int | None = None
    endpoint_url: str | None = None
    profile: str | None = None
    region: str | None = None


def run_verify_manifest(request: ManifestRequest, environ: Mapping[str, str]) -> VerifyReport:
    """Verify; what cannot be read or asked is in the report, not raised.

    Raises:
        UsageError: ``--manifest`` names nothing that could be one.
    """
    source = manifest_source(request.manifest)
    report = VerifyReport()
    with console_log(logging.INFO):
        try:
            asyncio.run(_verify(source, request, environ, report))
        except UploadError as error:
            log.error("%s", error)
            report.problems.append(str(error))
            report.trouble_code = trouble_code(error)
    return report


async def _verify(
    source: ManifestSource, request: ManifestRequest, environ: Mapping[str, str], report: VerifyReport
) -> None:
    at_a_time = request.at_a_time or HEADS_AT_A_TIME
    with Interruption().watching():
        manifest = await source.read() if source.bucket is None else None
        access = access_for(
            environ, None, profile=request.profile, endpoint_url=request.endpoint_url, region=request.region
        )
        async with control_store(access, connections=at_a_time) as store:
            manifest = manifest or await source.read(store)
            bucket = _bucket(source, manifest, request.bucket)
            await require_buckets(access, [bucket])
            row = _row(source, manifest, bucket, request.level)
            report.rows.append(row)
            began = time.monotonic()
            row.trouble = await _compare(store, source, manifest, row, at_a_time)
            row.seconds = time.monotonic() - began
    log.info("verified %s", plural(row.files, "object"))


def _bucket(source: ManifestSource, manifest: Manifest, given: str | None) -> str:
    """Return where the run lies: as the option says, where the manifest lies, or where it says."""
    bucket = given or source.bucket or manifest.bucket
    if bucket is None:
        raise UsageError(f"{source} does not name its bucket: give --bucket")
    try:
        return check_bucket_name(bucket)
    except ValueError as error:
        raise ManifestError(f"{source} is no manifest, or a damaged one: bucket {error}") from None


def _row(source: ManifestSource, manifest: Manifest, bucket: str, level: Level) -> VerifiedRun:
    remote_path, _, run_id = manifest.prefix.rpartition("/")
    row = VerifiedRun(run_id or source.run_id, "", bucket, remote_path, level, trouble=STOPPED)
    row.files, row.bytes = len(manifest.records), manifest.bytes
    if level == "deep" and manifest.without_crc:
        row.notes.append(f"{plural(manifest.without_crc, 'file')} without a CRC64NVME in the manifest: ETags compared")
    return row


async def _compare(
    store: ObjectStore, source: ManifestSource, manifest: Manifest, row: VerifiedRun, at_a_time: int
) -> str:
    """Compare, fill the row, and return why it could not be done to the end."""
    own = {f"{manifest.prefix}/{name}" for name in manifest_names(row.run_id)} | {source.key}
    check = ManifestCheck(store, row.bucket, manifest, own)
    trouble = ""
    try:
        await check.ask_listing(at_a_time)
        if row.level == "deep":
            log.info("comparing checksums of %s", plural(len(manifest.records), "object"))
            await check.ask_checksums(at_a_time)
    except StoreError as error:
        trouble = f"S3 could not be asked: {error}"
    check.fill(row)
    return trouble
