"""Finds the run folders among the immediate sub-folders of a monitored folder."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from async_s3_upload.runs.completion import RunFolder, look_at
from async_s3_upload.text import printable


@dataclass(slots=True)
class Found:
    """What lies in one monitored folder.

    ``others`` counts the sub-folders that are no run folders. ``problems`` are sentences about what could
    not be looked at: they are alerts, the rest goes on.
    """

    runs: list[RunFolder] = field(default_factory=list)
    others: int = 0
    problems: list[str] = field(default_factory=list)


def find_runs(monitored_directory: str) -> Found:
    """Look at each immediate sub-folder (links to folders included), in the order of their names."""
    found = Found()
    folder = os.path.normpath(monitored_directory)
    try:
        with os.scandir(folder) as entries:
            paths = sorted(entry.path for entry in entries if _is_folder(entry))
    except OSError as error:
        found.problems.append(
            f"monitored folder {printable(folder)} cannot be read: {error.strerror or error}; "
            "check that it exists, is mounted and that this user may list it"
        )
        return found
    for path in paths:
        try:
            run = look_at(path)
        except OSError as error:
            found.problems.append(f"{printable(path)} cannot be looked into: {error.strerror or error}")
            continue
        if run is None:
            found.others += 1
        else:
            found.runs.append(run)
    return found


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that goes round in circles is no run folder
        return False
