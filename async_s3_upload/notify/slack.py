"""Messages to Slack webhooks. The webhook's address is a secret: it reaches no log and no error.

A Slack that is down is logged and changes nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from async_s3_upload.text import duration_text, one_line, plural, size_text

log = logging.getLogger(__name__)

TOTAL_S = 15.0
"""One message takes at most so many seconds, retries included."""
ATTEMPTS = 3
ATTEMPT_S = 5.0
PAUSE_S = 1.0


def success_text(runs: Sequence[str]) -> str:
    """Return the message for runs that were uploaded; the wording is the replaced tool's."""
    return f":white_check_mark:  *S3 Upload*: Successfully uploaded {_runs(runs)}"


@dataclass(frozen=True, slots=True)
class SentRun:
    """A run that was uploaded: what it holds, and what of it was sent this time, in ``seconds``."""

    name: str
    files: int
    size: int
    sent_files: int
    sent_bytes: int
    seconds: float
    destination: str


def rich_success_text(runs: Sequence[SentRun]) -> str:
    """Return the message for runs that were uploaded, with files, size, duration, rate and destination of each."""
    head = f":white_check_mark:  *S3 Upload*: Successfully uploaded {plural(len(runs), 'run')}"
    return head + _lines([one_line(f"{run.name}: {_amount(run)} to {run.destination}") for run in runs])


def _amount(run: SentRun) -> str:
    rate = size_text(run.sent_bytes / run.seconds) if run.seconds > 0 else "0 B"
    whole = f"{plural(run.files, 'file')}, {size_text(run.size)}"
    pace = f"{duration_text(run.seconds)} ({rate}/s)"
    if run.sent_files >= run.files:
        return f"{whole} in {pace}"
    return f"{whole}; the last {plural(run.sent_files, 'file')}, {size_text(run.sent_bytes)} in {pace}"


def recovered_text(what: Sequence[str]) -> str:
    """Return the message for troubles that were told and are over, a few words for each."""
    head = ":white_check_mark:  *S3 Upload*: Recovered: "
    return head + (_escaped(what[0]) if len(what) == 1 else f"{len(what)} troubles are over{_lines(what)}")


def failure_text(runs: Sequence[str]) -> str:
    """Return the message for runs of which something failed."""
    return f":x:  *S3 Upload*: Failed uploading {_runs(runs)}"


def aws_trouble_text(problem: str) -> str:
    """Return the message for credentials or buckets that do not work."""
    return f":warning:  *S3 Upload*: Error in connecting to AWS!\n\n\t\t{_escaped(problem)}"


def folder_trouble_text(problems: Sequence[str]) -> str:
    """Return the message for monitored folders that cannot be looked at, and run logs that cannot be read."""
    return ":warning:  *S3 Upload*: Not everything could be looked at" + _lines(problems)


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A run that failed on the instrument, and what the instrument says of it."""

    name: str
    says: str


@dataclass(frozen=True, slots=True)
class StalledRun:
    """A run without a new file for ``still_s`` seconds; ``rule`` says what would end it."""

    name: str
    still_s: float
    rule: str


def instrument_failure_text(runs: Sequence[FailedRun]) -> str:
    """Return the message for runs that failed or were aborted on the instrument."""
    lines = _lines([one_line(f"{run.name}: {run.says}") for run in runs])
    return f":x:  *S3 Upload*: {plural(len(runs), 'run')} failed on the instrument{lines}"


def stalled_text(runs: Sequence[StalledRun]) -> str:
    """Return the message for runs that do not go on."""
    lines = _lines([one_line(f"{run.name}: no new file for {_hours(run.still_s)} ({run.rule})") for run in runs])
    return f":warning:  *S3 Upload*: {plural(len(runs), 'run')} stalled{lines}"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:,.0f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"


def _runs(runs: Sequence[str]) -> str:
    return f"{len(runs)} run{'' if len(runs) == 1 else 's'}{_lines(runs)}"


def _lines(items: Sequence[str]) -> str:
    return "".join(f"\n\t\t• {_escaped(item)}" for item in items)


def _escaped(text: str) -> str:
    """Slack reads ``&``, ``<`` and ``>`` as markup (Slack, "Formatting text for app surfaces")."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


async def post(webhook: str, text: str) -> bool:
    """Send ``{"text": text}`` to the webhook; returns whether Slack took it. Never raises for Slack's trouble."""
    try:
        async with asyncio.timeout(TOTAL_S):
            trouble = await _post_with_retries(webhook, text)
    except TimeoutError:
        trouble = f"no answer within {TOTAL_S:.0f} s"
    if trouble:
        log.error("Slack could not be told (%s); the message was: %s", trouble, " ".join(text.split()))
    return trouble is None


async def _post_with_retries(webhook: str, text: str) -> str | None:
    """Return what went wrong, or None."""
    trouble = None
    limit = aiohttp.ClientTimeout(total=ATTEMPT_S)
    async with aiohttp.ClientSession(timeout=limit, trust_env=True) as session:
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(PAUSE_S)
            trouble, again = await _post_once(session, webhook, text)
            if not again:
                break
    return trouble


async def _post_once(session: aiohttp.ClientSession, webhook: str, text: str) -> tuple[str | None, bool]:
    """Return (what went wrong, whether it may go better next time)."""
    try:
        async with session.post(webhook, json={"text": text}, allow_redirects=False) as answer:
            if answer.status == 200:
                return None, False
            return f"it answered {answer.status}", answer.status == 429 or answer.status >= 500
    except TimeoutError:
        return f"no answer within {ATTEMPT_S:.0f} s", True
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return type(error).__name__, True  # the text of the error may hold the webhook's address
