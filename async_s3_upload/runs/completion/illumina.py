"""When a run of an Illumina instrument has ended.

CopyComplete.txt is the last file of the Universal Copy Service, which copies the run to its output folder.
RTAComplete.txt (or .xml) only says that Real-Time Analysis is done: on instruments with that service it comes earlier,
1.5 hours were seen.

Sources: Illumina Knowledge 2443 (NextSeq 1000/2000, flag files), 1678 (MiSeq: "RTA (Windows 7 - MCS v3.1 and older) or
Universal Copy Service (Windows 10 - v4.0)"); support-docs.illumina.com, NovaSeqX, OutputFolderStructure;
GenomiqueENS/aozan#17 (a MiSeq 4 run has both files), miso-lims/miso-lims#2254 (NovaSeq, NextSeq 500), RunParameters.xml
of NextSeq 500 software 4.0 (CopyServiceRunId) and 2.1 (none), arteria-project/arteria-runfolder (serials A, LH, FS:
CopyComplete.txt; M, D, ST-E: RTAComplete.txt), uci-grthub/bcl_conversion (MiSeq i100), fls-bioinformatics-core/
genomics, platforms (NovaSeq, NextSeq: CopyComplete.txt; others: RTAComplete.txt). Of the MiniSeq no source says it for
each version: there either file counts, as with unknown instruments, unless RunParameters.xml names the service.
"""

from __future__ import annotations

import re
from typing import Literal

from async_s3_upload.runs import instrument as known
from async_s3_upload.runs.completion.listing import Listing
from async_s3_upload.runs.completion.verdict import COPY_COMPLETE, RTA_COMPLETE, TERMINATION_FILES, Verdict
from async_s3_upload.runs.instrument import Instrument
from async_s3_upload.runs.instrument_files import xml_values
from async_s3_upload.text import one_line

Due = Literal["copy", "rta", "either"]
"""What ends a run: CopyComplete.txt alone, RTAComplete.txt too, or the latter once it is old enough."""

ALWAYS: dict[str, Due] = {
    known.NOVASEQ_6000: "copy",
    known.NOVASEQ_X: "copy",
    known.NEXTSEQ_2000: "copy",
    known.MISEQ_I100: "copy",
    known.ISEQ: "copy",
    known.HISEQ: "rta",
    known.HISEQ_2500: "rta",
    known.HISEQ_4000: "rta",
    known.HISEQ_X: "rta",
}
COPY_SINCE = {known.NEXTSEQ_500: 4, known.MISEQ: 4}
"""First number of the control software's version that copies with the Universal Copy Service; older ones do not."""

_MISSING: dict[Due, str] = {
    "copy": f"{COPY_COMPLETE} is not there yet",
    "rta": "RTAComplete.txt is not there yet",
    "either": f"neither {COPY_COMPLETE} nor RTAComplete.txt is there yet",
}

STATUS = "RunCompletionStatus.xml"
_STATUS_VALUES = frozenset(("completionstatus", "runstatus", "errordescription", "message"))
_FAILURE = re.compile(r"error|fail|abort|exception|endedearly|stopped|cancel|terminat", re.IGNORECASE)
"""In a status. Seen are CompletedAsPlanned, SuccessfullyCompleted and RunCompleted, and of runs that went wrong
UserEndedEarly, ExceptionEndedEarly and RunErrored (test files of public programs). A status
that nobody knows is no failure: a run that is uploaded needlessly does less harm than one that is left."""


def due_of(instrument: Instrument) -> Due:
    """Return what ends the runs of an instrument."""
    if instrument.copy_service:
        return "copy"
    since = COPY_SINCE.get(instrument.platform)
    if since is None:
        return ALWAYS.get(instrument.platform, "either")
    version = instrument.software_major
    if version is None:
        return "either"
    return "copy" if version >= since else "rta"


def markers_of(listing: Listing) -> tuple[str, ...]:
    """Return the files there that belong to the end of a run, CopyComplete.txt first."""
    return listing.files((*TERMINATION_FILES, STATUS))


def judge(listing: Listing, instrument: Instrument, grace_s: float, now: float) -> Verdict:
    """Say how far the run is; ``now`` in seconds since the epoch.

    Raises:
        OSError: RTAComplete.txt is there and cannot be looked at.
    """
    due = due_of(instrument)
    rule = f"{instrument.name}: {_rule_text(due, grace_s)}"
    copied, rta = listing.file(COPY_COMPLETE), next(iter(listing.files(RTA_COMPLETE)), None)
    if copied is not None:
        return Verdict("complete", rule, f"complete by {copied}", markers_of(listing), ended=True)
    if rta is None or due == "copy":
        missing = {"copy": COPY_COMPLETE, "rta": "RTAComplete.txt"}.get(
            due, f"neither {COPY_COMPLETE} nor RTAComplete.txt"
        )
        detail = f"{missing} is {'' if due == 'either' else 'not '}there yet"
        if rta is not None:
            detail = f"{rta} is there, but {detail}"
        return Verdict("running", rule, detail, markers_of(listing))
    age_s = now - listing.mtime(rta)
    if due == "either" and age_s < grace_s:
        detail = (
            f"{rta} is {max(age_s, 0) / 60:.0f} min old, without {COPY_COMPLETE} it counts after {grace_s / 60:g} min"
        )
        return Verdict("running", rule, detail, markers_of(listing))
    return Verdict("complete", rule, f"complete by {rta}", markers_of(listing), ended=True)


def failure_of(listing: Listing) -> str | None:
    """Return what RunCompletionStatus.xml says of a run that failed or was aborted; None of any other run.

    Both schemas are read: CompletionStatus with ErrorDescription, and RunStatus with the Message of a RunError.
    """
    name = listing.file(STATUS)
    if name is None:
        return None
    found = xml_values(listing.at(name), _STATUS_VALUES)
    status = found.get("completionstatus") or found.get("runstatus") or ""
    if not _FAILURE.search(status):
        return None
    why = found.get("errordescription") or found.get("message") or ""
    said = status if why.lower() in ("", "none") else f"{status}: {why}"
    return f"the instrument says that it failed: {one_line(said[:300])}"


def _rule_text(due: Due, grace_s: float) -> str:
    if due == "copy":
        return f"{COPY_COMPLETE} ends a run"
    if due == "rta":
        return "RTAComplete.txt or .xml ends a run"
    return f"{COPY_COMPLETE} ends a run, or RTAComplete.txt or .xml once it is {grace_s / 60:g} min old"
