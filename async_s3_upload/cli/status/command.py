"""What ``status`` is asked for, and what it finds."""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from async_s3_upload.cli.options import state_folder
from async_s3_upload.cli.status.document import as_document
from async_s3_upload.errors import UsageError
from async_s3_upload.state.journal import CorruptJournal, Replayed, replay
from async_s3_upload.state.journal_writer import read_lines
from async_s3_upload.state.overview import RunSummary, overview
from async_s3_upload.state.rounds import Round, read_rounds
from async_s3_upload.state.run_logs import SUFFIX
from async_s3_upload.text import printable

DAY_S = 86_400.0
MOST_SUGGESTED = 5


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """The options as they were given; None or empty where they were not."""

    run_id: str | None = None
    config: str | None = None
    log_dir: str | None = None
    states: Collection[str] = ()
    days: float | None = None

    def folder(self) -> str:
        """Return the log folder that is meant.

        Raises:
            UsageError: that is not clear, or there is none.
        """
        if self.config is not None and self.log_dir is not None:
            raise UsageError("--log-dir does not go with --config, which names the log folder")
        if self.run_id is not None and (self.states or self.days is not None):
            raise UsageError("--state and --days do not go with a run id")
        if self.days is not None and not self.days > 0:
            raise UsageError("--days: must be more than 0")
        if self.config is not None:
            from async_s3_upload.config import read_config

            return read_config(self.config, None).log_dir
        if self.log_dir is None:
            return state_folder()
        if not os.path.isdir(self.log_dir):
            what = "is no folder" if os.path.lexists(self.log_dir) else "does not exist"
            raise UsageError(f"--log-dir: {printable(self.log_dir)} {what}")
        return os.path.abspath(self.log_dir)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A big file of which parts are in S3; sizes in bytes. ``name`` is relative to the run folder."""

    name: str
    size: int
    done: int


@dataclass(frozen=True, slots=True)
class Status:
    """What was found. ``narrowed``: only runs of some states or days were wanted.

    ``detailed``: all of one run was wanted; ``unfinished`` are then its files, by the path of the run log.
    """

    log_dir: str
    now: datetime
    runs: Sequence[RunSummary]
    last_round: Round | None
    problems: Sequence[str]
    narrowed: bool = False
    detailed: bool = False
    unfinished: Mapping[str, Sequence[Unfinished]] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """How many runs are in each state that there is."""
        return dict(Counter(run.state for run in self.runs))

    def unfinished_of(self, run: RunSummary) -> Sequence[Unfinished]:
        """Return the big files of a run that are on their way."""
        return self.unfinished.get(run.log_path, ())

    def as_json(self) -> str:
        """Return the one JSON document that ``--json`` prints."""
        return as_document(self)


def find_status(request: StatusRequest) -> Status:
    """Look; nothing is written.

    Raises:
        UsageError: the options cannot work, or there is no such run.
        LogDirError: the run logs cannot be listed.
    """
    log_dir, now = request.folder(), datetime.now(UTC)
    since = None if request.days is None else now.timestamp() - request.days * DAY_S
    seen = overview(log_dir, now, since)
    rounds = read_rounds(log_dir, 1)
    last_round = rounds.rounds[-1] if rounds.rounds else None
    problems = [*seen.problems, *filter(None, [rounds.problem])]
    if request.run_id is not None:
        return _details(log_dir, now, _called(request.run_id, seen.runs, log_dir), last_round, seen.problems)
    runs = [run for run in seen.runs if not request.states or run.state in request.states]
    narrowed = bool(request.states) or request.days is not None
    return Status(log_dir, now, runs, last_round, problems, narrowed)


def _called(run_id: str, runs: Sequence[RunSummary], log_dir: str) -> list[RunSummary]:
    """Return the runs of that id, or the one whose log has that name."""
    found = [run for run in runs if run_id in (run.run_id, printable(run.run_id), _stem(run))]
    if found:
        return found
    where = f'no run "{printable(run_id)}" is known in {printable(log_dir)}'
    similar = similar_ids(run_id, {run.run_id for run in runs})
    if similar:
        raise UsageError(f"{where}; there is {', '.join(map(printable, similar))}")
    raise UsageError(f"{where}; without a run id status lists all")


def _stem(run: RunSummary) -> str:
    return os.path.basename(run.log_path).removesuffix(SUFFIX)


def similar_ids(run_id: str, known: Iterable[str]) -> list[str]:
    """Return known ids that may have been meant: first those that hold what was given."""
    wanted = run_id.lower()
    ids = sorted(known)
    holding = [text for text in ids if wanted and wanted in text.lower()]
    return list(dict.fromkeys(holding + difflib.get_close_matches(run_id, ids, MOST_SUGGESTED)))[:MOST_SUGGESTED]


def _details(
    log_dir: str, now: datetime, runs: Sequence[RunSummary], last_round: Round | None, problems: Sequence[str]
) -> Status:
    paths = [path for run in runs for path in (run.log_path, run.journal_path)]
    concerning = [problem for problem in problems if any(path in problem for path in paths)]
    unfinished = {}
    for run in runs:
        try:
            replayed = replay(read_lines(run.journal_path), run.journal_path)
        except (CorruptJournal, OSError):  # the overview has told that
            continue
        unfinished[run.log_path] = _unfinished(replayed)
    return Status(log_dir, now, runs, last_round, concerning, detailed=True, unfinished=unfinished)


def _unfinished(replayed: Replayed) -> list[Unfinished]:
    return [
        Unfinished(name, upload.size, sum(part.size for part in upload.parts.values()))
        for name, upload in replayed.uploads.items()
    ]
