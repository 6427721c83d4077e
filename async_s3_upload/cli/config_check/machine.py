"""What ``config check`` sees on this machine: the log folder, its lock, the monitored folders. It creates nothing."""

from __future__ import annotations

import os
import pwd
import tempfile
from collections.abc import Iterator

from async_s3_upload.cli.config_check.findings import Finding
from async_s3_upload.cli.config_check.summary import counted
from async_s3_upload.cli.logs import LOCK_FILE, LOG_FILE
from async_s3_upload.cli.survey import completion_rules
from async_s3_upload.config import Config
from async_s3_upload.errors import LogDirError
from async_s3_upload.runs.discover import find_runs
from async_s3_upload.state.lock import AlreadyRunning, exclusive
from async_s3_upload.state.run_logs import LOCKS, UPLOADS
from async_s3_upload.text import duration_text, plural, size_text

LEAST_SPACE = 100 * 10**6
"""Bytes; the run log and the journal of a run of a million files take some 400 MB."""


def user() -> str:
    """Return the name of the user of this process, or the number where it has no name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name  # variables such as USER may name another one
    except KeyError:
        return f"number {os.getuid()}"


def check_log_dir(log_dir: str, now: float) -> Iterator[Finding]:
    """Tell whether the log folder can be written, and when a round last did; one that is not there yet is not made."""
    subject = f"log_dir {log_dir}"
    trouble = _write_trouble(log_dir) if os.path.isdir(log_dir) else _making_trouble(log_dir)
    if trouble:
        advice = f"give user {user()} the right to write there, or name another log_dir"
        yield Finding("log_dir", "problem", subject, trouble, advice)
        return
    if not os.path.isdir(log_dir):
        yield Finding("log_dir", "ok", subject, f"is not there yet, user {user()} can make it; no round ran")
        return
    space = os.statvfs(log_dir)
    free = space.f_bavail * space.f_frsize
    if free < LEAST_SPACE:
        yield Finding("log_dir", "warning", subject, f"has only {size_text(free)} left", "make room")
    else:
        yield Finding(
            "log_dir",
            "ok",
            subject,
            f"can be written by user {user()}, {size_text(free)} left; {_last_round(log_dir, now)}",
        )
    yield from _check_lock(log_dir)


def _last_round(log_dir: str, now: float) -> str:
    try:
        age_s = max(0.0, now - os.stat(os.path.join(log_dir, LOG_FILE)).st_mtime)
    except OSError:
        return "no round wrote its log there yet"
    return f"a round last wrote its log {duration_text(age_s)} ago"


def _making_trouble(path: str) -> str:
    """Return why a folder that is not there cannot be made, or an empty text."""
    if os.path.lexists(path):
        return "is no folder"
    parent = os.path.dirname(path)
    while not os.path.lexists(parent):
        parent = os.path.dirname(parent)
    if not os.path.isdir(parent):
        return f"cannot be made: {parent} is no folder"
    return (
        "" if os.access(parent, os.W_OK | os.X_OK) else f"cannot be made: {parent} cannot be written by user {user()}"
    )


def _write_trouble(log_dir: str) -> str:
    for folder in (log_dir, os.path.join(log_dir, UPLOADS), os.path.join(log_dir, LOCKS)):
        try:
            if folder == log_dir or os.path.lexists(folder):
                tempfile.TemporaryFile(dir=folder, prefix=".writable.").close()
        except OSError as error:
            return f"{folder} cannot be written by user {user()}: {error.strerror or error}"
    log_file = os.path.join(log_dir, LOG_FILE)
    if os.path.lexists(log_file) and not os.access(log_file, os.W_OK):
        return f"{log_file} cannot be written by user {user()}"
    return ""


def _check_lock(log_dir: str) -> Iterator[Finding]:
    path = os.path.join(log_dir, LOCK_FILE)
    subject = f"lock {path}"
    if not os.path.lexists(path):
        yield Finding("lock", "ok", subject, "is not there yet, nothing runs")
        return
    try:
        with exclusive(path, patient=False):
            yield Finding("lock", "ok", subject, "is free, nothing runs")
    except AlreadyRunning as other:
        text = f"is held: an upload runs at the moment{other.by}, others wait for its end"
        yield Finding("lock", "ok", subject, text)
    except LogDirError as error:
        yield Finding(
            "lock", "problem", subject, str(error), f"give it to user {user()}, or remove it while nothing runs"
        )


def check_outputs(config: Config) -> Iterator[Finding]:
    """Tell whether the files that each round replaces can be: their folder has to be there, and to take new files."""
    for key, path in (("report_html", config.report_html), ("metrics_file", config.metrics_file)):
        if path is None:
            continue
        folder = os.path.dirname(path)
        try:
            tempfile.TemporaryFile(dir=folder, prefix=".writable.").close()
        except OSError as error:
            text = f"{folder} cannot be written by user {user()}: {error.strerror or error}"
            yield Finding(
                "output", "problem", f"{key} {path}", text, "make the folder, and give the user the right to it"
            )
        else:
            yield Finding("output", "ok", f"{key} {path}", "can be replaced")


def check_folders(config: Config, now: float) -> Iterator[Finding]:
    """Tell of each monitored folder whether it can be read and how many run folders it has."""
    for number, section in enumerate(config.monitor):
        for folder in section.monitored_directories:
            subject = f"monitor[{number}] {folder}"
            found = find_runs(folder, completion_rules(section), now)
            for problem in found.problems:
                yield Finding("folder", "problem", subject, problem)
            if found.problems:
                continue
            held = f"{counted(len(found.runs), 'run folder')}, {plural(found.others, 'other sub-folder')}"
            if found.runs:
                yield Finding("folder", "ok", subject, f"can be read: {held}")
            else:
                advice = "check that this is the folder right above the run folders, and that it is mounted"
                yield Finding("folder", "warning", subject, f"can be read, and has {held}", advice)
