"""Is a folder a sequencing run, and has the run ended?

The rule is that of the replaced tool: a run folder holds RunInfo.xml; it is complete once
CopyComplete.txt or RTAComplete.txt/.xml is there. The files are judged by presence only: real ones hold
a date, one space, or nothing.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import Literal

from async_s3_upload.runs.instrument import UNKNOWN, Instrument

RUN_INFO = "RunInfo.xml"
TERMINATION_FILES = ("CopyComplete.txt", "RTAComplete.txt", "RTAComplete.xml")


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far a run is, and the rule that decided, as a phrase: ``NovaSeq X: CopyComplete.txt ends a run``.

    ``failed``: the instrument says that the run failed or was aborted, ``detail`` then says how. ``markers`` are the
    termination files found, by their names relative to the run folder; they may be there while a run is ``running``.
    """

    state: Literal["running", "complete", "failed"]
    rule: str
    detail: str
    markers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunFolder:
    """What a run folder tells of its run without a look at its data.

    ``begun_at`` is in seconds since the epoch: the mtime of the file that makes the folder a run's (RunInfo.xml).
    """

    path: str
    begun_at: float
    verdict: Verdict
    instrument: Instrument = UNKNOWN

    @property
    def run_id(self) -> str:
        """The run's id: the name of its folder."""
        return os.path.basename(self.path)

    @property
    def is_complete(self) -> bool:
        """Whether the instrument has written all of it."""
        return self.verdict.state == "complete"


def look_at(path: str) -> RunFolder | None:
    """Tell whether ``path`` is a run folder, and how far the run is; None for any other folder.

    Raises:
        OSError: the folder cannot be looked into.
    """
    run_info = _stat_file(path, RUN_INFO)
    if run_info is None:
        return None
    marker = next((name for name in TERMINATION_FILES if _stat_file(path, name) is not None), None)
    marker = marker or _marker_in_other_case(path)
    rule = f"any of {', '.join(TERMINATION_FILES)} ends a run"
    if marker is None:
        verdict = Verdict("running", rule, f"none of {', '.join(TERMINATION_FILES)} is there yet")
    else:
        verdict = Verdict("complete", rule, f"complete by {marker}", (marker,))
    return RunFolder(path, run_info.st_mtime, verdict)


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
