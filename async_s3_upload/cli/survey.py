"""What lies in the monitored folders, and what is to happen to each run found there."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from datetime import datetime

from async_s3_upload.cli.session import object_settings
from async_s3_upload.config import Config, MonitorSection
from async_s3_upload.delivery.remaining import left_to_send
from async_s3_upload.delivery.row import RunRow
from async_s3_upload.delivery.uploading import RunTask
from async_s3_upload.runs.completion import CompletionRules, RunFolder
from async_s3_upload.runs.discover import find_runs
from async_s3_upload.runs.samplesheet import read_samples
from async_s3_upload.runs.scan import scan
from async_s3_upload.runs.selection import Decision, Remembered, Rules, decide
from async_s3_upload.state.run_log import RunLog
from async_s3_upload.state.run_logs import Identity, RunLogs

HOUR_S = 3600.0
LONGEST_RUN_S = 14 * 24 * HOUR_S
"""Older runs that are not complete are history, and no concern: a run of several PacBio cells takes some days."""

_UNFINISHED = ("not_complete", "in_progress", "failed_on_instrument", "new", "partial")
"""Reasons of runs that the section wants, once they are complete; of the last two those that failed all the same."""


@dataclass(slots=True)
class Survey:
    """What lies in all monitored folders.

    ``tasks`` are complete runs to upload, partial ones first; ``running`` runs of which files go up while they are
    written, the one that was not served for the longest time first; ``skipped`` are rows of the others.
    ``unfinished`` are wanted runs that are not complete, or failed, were begun lately and are not uploaded.
    ``troubles`` are pairs of a monitored folder, as the config names it, and a sentence about what could not be looked
    at there.
    """

    tasks: list[RunTask] = field(default_factory=list)
    running: list[RunTask] = field(default_factory=list)
    skipped: list[RunRow] = field(default_factory=list)
    unfinished: list[RunFolder] = field(default_factory=list)
    troubles: list[tuple[str, str]] = field(default_factory=list)
    torn_logs: list[str] = field(default_factory=list)
    others: int = 0

    @property
    def problems(self) -> list[str]:
        """The sentences of ``troubles``."""
        return [problem for _, problem in self.troubles]


def survey(config: Config, now: float) -> Survey:
    """Look at every monitored folder and decide about each run; ``now`` in seconds since the epoch."""
    return _Surveyor(config, now).survey()


def completion_rules(section: MonitorSection) -> CompletionRules:
    """Return how runs of a section are recognised, and when they count as ended."""
    return CompletionRules(
        section.completion,
        tuple(section.completion_markers),
        tuple(section.run_markers),
        section.completion_grace * 60,
    )


def selection_rules(section: MonitorSection, config: Config) -> Rules:
    """Return which runs of a section are wanted."""
    return Rules(
        section.sample_regex,
        config.max_age,
        section.sample_match,
        section.run_regex,
        section.instrument_ids,
        section.upload_failed_runs,
        section.upload_in_progress,
    )


class _Surveyor:
    def __init__(self, config: Config, now: float) -> None:
        self._config = config
        self._now = now
        self._logs = RunLogs(config.log_dir)
        self._seen: set[Identity] = set()
        self._wanted: list[tuple[bool, float, RunTask]] = []
        self._running: list[tuple[str, RunTask]] = []
        self._unfinished: dict[str, RunFolder] = {}
        self._result = Survey()

    def survey(self) -> Survey:
        for section in self._config.monitor:
            rules = completion_rules(section)
            looked_at: set[str] = set()
            for folder in section.monitored_directories:
                found = find_runs(folder, rules, self._now, looked_at)
                self._result.troubles += [(folder, problem) for problem in found.problems]
                self._result.others += found.others
                for run in found.runs:
                    self._judge(run, section)
        self._wanted.sort(key=lambda entry: entry[:2])
        self._running.sort(key=lambda entry: entry[0])
        self._result.tasks = [task for _, _, task in self._wanted]
        self._result.running = [task for _, task in self._running]
        self._result.unfinished = list(self._unfinished.values())
        return self._result

    def _judge(self, run: RunFolder, section: MonitorSection) -> None:
        identity = Identity(run.path, section.bucket, section.remote_path)
        memory = self._logs.find(identity)
        if memory.problem is not None and memory.problem not in self._result.torn_logs:
            self._result.torn_logs.append(memory.problem)
        remembered: Remembered = "new"
        if memory.log is not None:
            remembered = "uploaded" if memory.log.completed else "partial"
        elif memory.problem is not None:
            remembered = "partial"
        decision = decide(run, remembered, selection_rules(section, self._config), self._now, read_samples)
        if remembered == "uploaded" and memory.log is not None:
            decision = self._look_again(run, section, memory.log) or decision
        elif not run.is_complete and decision.reason in _UNFINISHED and self._now - run.begun_at <= LONGEST_RUN_S:
            self._unfinished[run.path] = run
        task = RunTask(
            identity,
            section.exclude_patterns,
            decision.reason,
            decision.detail,
            object_settings(self._config.object_properties(section)),
            instrument=run.instrument,
            rule=run.verdict.rule,
            markers=tuple(section.completion_markers),
            manifest=section.manifest,
        )
        self._sort_in(run, task, decision, section.min_file_age, memory.log)

    def _sort_in(
        self, run: RunFolder, task: RunTask, decision: Decision, min_file_age_s: float, known: RunLog | None
    ) -> None:
        if not decision.wanted:
            row = task.row()
            row.state = "skipped"
            self._result.skipped.append(row)
        elif task.identity not in self._seen:
            self._seen.add(task.identity)
            if decision.reason == "in_progress":
                served = (known.updated_at if known is not None else None) or ""
                self._running.append((served, replace(task, min_file_age_s=min_file_age_s)))
            else:
                self._wanted.append((decision.reason != "partial", run.begun_at, task))

    def _is_young(self, then: float) -> bool:
        return (self._now - then) / HOUR_S <= self._config.max_age

    def _look_again(self, run: RunFolder, section: MonitorSection, known: RunLog) -> Decision | None:
        """Decide that a run which is recorded as uploaded goes up again as far as it changed; None: it did not."""
        if not run.verdict.ended or not (self._was_completed_lately(known) or self._ended_again(run, section, known)):
            return None
        try:
            found = scan(run.path, section.exclude_patterns)
        except OSError:
            return None  # a folder that cannot be read has nothing to send, and all that was there is in S3
        left = left_to_send(found, known)
        number = len(left) + len(found.unsendable)
        if not number:
            return None
        first = min((file.name for file in left), default="") or found.unsendable[0].name
        more = f" and {number - 1:,} more" if number > 1 else ""
        return Decision(True, "changed", f"{first}{more} came or changed after it was complete")

    def _was_completed_lately(self, known: RunLog) -> bool:
        hours = self._config.rescan_completed_hours
        if not hours or known.completed_at is None:
            return False
        try:
            completed_at = datetime.fromisoformat(known.completed_at).timestamp()
        except ValueError:
            return False
        return self._now - completed_at <= hours * HOUR_S

    def _ended_again(self, run: RunFolder, section: MonitorSection, known: RunLog) -> bool:
        """Tell whether there is a young marker that the log does not know: another cell of a PacBio run, for one."""
        return any(
            self._is_young(_mtime(path))
            for name in run.verdict.markers
            if name not in known.files and not _is_excluded(path := os.path.join(run.path, name), section)
        )


def _is_excluded(path: str, section: MonitorSection) -> bool:
    return any(pattern.search(path) for pattern in section.exclude_patterns)


def _mtime(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0
