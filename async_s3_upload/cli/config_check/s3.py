"""What ``config check`` asks S3: credentials, clock, and each bucket; what each destination takes is beside it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from async_s3_upload.cli.config_check.destinations import Asker, Destination, destinations_of
from async_s3_upload.cli.config_check.findings import Finding
from async_s3_upload.cli.config_check.probe import check_destination
from async_s3_upload.cli.session import access_for
from async_s3_upload.config import Config
from async_s3_upload.errors import AwsAccessError
from async_s3_upload.text import duration_text
from async_s3_upload.transfer.stores.preflight import CHECK_LIMIT_S, likely_cause
from async_s3_upload.transfer.stores.store import StoreError
from async_s3_upload.transfer.stores.store_probe import BucketLook, CredentialsSeen, ProbeStore

SKEW_WARNING_S = 60.0
SKEW_PROBLEM_S = 300.0
"""S3 refuses requests whose clock is 15 minutes off; drifting clocks get there."""
SOON_S = 24 * 3600.0
_LASTING_END = ("env", "explicit", "shared-credentials-file", "config-file")
"""Ways (botocore's words) by which temporary keys do not renew themselves."""
_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")


async def check_s3(config: Config, environ: Mapping[str, str]) -> list[Finding]:
    """Ask S3 for everything; trouble is in the findings, not raised."""
    try:
        store = await ProbeStore(access_for(environ, config), connections=8, page_limit_s=CHECK_LIMIT_S).__aenter__()
    except AwsAccessError as error:
        return [Finding("credentials", "problem", "credentials", str(error))]
    except StoreError as error:
        return [Finding("credentials", "problem", "credentials", likely_cause(error), _WHERE)]
    try:
        findings = [await _check_credentials(store), _endpoint(store, environ)]
        asker = Asker(store, min(config.request_timeout, CHECK_LIMIT_S))
        by_bucket: dict[str, list[Destination]] = {}
        for destination in destinations_of(config):
            by_bucket.setdefault(destination.bucket, []).append(destination)
        answers = await asyncio.gather(*(_check_bucket(asker, name, those) for name, those in by_bucket.items()))
        clocks = [clock for clock, _ in answers if clock is not None]
        # one clock, seen several times: the worst of it
        findings += sorted(clocks, key=lambda finding: ("problem", "warning", "ok").index(finding.level))[:1]
        return findings + [finding for _, found in answers for finding in found]
    finally:
        await store.__aexit__(None, None, None)


_WHERE = "set them where the command runs: cron and systemd have an environment of their own"


async def _check_credentials(store: ProbeStore) -> Finding:
    try:
        seen = await store.credentials()
    except StoreError as error:
        return Finding("credentials", "problem", "credentials", likely_cause(error), _WHERE)
    return credentials_finding(seen, time.time())


def credentials_finding(seen: CredentialsSeen, now: float) -> Finding:
    """Return what is to be said of credentials; pure."""
    text = f"key {_key_text(seen.key_id)} from {_ORIGINS.get(seen.method, seen.method)}"
    if seen.expires_at is None:
        if seen.temporary and seen.method in _LASTING_END:
            advice = "use a role, SSO or a lasting key for what runs by cron"
            return Finding(
                "credentials", "warning", "credentials", f"{text}, temporary, nobody knows until when", advice
            )
        return Finding("credentials", "ok", "credentials", text)
    left = seen.expires_at - now
    until = f"until {datetime.fromtimestamp(seen.expires_at, UTC):%Y-%m-%d %H:%M} UTC"
    if left <= 0:
        return Finding(
            "credentials", "problem", "credentials", f"{text}, expired: they were good {until}", "renew them"
        )
    text = f"{text}, good {until} ({duration_text(left)})"
    if seen.method in _LASTING_END and left < SOON_S:
        return Finding("credentials", "warning", "credentials", text, "renew them, or use what renews itself")
    return Finding("credentials", "ok", "credentials", text)


_ORIGINS = {
    "explicit": "AWS_ACCESS_KEY",
    "env": "AWS_ACCESS_KEY_ID",
    "shared-credentials-file": "the credentials file",
    "config-file": "the config file of AWS",
    "iam-role": "the instance's role",
    "container-role": "the container's role",
    "assume-role": "an assumed role",
    "assume-role-with-web-identity": "a role assumed with a web identity",
    "sso": "SSO",
}


def _key_text(key_id: str) -> str:
    """Return as much of a key's id as tells keys apart."""
    return f"{key_id[:4]}...{key_id[-4:]}" if len(key_id) >= 16 else "(not shown)"


def _endpoint(store: ProbeStore, environ: Mapping[str, str]) -> Finding:
    proxy = next((name for name in _PROXIES if environ.get(name)), None)
    through = f", through the proxy of {proxy} unless NO_PROXY names it" if proxy else ""
    return Finding("endpoint", "ok", "endpoint", f"{store.endpoint}, region {store.region}{through}")


async def _check_bucket(
    asker: Asker, bucket: str, destinations: list[Destination]
) -> tuple[Finding | None, list[Finding]]:
    """Return what the clock is, and what was found of the bucket and of all its destinations."""
    subject = f"bucket {bucket}"
    try:
        before = time.time()
        look = await asker.ask(lambda store: store.look_at_bucket(bucket))
        clock = clock_finding(look, (before + time.time()) / 2)
        if clock is not None and clock.level == "problem":
            return clock, []  # every answer that follows would only say so again
        await asker.ask(lambda store: store.check_bucket(bucket))
    except StoreError as error:
        return None, [Finding("bucket", "problem", subject, likely_cause(error))]
    found = [Finding("bucket", "ok", subject, "exists and answers"), _region(look, subject, asker.store.region)]
    for destination in destinations:
        owner = await _owner(asker, destination)
        found += owner
        if all(finding.level == "ok" for finding in owner):
            found += await check_destination(asker, destination)
    return clock, found


def clock_finding(look: BucketLook, now: float) -> Finding | None:
    """Return how far the clock of this machine, which said ``now``, is off; None where S3 does not tell the time."""
    if look.server_time is None:
        return None
    skew = now - look.server_time
    if abs(skew) < 2:  # the server tells whole seconds
        return Finding("clock", "ok", "clock", "agrees with S3's")
    text = f"is {duration_text(abs(skew))} {'ahead of' if skew > 0 else 'behind'} S3's"
    if abs(skew) > SKEW_PROBLEM_S:
        return Finding("clock", "problem", "clock", text, "S3 refuses requests at 15 minutes; set the clock, use NTP")
    if abs(skew) > SKEW_WARNING_S:
        return Finding("clock", "warning", "clock", text, "set the clock, use NTP")
    return Finding("clock", "ok", "clock", text)


def _region(look: BucketLook, subject: str, region: str) -> Finding:
    if look.region is None:
        return Finding("region", "ok", subject, f"the server does not tell its region; {region} is used")
    if look.region == region:
        return Finding("region", "ok", subject, f"lies in {region}")
    advice = f"set AWS_REGION={look.region}"
    return Finding("region", "warning", subject, f"lies in {look.region}, the region in use is {region}", advice)


async def _owner(asker: Asker, destination: Destination) -> list[Finding]:
    owner = destination.settings.expected_bucket_owner
    if owner is None:
        return []
    subject = f"bucket {destination.bucket}"
    try:
        look = await asker.ask(lambda store: store.look_at_bucket(destination.bucket, owner))
    except StoreError as error:
        return [Finding("owner", "problem", subject, likely_cause(error))]
    if look.status in (200, 204):
        return [Finding("owner", "ok", subject, f"belongs to account {owner}")]
    text = f"does not belong to account {owner} (S3 answered {look.status})"
    return [Finding("owner", "problem", subject, text, "correct expected_bucket_owner, or the name of the bucket")]
