"""Which runs ``verify`` looks at, where they went and what was left out of them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from async_s3_upload.cli.session import object_settings
from async_s3_upload.config import Config, MonitorSection
from async_s3_upload.errors import UsageError
from async_s3_upload.state.known_runs import KnownRun, known_runs
from async_s3_upload.state.run_log import RunLog
from async_s3_upload.state.run_logs import Identity, Remembered
from async_s3_upload.text import printable
from async_s3_upload.transfer.messages import ObjectSettings
from async_s3_upload.transfer.plan import DEFAULTS

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Target:
    """One run to one destination. ``exclude`` is None where nobody knows what was left out of it."""

    identity: Identity
    remembered: Remembered
    exclude: Sequence[re.Pattern[str]] | None
    settings: ObjectSettings = DEFAULTS


@dataclass(frozen=True, slots=True)
class NoTarget:
    """A remembered run of which not enough is known, with the reason."""

    run_id: str
    run_path: str
    reason: str


def runs_called(run_id: str, log_dir: str, config: Config | None) -> list[Target | NoTarget]:
    """Return all destinations of the runs of this name.

    Raises:
        UsageError: there is no run log of that name.
    """
    found = [
        target
        for run in known_runs(log_dir)
        if run_id in run.run_ids
        for target in _targets(run, config)
        if isinstance(target, NoTarget) or printable(target.identity.run_id) == printable(run_id)
    ]
    if not found:
        raise UsageError(f"--run: there is no run log of {printable(run_id)} in {printable(log_dir)}")
    return found


def runs_touched_since(since: float, log_dir: str, config: Config) -> list[Target | NoTarget]:
    """Return the runs whose run log was written after ``since`` (seconds since the epoch), oldest first."""
    recent = sorted((run for run in known_runs(log_dir) if run.touched >= since), key=lambda run: run.touched)
    return [target for run in recent for target in _targets(run, config)]


def _targets(run: KnownRun, config: Config | None) -> list[Target | NoTarget]:
    remembered = run.remembered()
    log = remembered.log
    if log is None:
        return [NoTarget(run.run_ids[-1], "", remembered.problem or "nothing is known of it")]
    section = _section(log, config)
    bucket, remote_path = log.bucket, log.remote_path
    if bucket is None or remote_path is None:
        if section is None:
            reason = (
                "its run log, written by the replaced tool, names no bucket, and no single section of a config does; "
                "verify it with --local-path and --bucket"
            )
            return [NoTarget(log.run_id, log.run_path, reason)]
        bucket, remote_path = section.bucket, section.remote_path
    settings = DEFAULTS
    if config is not None and section is not None:
        settings = object_settings(config.object_properties(section))
    return [Target(Identity(log.run_path, bucket, remote_path), remembered, excluded(log, section), settings)]


def _section(log: RunLog, config: Config | None) -> MonitorSection | None:
    """Return the section of the config that this run comes from, if it is one."""
    parent = os.path.dirname(log.run_path)
    fitting = [
        section
        for section in (config.monitor if config else [])
        if log.bucket in (None, section.bucket)
        and (log.remote_path is None or log.remote_path.strip("/") == section.remote_path.strip("/"))
        and parent in (os.path.normpath(folder) for folder in section.monitored_directories)
    ]
    return fitting[0] if len(fitting) == 1 else None


def excluded(log: RunLog, section: MonitorSection | None) -> Sequence[re.Pattern[str]] | None:
    """Return what was left out of the run: as its log says, else as the config says, else None."""
    if log.exclude_patterns is not None:
        try:
            return [re.compile(pattern) for pattern in log.exclude_patterns]
        except re.error:
            return None  # somebody edited the log
    if section is not None:
        return section.exclude_patterns
    return None if log.files else ()
