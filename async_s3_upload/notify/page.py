"""The report page as values: what is known of runs and rounds becomes what the page shows. Pure; no HTML here.

Names and reasons come from file systems and servers: here they become text that is printable and on one line, the
template escapes it, and the page's script writes it as text only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from async_s3_upload.errors import EXIT_CODES
from async_s3_upload.notify.page_data import PageRun, clean, document, script_json
from async_s3_upload.text import plural, size_text

__all__ = ["Page", "PageRound", "PageRun", "page_of"]

MOST_FAILED_RUNS = 100
"""So many runs with failures are named with their reasons, those of last; the table has all."""
MOST_REASONS = 5
MOST_NAMES = 3
MOST_PROBLEMS = 20
DAY_S = 86_400
SHOWN_FAILED_RUNS = 10
"""So many of them are seen at once, the others after a click."""


@dataclass(frozen=True, slots=True)
class PageRound:
    """The last round of ``monitor``; ``ended_at`` in seconds since the epoch, ``problems`` say what it could not do."""

    ended_at: float
    exit_code: int
    uploaded: int
    failed: int
    problems: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure at the top of the page; ``kind`` is ``good``, ``bad`` or ``plain``."""

    label: str
    value: str
    note: str
    kind: str = "plain"


@dataclass(frozen=True, slots=True)
class Moment:
    """A time: for machines (ISO 8601) and for readers without a script, both in UTC."""

    iso: str
    text: str


@dataclass(frozen=True, slots=True)
class LastRound:
    """How the last round ended, in words."""

    when: Moment
    good: bool
    outcome: str
    meaning: str
    problems: Sequence[str]
    more_problems: int


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason, with the number of files it holds for and the names of some."""

    text: str
    files: int
    names: Sequence[str]


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A run with failures; ``number`` is its place in the page's list."""

    number: int
    run_id: str
    destination: str
    files: str
    when: Moment | None
    next_step: str
    reasons: Sequence[Reason]
    more_reasons: int


@dataclass(frozen=True, slots=True)
class Page:
    """All that the page shows; ``data`` is the JSON document that its script reads, safe within a script element."""

    made: Moment
    source: str
    tiles: Sequence[Tile]
    last_round: LastRound | None
    notes: Sequence[str]
    failed_runs: Sequence[FailedRun]
    hidden_failed_runs: Sequence[FailedRun]
    more_failed_runs: int
    runs: int
    data: str


def page_of(
    runs: Iterable[PageRun], last_round: PageRound | None, source: str, now: float, notes: Sequence[str] = ()
) -> Page:
    """Return the page of these runs.

    ``source`` is the log folder they are remembered in, ``now`` the time at which the page is made, ``notes`` are
    sentences about what could not be read.
    """
    shown = sorted(runs, key=lambda run: run.ended_at or run.started_at or 0.0, reverse=True)
    failing = [(place, run) for place, run in enumerate(shown) if run.failures]
    named = failing[:MOST_FAILED_RUNS]
    told = [_failed_run(number, run) for number, (_, run) in enumerate(named)]
    return Page(
        made=_moment(now),
        source=clean(source),
        tiles=_tiles(shown, now),
        last_round=None if last_round is None else _last_round(last_round),
        notes=[clean(note) for note in notes[:MOST_PROBLEMS]],
        failed_runs=told[:SHOWN_FAILED_RUNS],
        hidden_failed_runs=told[SHOWN_FAILED_RUNS:],
        more_failed_runs=len(failing) - len(named),
        runs=len(shown),
        data=script_json(document(shown, [place for place, _ in named], now)),
    )


def _tiles(runs: Sequence[PageRun], now: float) -> list[Tile]:
    complete = sum(run.state == "completed" for run in runs)
    going = sum(run.state in ("in_progress", "uploading") for run in runs)
    failing = [run for run in runs if run.failures or run.state in ("partial", "damaged")]
    lately = [run for run in runs if run.ended_at is not None and now - run.ended_at < 7 * DAY_S]
    rates = [run.rate for run in lately if run.rate]
    failed_files = sum(len(run.failures) for run in failing)
    return [
        Tile("Complete", f"{complete:,}", f"of {plural(len(runs), 'run')}", "good"),
        Tile("Need attention", f"{len(failing):,}", plural(failed_files, "failed file"), "bad" if failing else "good"),
        Tile("In progress", f"{going:,}", "written or uploaded now"),
        Tile("Last 7 days", size_text(sum(run.bytes or 0 for run in lately)), plural(len(lately), "run")),
        Tile("Typical rate", f"{size_text(median(rates))}/s" if rates else "–", "median of the last 7 days"),
    ]


def _last_round(last: PageRound) -> LastRound:
    told = [f"{plural(last.uploaded, 'run')} uploaded"]
    if last.failed:
        told.append(f"{plural(last.failed, 'run')} with failures")
    return LastRound(
        when=_moment(last.ended_at),
        good=last.exit_code == 0 and not last.problems,
        outcome=", ".join(told),
        meaning=f"exit code {last.exit_code}: {EXIT_CODES.get(last.exit_code, 'unknown')}",
        problems=[clean(text) for text in last.problems[:MOST_PROBLEMS]],
        more_problems=max(0, len(last.problems) - MOST_PROBLEMS),
    )


def _failed_run(number: int, run: PageRun) -> FailedRun:
    by_reason: dict[str, list[str]] = {}
    for name, why in run.failures:
        by_reason.setdefault(clean(why), []).append(name)
    reasons = [
        Reason(why, len(names), [clean(name) for name in names[:MOST_NAMES]]) for why, names in by_reason.items()
    ]
    reasons.sort(key=lambda reason: -reason.files)
    return FailedRun(
        number=number,
        run_id=clean(run.run_id),
        destination=clean(run.destination),
        files=plural(len(run.failures), "file"),
        when=None if run.ended_at is None else _moment(run.ended_at),
        next_step=clean(run.next_step),
        reasons=reasons[:MOST_REASONS],
        more_reasons=max(0, len(reasons) - MOST_REASONS),
    )


def _moment(seconds: float) -> Moment:
    found = datetime.fromtimestamp(seconds, UTC).replace(microsecond=0)
    return Moment(found.isoformat(), found.strftime("%Y-%m-%d %H:%M UTC"))
