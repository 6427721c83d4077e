"""Is a folder a sequencing run, and has the run ended?

The rule is that of the replaced tool: a run folder holds RunInfo.xml; it is complete once
CopyComplete.txt or RTAComplete.txt/.xml is there. The files are judged by presence only: real ones hold
a date, one space, or nothing.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

RUN_INFO = "RunInfo.xml"
TERMINATION_FILES = ("CopyComplete.txt", "RTAComplete.txt", "RTAComplete.xml")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """What the top level of a run folder tells of the run.

    ``run_info_mtime`` is in seconds since the epoch; ``marker`` is the name of the termination file
    found, or None while the run goes on.
    """

    path: str
    run_info_mtime: float
    marker: str | None

    @property
    def run_id(self) -> str:
        """The run's id: the name of its folder."""
        return os.path.basename(self.path)


def look_at(path: str) -> RunFolder | None:
    """Tell whether ``path`` is a run folder, and how far the run is; None for any other folder.

    Raises:
        OSError: the folder cannot be looked into.
    """
    run_info = _stat_file(path, RUN_INFO)
    if run_info is None:
        return None
    for name in TERMINATION_FILES:
        if _stat_file(path, name) is not None:
            return RunFolder(path, run_info.st_mtime, name)
    return RunFolder(path, run_info.st_mtime, _marker_in_other_case(path))


def _stat_file(folder: str, name: str) -> os.stat_result | None:
    try:
        found = os.stat(os.path.join(folder, name))
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def _marker_in_other_case(folder: str) -> str | None:
    """Some instruments' shares write ``copycomplete.txt``."""
    wanted = {name.lower() for name in TERMINATION_FILES}
    for name in sorted(os.listdir(folder)):
        if name.lower() in wanted and _stat_file(folder, name) is not None:
            return name
    return None
