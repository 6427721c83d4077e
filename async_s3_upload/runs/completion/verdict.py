"""What is said of a run folder, and by which rules."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from async_s3_upload.runs.instrument import UNKNOWN, Instrument

RUN_INFO = "RunInfo.xml"
COPY_COMPLETE = "CopyComplete.txt"
RTA_COMPLETE = ("RTAComplete.txt", "RTAComplete.xml")
TERMINATION_FILES = (COPY_COMPLETE, *RTA_COMPLETE)
DEFAULT_GRACE_S = 3600.0


@dataclass(frozen=True, slots=True)
class CompletionRules:
    """How runs are recognised and when they count as ended.

    ``by``: the rule of the ``instrument``, or ``any``: RunInfo.xml makes a run, and any of ``TERMINATION_FILES`` ends
    it, failed or not, as in the replaced tool. ``run_markers`` and ``completion_markers`` are names or shell patterns
    relative to the run folder: any of the first makes a folder a run (beside what instruments write); where there are
    some of the second, any of them ends a run, and nothing else does. ``grace_s``: seconds for which a sign that may
    not be the last one has to be there before it counts.
    """

    by: Literal["instrument", "any"] = "instrument"
    completion_markers: tuple[str, ...] = ()
    run_markers: tuple[str, ...] = ()
    grace_s: float = DEFAULT_GRACE_S


DEFAULT = CompletionRules()


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far a run is, and the rule that decided, as a phrase: ``NovaSeq X: CopyComplete.txt ends a run``.

    ``failed``: the instrument says that the run failed or was aborted, ``detail`` then says how; ``ended`` tells
    whether nothing more is to come of it (always so of a ``complete`` run, never of a ``running`` one). ``markers`` are
    the termination files found, by their names relative to the run folder, that of the end first; they may be there
    while a run is ``running``.
    """

    state: Literal["running", "complete", "failed"]
    rule: str
    detail: str
    markers: tuple[str, ...] = ()
    ended: bool = False


@dataclass(frozen=True, slots=True)
class RunFolder:
    """What a run folder tells of its run without a look at its data.

    ``begun_at`` is in seconds since the epoch: the mtime of what makes the folder a run's, ``begun_by`` (RunInfo.xml).
    """

    path: str
    begun_at: float
    verdict: Verdict
    instrument: Instrument = UNKNOWN
    begun_by: str = RUN_INFO

    @property
    def run_id(self) -> str:
        """The run's id: the name of its folder."""
        return os.path.basename(self.path)

    @property
    def is_complete(self) -> bool:
        """Whether the instrument has written all of it."""
        return self.verdict.state == "complete"
