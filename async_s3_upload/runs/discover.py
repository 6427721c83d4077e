"""Finds the run folders among the immediate sub-folders of a monitored folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from async_s3_upload.runs.completion import DEFAULT, CompletionRules, RunFolder, look_at
from async_s3_upload.text import printable

log = logging.getLogger(__name__)

ANY_FOLDER = "*"
"""As a part of a monitored path it stands for every folder there, hidden ones left out."""


@dataclass(slots=True)
class Found:
    """What lies in one monitored folder.

    ``others`` counts the sub-folders that are no run folders. ``problems`` are sentences about what could
    not be looked at: they are alerts, the rest goes on.
    """

    runs: list[RunFolder] = field(default_factory=list)
    others: int = 0
    problems: list[str] = field(default_factory=list)


def find_runs(
    monitored_directory: str, rules: CompletionRules = DEFAULT, now: float | None = None, seen: set[str] | None = None
) -> Found:
    """Look at each immediate sub-folder (links to folders included), in the order of their names.

    A part ``*`` of the path stands for every folder there, unless a folder of that very name exists. That it stands for
    none at the moment is no problem. Folders whose paths are in ``seen`` are left out, and those looked at are added.
    """
    found = Found()
    looked_at = set() if seen is None else seen
    for folder in _expanded(os.path.normpath(monitored_directory), found.problems):
        for path in _sub_folders(folder, found.problems):
            if path not in looked_at:
                looked_at.add(path)
                _look(path, rules, now, found)
    return found


def _look(path: str, rules: CompletionRules, now: float | None, found: Found) -> None:
    try:
        run = look_at(path, rules, now)
    except OSError as error:
        found.problems.append(f"{printable(path)} cannot be looked into: {error.strerror or error}")
        return
    if run is None:
        found.others += 1
    else:
        found.runs.append(run)


def _expanded(pattern: str, problems: list[str]) -> list[str]:
    parts = pattern.split(os.sep)
    if ANY_FOLDER not in parts or os.path.isdir(pattern):
        return [pattern]
    folders = [os.sep]
    for part in parts[1:]:
        if part != ANY_FOLDER:
            folders = [os.path.join(folder, part) for folder in folders]
        else:
            folders = [inner for folder in folders for inner in _folders_for_any(folder, pattern, problems)]
    if not folders:
        log.info("monitored folder %s stands for no folder at the moment", printable(pattern))
    return folders


def _folders_for_any(folder: str, pattern: str, problems: list[str]) -> Iterator[str]:
    literal = os.path.join(folder, ANY_FOLDER)
    if os.path.isdir(literal):
        yield literal
        return
    is_given = pattern.startswith(f"{folder.rstrip(os.sep)}{os.sep}{ANY_FOLDER}")
    if not is_given and not os.path.isdir(folder):
        return  # what follows a wildcard need not be in every folder
    for path in _sub_folders(folder, problems):
        if not os.path.basename(path).startswith("."):
            yield path


def _sub_folders(folder: str, problems: list[str]) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.path for entry in entries if _is_folder(entry))
    except OSError as error:
        problems.append(
            f"monitored folder {printable(folder)} cannot be read: {error.strerror or error}; "
            "check that it exists, is mounted and that this user may list it"
        )
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that goes round in circles is no run folder
        return False
