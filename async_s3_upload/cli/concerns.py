"""Tells people, once, of runs that will not complete by themselves: failed on the instrument, or without new files."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from async_s3_upload.cli.survey import HOUR_S
from async_s3_upload.notify import slack
from async_s3_upload.runs.completion import RunFolder
from async_s3_upload.runs.stalled import is_still_since
from async_s3_upload.state.told import Told
from async_s3_upload.text import printable

log = logging.getLogger(__name__)

FAILED, STALLED = "failed_on_instrument", "stalled"


@dataclass(frozen=True, slots=True)
class Concerns:
    """Of the ``looked_at`` runs those that failed, and those that got no new file for ``still_s`` seconds."""

    looked_at: Sequence[RunFolder]
    failed: Sequence[RunFolder]
    stalled: Sequence[RunFolder]
    still_s: float


def find_concerns(runs: Sequence[RunFolder], stalled_after_h: float | None, now: float) -> Concerns:
    """Look at runs that are not complete, or failed; with None no run counts as stalled."""
    failed = [run for run in runs if run.verdict.state == "failed"]
    if stalled_after_h is None:
        return Concerns(runs, failed, [], 0.0)
    still_s = stalled_after_h * HOUR_S
    going_on = [run for run in runs if run.verdict.state == "running"]
    return Concerns(runs, failed, [run for run in going_on if is_still_since(run.path, now - still_s)], still_s)


async def tell_concerns(concerns: Concerns, log_dir: str, webhook: str | None, now: float) -> None:
    """Tell of what was not told before; a message that Slack does not take is sent again in the next round.

    Raises:
        LogDirError: what was told cannot be remembered.
    """
    told = Told(log_dir)
    if told.problem is not None:
        log.error("%s", told.problem)
    failed = [run for run in concerns.failed if told.due(FAILED, run.path, run.verdict.detail, now, None)]
    stalled = [run for run in concerns.stalled if told.due(STALLED, run.path, run.verdict.rule, now, None)]
    for run in failed:
        log.error("%s: failed on the instrument: %s", printable(run.path), printable(run.verdict.detail))
    for run in stalled:
        hours, rule = concerns.still_s / HOUR_S, printable(run.verdict.rule)
        log.error("%s: stalled, it got no new file for %g h (%s)", printable(run.path), hours, rule)
    if failed and await _post(webhook, _failed_text(failed)):
        for run in failed:
            told.note(FAILED, run.path, run.verdict.detail, now)
    if stalled and await _post(webhook, _stalled_text(stalled, concerns.still_s)):
        for run in stalled:
            told.note(STALLED, run.path, run.verdict.rule, now)
    for run in concerns.looked_at:
        told.forget(told.recovered(run.path, (FAILED, STALLED)))
    told.drop_gone(now)
    told.save()


def _failed_text(runs: Sequence[RunFolder]) -> str:
    return slack.instrument_failure_text(
        [slack.FailedRun(printable(run.run_id), printable(run.verdict.detail)) for run in runs]
    )


def _stalled_text(runs: Sequence[RunFolder], still_s: float) -> str:
    return slack.stalled_text(
        [slack.StalledRun(printable(run.run_id), still_s, printable(run.verdict.rule)) for run in runs]
    )


async def _post(webhook: str | None, text: str) -> bool:
    """Tell Slack; without a webhook the log is all there is."""
    return webhook is None or await slack.post(webhook, text)
