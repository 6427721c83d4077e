"""Looks at a folder: whose run is it, and how far?"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace

from async_s3_upload.runs.completion import illumina, others
from async_s3_upload.runs.completion.listing import Listing, files_like
from async_s3_upload.runs.completion.verdict import (
    DEFAULT,
    RUN_INFO,
    TERMINATION_FILES,
    CompletionRules,
    RunFolder,
    Verdict,
)
from async_s3_upload.runs.instrument import UNKNOWN, Instrument, instrument_of
from async_s3_upload.runs.instrument_files import illumina_hints

_RUN_PARAMETERS = "RunParameters.xml"


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A folder that is a run's; ``begun_by`` is a file's name, or None where only the folder says so."""

    instrument: Instrument
    begun_by: str | None
    is_illumina: bool


def look_at(path: str, rules: CompletionRules = DEFAULT, now: float | None = None) -> RunFolder | None:
    """Tell whether ``path`` is a run folder, and how far the run is; None for any other folder.

    The folder is listed once; of files, only small ones of the instrument are read, and no content of them raises.
    ``now`` is in seconds since the epoch, by default the present.

    Raises:
        OSError: the folder, or a file of it that matters, cannot be looked at.
    """
    try:
        listing = Listing(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    found = _recognised(listing, rules)
    if found is None:
        return None
    begun_at = os.stat(path if found.begun_by is None else listing.at(found.begun_by)).st_mtime
    verdict = _judged(listing, found, rules, time.time() if now is None else now)
    return RunFolder(path, begun_at, verdict, found.instrument, found.begun_by or "the run folder")


def _recognised(listing: Listing, rules: CompletionRules) -> _Candidate | None:
    run_info = listing.file(RUN_INFO)
    if run_info is not None:
        parameters = listing.file(_RUN_PARAMETERS)
        hints = illumina_hints(
            listing.at(run_info),
            None if parameters is None else listing.at(parameters),
            os.path.basename(listing.path),
        )
        return _Candidate(instrument_of(hints), run_info, is_illumina=True)
    if rules.by == "instrument" and (origin := others.recognise(listing)) is not None:
        return _Candidate(origin.instrument, origin.file, is_illumina=False)
    for pattern in rules.run_markers:
        if marked := files_like(listing, pattern):
            return _Candidate(UNKNOWN, marked[0], is_illumina=True)
    return None


def _judged(listing: Listing, found: _Candidate, rules: CompletionRules, now: float) -> Verdict:
    if rules.completion_markers:
        verdict = _configured(listing, rules.completion_markers)
    elif rules.by == "any":
        return _any(listing)
    elif not found.is_illumina:
        return others.judge(listing, found.instrument, rules.grace_s, now)
    else:
        verdict = illumina.judge(listing, found.instrument, rules.grace_s, now)
    failure = illumina.failure_of(listing)
    if failure is None:
        return verdict
    ended = verdict.ended or now - listing.mtime(listing.file(illumina.STATUS) or "") >= rules.grace_s
    return replace(verdict, state="failed", detail=failure, ended=ended)


def _any(listing: Listing) -> Verdict:
    rule = f"any of {', '.join(TERMINATION_FILES)} ends a run"
    markers = listing.files(TERMINATION_FILES)
    if not markers:
        return Verdict("running", rule, f"none of {', '.join(TERMINATION_FILES)} is there yet")
    return Verdict("complete", rule, f"complete by {markers[0]}", markers, ended=True)


def _configured(listing: Listing, patterns: tuple[str, ...]) -> Verdict:
    rule = f"any of completion_markers ({', '.join(patterns)}) ends a run"
    markers = tuple(dict.fromkeys(name for pattern in patterns for name in files_like(listing, pattern)))
    if not markers:
        return Verdict("running", rule, f"no file is there yet that {' or '.join(patterns)} fits")
    return Verdict("complete", rule, f"complete by {markers[0]}", markers, ended=True)
