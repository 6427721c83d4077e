"""Finds the run folders among the immediate sub-folders of a monitored folder."""

from __future__ import annotations

import logging
import os
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
    if ANY_FOLDER not in pattern.split(os.sep):
        return [pattern]
    folders, after_any = [os.sep], False
    for part in pattern.split(os.sep)[1:]:
        inner = [os.path.join(folder, part) for folder in folders]
        if part == ANY_FOLDER:
            inner = [found for path in inner for found in _any_folder(path, problems)]
            after_any = True
        # what stands behind a star need not be in every folder; what stands before the first has to be there
        folders = [path for path in inner if _may_be_there(path)] if after_any else inner
    if not folders:
        log.info("monitored folder %s stands for no folder at the moment", printable(pattern))
    return folders


def _any_folder(path: str, problems: list[str]) -> list[str]:
    if os.path.isdir(path):  # it is named so
        return [path]
    found = _sub_folders(os.path.dirname(path), problems)
    return [folder for folder in found if not os.path.basename(folder).startswith(".")]


def _may_be_there(path: str) -> bool:
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # who tries to list it says what is wrong
        return True
    return True


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
