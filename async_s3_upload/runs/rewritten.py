"""Files of a running run that are written to again, known by their names alone.

What their makers say:

- ``InterOp/``: "InterOp files are updated throughout the run" (Illumina, NovaSeq 6000 guide 1000000019358, "Sequencing
  Output Files", and HiSeq X guide 15050091). The same table has RunInfo.xml "created at the beginning of the run": it
  is no such file.
- ``Logs/``, ``RTALogs/``, ``InstrumentAnalyticsLogs/``: "log files describing operational steps" and analysis steps
  (Illumina, NextSeq 550 and NovaSeq X, "Output Folder Structure"); they grow.
- ``Recipe/RunState.xml``: holds the cycle that a MiSeq is at (github.com/Illumina/interop, issue 52).
- ``RunParameters.xml``, ``runParameters.xml``: nobody says when these are whole; they are small, and can wait.
- Element AVITI: ``AvitiRunStats.json`` "records run metrics", likewise ``RunStats.*``; ``RunParameters.json``
  (docs.elembio.io, "Sequencing Run Output Files" and "Cytoprofiling Run Output Files").
- Oxford Nanopore: reads are written "as batch is filled"; summaries, reports and tables are whole at the end only, and
  lie at the top of the run (nanoporetech.github.io/ont-output-specifications, "MinKNOW" and "Output Structure").
  ``tmp`` and ``queued_reads`` hold what is moved elsewhere later (nanoporetech.com/support, "Why do my reads end up in
  the pod5_skip, queued_reads or tmp folder").
- PacBio: ``metadata/`` has logs and ``*.metadata.xml``, ``statistics/`` has ``*.sts.xml``
  (pacbiofileformats.readthedocs.io, "Revio & Vega file structure").
- rsync writes ``.NAME.XXXXXX`` beside the file, ``.~tmp~/`` with ``--delay-updates``, and by custom
  ``.rsync-partial/`` (rsync(1)).

A name that is missing here costs bytes that are sent twice, a name too many costs time; neither costs data.
"""

from __future__ import annotations

import re
from typing import Literal

Kind = Literal["rewritten", "temporary"]

_REWRITTEN_FOLDERS = frozenset({"interop", "logs", "rtalogs", "instrumentanalyticslogs"})
_TEMPORARY_FOLDERS = frozenset({"tmp", "queued_reads", ".~tmp~", ".rsync-partial"})

_TEMPORARY_ENDS = (".tmp", ".temp", ".part", ".partial", ".filepart", ".swp", "~")
_TEMPORARY_STARTS = ("~$", ".nfs")
_REWRITTEN_ENDS = (
    ".log",
    ".sts.xml",
    ".metadata.xml",
    "runparameters.xml",
    "runparameters.json",
    "runstate.xml",
    "runstats.json",
    "runstats.bin",
)
_REWRITTEN_STARTS = (
    "sequencing_summary",
    "sequencing_telemetry",
    "throughput",
    "barcode_alignment",
    "pore_activity",
    "duty_time",
    "mux_scan_data",
    "drift_correction",
    "report_",
)
_ENDS = _TEMPORARY_ENDS + _REWRITTEN_ENDS + (".csv",)
_STARTS = _TEMPORARY_STARTS + _REWRITTEN_STARTS + (".",)
_RSYNC = re.compile(r"\..+\.[A-Za-z0-9]{6}", re.DOTALL)


def kind_of_folder(folder: str) -> Kind | None:
    """Tell whether all that lies in ``folder`` (relative to the run, as in a ``Block``) is written to again."""
    if not folder:
        return None
    steps = folder.lower().split("/")
    if not _TEMPORARY_FOLDERS.isdisjoint(steps):
        return "temporary"
    return None if _REWRITTEN_FOLDERS.isdisjoint(steps) else "rewritten"


def is_plain(base: str) -> bool:
    """Whether a name is nothing for ``kind_of_file`` to look at: the quick answer for nearly all files of a run."""
    small = base.lower()
    return not (small.endswith(_ENDS) or small.startswith(_STARTS))


def kind_of_file(base: str, *, at_top: bool) -> Kind | None:
    """Tell whether a file of this name is written to again, wherever it lies; ``at_top``: in the run folder itself."""
    small = base.lower()
    if small.endswith(_TEMPORARY_ENDS) or small.startswith(_TEMPORARY_STARTS) or _RSYNC.fullmatch(base):
        return "temporary"
    if small.endswith(_REWRITTEN_ENDS) or small.startswith(_REWRITTEN_STARTS):
        return "rewritten"
    return "rewritten" if at_top and small.endswith(".csv") else None
