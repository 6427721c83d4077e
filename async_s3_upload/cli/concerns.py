"""Runs that will not complete by themselves: failed on the instrument, or without new files. People are told once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from async_s3_upload.cli.alerts import Alerts, Trouble
from async_s3_upload.cli.survey import HOUR_S
from async_s3_upload.notify import slack
from async_s3_upload.runs.completion import RunFolder
from async_s3_upload.runs.stalled import is_still_since
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


async def tell_concerns(concerns: Concerns, alerts: Alerts) -> None:
    """Tell of what was not told before, and note which runs are no concern any more."""
    await _tell_failed(concerns.failed, alerts)
    await _tell_stalled(concerns.stalled, concerns.still_s, alerts)
    for run in concerns.looked_at:
        name = printable(run.run_id)
        alerts.over(run.path, FAILED, f"{name} does not count as failed on the instrument any more")
        goes_on = run.verdict.state == "running" and concerns.still_s
        alerts.over(run.path, STALLED, f"{name} goes on" if goes_on else None)


async def _tell_failed(runs: Sequence[RunFolder], alerts: Alerts) -> None:
    of_run = {Trouble(FAILED, run.path, run.verdict.detail): run for run in runs}
    due = alerts.due(list(of_run), repeated=False)
    for trouble in due:
        log.error("%s: failed on the instrument: %s", printable(trouble.subject), printable(trouble.cause))
    if due:
        told = [slack.FailedRun(printable(of_run[it].run_id), printable(it.cause)) for it in due]
        await alerts.tell(slack.instrument_failure_text(told), due)


async def _tell_stalled(runs: Sequence[RunFolder], still_s: float, alerts: Alerts) -> None:
    of_run = {Trouble(STALLED, run.path, run.verdict.rule): run for run in runs}
    due = alerts.due(list(of_run), repeated=False)
    for trouble in due:
        hours, rule = still_s / HOUR_S, printable(trouble.cause)
        log.error("%s: stalled, it got no new file for %g h (%s)", printable(trouble.subject), hours, rule)
    if due:
        told = [slack.StalledRun(printable(of_run[it].run_id), still_s, printable(it.cause)) for it in due]
        await alerts.tell(slack.stalled_text(told), due)
