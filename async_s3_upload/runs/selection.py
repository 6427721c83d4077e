"""Decides, from values alone, what happens to a run that was found."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from async_s3_upload.runs.completion import RunFolder
from async_s3_upload.runs.samplesheet import SampleSheetError, first_mismatch

Reason = Literal[
    "new",
    "partial",
    "already_uploaded",
    "not_complete",
    "too_old",
    "samples_do_not_match",
    "no_sample_sheet",
    "failed_files",
]
"""Stable codes; scripts read them from ``--json``."""

Remembered = Literal["new", "partial", "uploaded"]
"""What the run log tells: nothing was sent, something was, or all of it."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a section of the config wants: which samples, and how old a new run may be (in hours)."""

    sample_regex: re.Pattern[str] | None
    max_age_hours: float


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the run goes up, the stable code of the reason and one sentence of detail."""

    wanted: bool
    reason: Reason
    detail: str


def decide(
    run: RunFolder,
    remembered: Remembered,
    rules: Rules,
    now: float,
    read_samples: Callable[[str], Sequence[str]],
) -> Decision:
    """Decide about one run; ``now`` is seconds since the epoch.

    ``read_samples`` is called with the run's path only where the samples matter, and may raise
    SampleSheetError. Runs of which a part is uploaded already are finished whatever their age.
    """
    if remembered == "uploaded":
        return Decision(False, "already_uploaded", "all its files are recorded as uploaded")
    if not run.is_complete:
        return Decision(False, "not_complete", run.verdict.detail)
    age_hours = (now - run.begun_at) / 3600
    if remembered == "new" and age_hours > rules.max_age_hours:
        return Decision(False, "too_old", f"RunInfo.xml is {age_hours:.0f} h old, max_age is {rules.max_age_hours:g} h")
    if rules.sample_regex is not None:
        refusal = _samples_refuse(run, rules.sample_regex, read_samples)
        if refusal is not None:
            return refusal
    if remembered == "partial":
        return Decision(True, "partial", "a part of it is uploaded already")
    return Decision(True, "new", run.verdict.detail)


def _samples_refuse(
    run: RunFolder, pattern: re.Pattern[str], read_samples: Callable[[str], Sequence[str]]
) -> Decision | None:
    try:
        samples = read_samples(run.path)
    except SampleSheetError as error:
        return Decision(False, "no_sample_sheet", str(error))
    odd = first_mismatch(samples, pattern)
    if odd is None:
        return None
    return Decision(False, "samples_do_not_match", f'sample "{odd}" does not match sample_regex "{pattern.pattern}"')
