"""``cleanup``: multipart uploads that nothing will go on with cost money and are nobody's; list and abort them."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from async_s3_upload.cli.logs import console_log
from async_s3_upload.cli.session import access_for, control_store, require_buckets, trouble_code
from async_s3_upload.cli.signals import Interruption
from async_s3_upload.cli.stale_uploads import DAY_S, Destination, SeenUpload, abort_stale, look
from async_s3_upload.config import Config
from async_s3_upload.errors import UploadError
from async_s3_upload.text import plural, printable
from async_s3_upload.transfer.messages import AwsAccess

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CleanupRequest:
    """The options of the command, checked."""

    destinations: Sequence[Destination]
    log_dir: str
    older_than_days: float
    apply: bool
    config: Config | None = None
    endpoint_url: str | None = None
    profile: str | None = None
    region: str | None = None


@dataclass(slots=True)
class CleanupReport:
    """What the command found and did."""

    uploads: list[SeenUpload] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    exit_code: int = 0

    def as_json(self) -> str:
        """Return the one JSON document that ``--json`` prints."""
        document = {
            "uploads": [upload.as_json() for upload in self.uploads],
            "problems": [printable(problem) for problem in self.problems],
            "exit_code": self.exit_code,
        }
        return json.dumps(document, indent=2)

    def lines(self) -> list[str]:
        """Return the lines for people."""
        counts = {
            words: sum(upload.action == action for upload in self.uploads)
            for action, words in (
                ("would_abort", "would be aborted with --apply"),
                ("aborted", "aborted"),
                ("failed", "could not be aborted"),
                ("kept", "kept"),
            )
        }
        told = ", ".join(f"{count:,} {words}" for words, count in counts.items() if count)
        head = f"{plural(len(self.uploads), 'multipart upload')} in progress"
        return [*(upload.as_line() for upload in self.uploads), f"{head}: {told}" if told else head]


def destination(bucket: str, remote_path: str, *, known_runs_only: bool = False) -> Destination:
    """Return the destination; at the root of a bucket lies more than ours, there only runs with a run log count."""
    return Destination(bucket, remote_path, known_runs_only or not remote_path.strip("/"))


def destinations_of(config: Config, *, known_runs_only: bool = False) -> list[Destination]:
    """Return where the runs of the config go, each once."""
    places = dict.fromkeys((section.bucket, section.remote_path.strip("/")) for section in config.monitor)
    return [destination(bucket, path, known_runs_only=known_runs_only) for bucket, path in places]


async def sweep(config: Config, access: AwsAccess) -> None:
    """Do at the end of a round what ``abort_stale_uploads_days`` asks for; trouble is a warning, never more.

    Only uploads below runs with a run log are aborted: nobody looks at a list before.
    """
    days = config.abort_stale_uploads_days
    if days is None:
        return
    try:
        async with control_store(access, 2 * config.request_timeout) as store:
            uploads, problems = await look(
                store, destinations_of(config, known_runs_only=True), config.log_dir, days * DAY_S, time.time()
            )
            await abort_stale(store, uploads)
    except UploadError as error:
        log.warning("stale multipart uploads are not looked for: %s", error)
        return
    failed = [upload.as_line() for upload in uploads if upload.action == "failed"]
    for trouble in problems + failed:
        log.warning("%s", trouble)
    aborted = sum(upload.action == "aborted" for upload in uploads)
    if aborted:
        log.info("aborted %s that nothing would have gone on with", plural(aborted, "multipart upload"))


def run_cleanup(request: CleanupRequest, environ: Mapping[str, str]) -> CleanupReport:
    """List, and abort where asked to; trouble is in the report, not raised."""
    report = CleanupReport()
    with console_log(logging.WARNING):
        try:
            asyncio.run(_run(request, environ, report))
        except UploadError as error:
            log.error("%s", error)
            report.problems.append(str(error))
            report.exit_code = trouble_code(error)
    return report


async def _run(request: CleanupRequest, environ: Mapping[str, str], report: CleanupReport) -> None:
    with Interruption().watching():
        access = access_for(
            environ,
            request.config,
            profile=request.profile,
            endpoint_url=request.endpoint_url,
            region=request.region,
        )
        await require_buckets(access, sorted({destination.bucket for destination in request.destinations}))
        async with control_store(access) as store:
            report.uploads, report.problems = await look(
                store, request.destinations, request.log_dir, request.older_than_days * DAY_S, time.time()
            )
            for problem in report.problems:
                log.error("%s", problem)
            if request.apply:
                await abort_stale(store, report.uploads)
    if report.problems or any(upload.action == "failed" for upload in report.uploads):
        report.exit_code = 3
