"""What lies in the monitored folders, and what is to happen to each run found there."""

from __future__ import annotations

from dataclasses import dataclass

from async_s3_upload.cli.report import RunRow
from async_s3_upload.cli.session import object_settings
from async_s3_upload.cli.uploading import RunTask
from async_s3_upload.config import Config, MonitorSection
from async_s3_upload.runs.completion import CompletionRules, RunFolder
from async_s3_upload.runs.discover import find_runs
from async_s3_upload.runs.samplesheet import read_samples
from async_s3_upload.runs.selection import Decision, Remembered, Rules, decide
from async_s3_upload.state.run_logs import Identity, RunLogs


@dataclass(slots=True)
class Survey:
    """What lies in all monitored folders: runs to upload (partial ones first) and rows of the others."""

    tasks: list[RunTask]
    skipped: list[RunRow]
    problems: list[str]
    torn_logs: list[str]
    others: int


def survey(config: Config, now: float) -> Survey:
    """Look at every monitored folder and decide about each run; ``now`` in seconds since the epoch."""
    logs = RunLogs(config.log_dir)
    wanted: list[tuple[bool, float, RunTask]] = []
    result = Survey([], [], [], [], 0)
    seen: set[Identity] = set()
    for section in config.monitor:
        rules = completion_rules(section)
        looked_at: set[str] = set()
        for folder in section.monitored_directories:
            found = find_runs(folder, rules, now, looked_at)
            result.problems += found.problems
            result.others += found.others
            for run in found.runs:
                task, decision = _judge(run, section, config, logs, result.torn_logs, now)
                if not decision.wanted:
                    row = task.row()
                    row.state = "skipped"
                    result.skipped.append(row)
                elif task.identity not in seen:
                    seen.add(task.identity)
                    wanted.append((decision.reason != "partial", run.begun_at, task))
    wanted.sort(key=lambda entry: entry[:2])
    result.tasks = [task for _, _, task in wanted]
    return result


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
    )


def _judge(
    run: RunFolder, section: MonitorSection, config: Config, logs: RunLogs, torn_logs: list[str], now: float
) -> tuple[RunTask, Decision]:
    identity = Identity(run.path, section.bucket, section.remote_path)
    memory = logs.find(identity)
    if memory.problem is not None and memory.problem not in torn_logs:
        torn_logs.append(memory.problem)
    remembered: Remembered = "new"
    if memory.log is not None:
        remembered = "uploaded" if memory.log.completed else "partial"
    elif memory.problem is not None:
        remembered = "partial"
    decision = decide(run, remembered, selection_rules(section, config), now, read_samples)
    task = RunTask(
        identity,
        section.exclude_patterns,
        decision.reason,
        decision.detail,
        object_settings(config.object_properties(section)),
        instrument=run.instrument,
        rule=run.verdict.rule,
    )
    return task, decision
