"""Decides, from values alone, what happens to a run that was found."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from async_s3_upload.runs.completion import RunFolder
from async_s3_upload.runs.samplesheet import SampleSheetError, first_mismatch
from async_s3_upload.text import plural

Reason = Literal[
    "new",
    "partial",
    "already_uploaded",
    "not_complete",
    "too_old",
    "samples_do_not_match",
    "no_sample_sheet",
    "failed_files",
    "run_does_not_match",
    "instrument_does_not_match",
    "failed_on_instrument",
    "in_progress",
    "changed",
]
"""Stable codes; scripts read them from ``--json``."""

_MOST_NAMED = 5
"""Samples that are named where none matches."""

Remembered = Literal["new", "partial", "uploaded"]
"""What the run log tells: nothing was sent, something was, or all of it."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a section of the config wants: which samples, and how old a new run may be (in hours).

    ``sample_match``: whether ``all`` samples have to match ``sample_regex``, or ``any`` of them is enough.
    ``run_regex`` is searched in the run folder's name; ``instrument_ids`` are serial numbers, compared without regard
    to case, and where there are none any instrument will do. ``failed_runs``: runs that failed on the instrument go up,
    too. ``in_progress``: runs go up while they are written.
    """

    sample_regex: re.Pattern[str] | None
    max_age_hours: float
    sample_match: Literal["all", "any"] = "all"
    run_regex: re.Pattern[str] | None = None
    instrument_ids: Collection[str] = ()
    failed_runs: bool = False
    in_progress: bool = False


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
    running = rules.in_progress and run.verdict.state == "running"
    refusal = _name_refuses(run, rules) or (None if running else _state_refuses(run, rules))
    if refusal is not None:
        return refusal
    age_hours = (now - run.begun_at) / 3600
    if remembered == "new" and age_hours > rules.max_age_hours:
        age = f"{run.begun_by} is {age_hours:.0f} h old"
        return Decision(False, "too_old", f"{age}, max_age is {rules.max_age_hours:g} h")
    if rules.sample_regex is not None:
        refusal = _samples_refuse(run, rules.sample_regex, rules.sample_match, read_samples)
        if refusal is not None and running and refusal.reason == "no_sample_sheet":  # it may still come
            return Decision(False, "not_complete", f"{run.verdict.detail}; {refusal.detail}")
        if refusal is not None:
            return refusal
    if running:
        return Decision(True, "in_progress", run.verdict.detail)
    if remembered == "partial":
        return Decision(True, "partial", "a part of it is uploaded already")
    return Decision(True, "new", run.verdict.detail)


def _name_refuses(run: RunFolder, rules: Rules) -> Decision | None:
    if rules.run_regex is not None and not rules.run_regex.search(run.run_id):
        said = f'run folder "{run.run_id}" does not match run_regex "{rules.run_regex.pattern}"'
        return Decision(False, "run_does_not_match", said)
    if not rules.instrument_ids:
        return None
    serial, wanted = run.instrument.serial, ", ".join(rules.instrument_ids)
    if serial is None:
        said = f"the instrument's serial number is not known, instrument_ids wants {wanted}"
    elif serial.lower() in {text.lower() for text in rules.instrument_ids}:
        return None
    else:
        said = f"instrument {serial} is not in instrument_ids ({wanted})"
    return Decision(False, "instrument_does_not_match", said)


def _state_refuses(run: RunFolder, rules: Rules) -> Decision | None:
    verdict = run.verdict
    if verdict.state == "running":
        return Decision(False, "not_complete", verdict.detail)
    if verdict.state == "failed" and not rules.failed_runs:
        return Decision(False, "failed_on_instrument", verdict.detail)
    if verdict.state == "failed" and not verdict.ended:
        return Decision(False, "not_complete", f"{verdict.detail}; its last files may still come")
    return None


def _samples_refuse(
    run: RunFolder,
    pattern: re.Pattern[str],
    match: Literal["all", "any"],
    read_samples: Callable[[str], Sequence[str]],
) -> Decision | None:
    try:
        samples = read_samples(run.path)
    except SampleSheetError as error:
        return Decision(False, "no_sample_sheet", str(error))
    if match == "any":
        if any(pattern.search(sample) for sample in samples):
            return None
        named = ", ".join(samples[:_MOST_NAMED]) + (", ..." if len(samples) > _MOST_NAMED else "")
        said = f'none of {plural(len(samples), "sample")} ({named}) matches sample_regex "{pattern.pattern}"'
        return Decision(False, "samples_do_not_match", said)
    odd = first_mismatch(samples, pattern)
    if odd is None:
        return None
    return Decision(False, "samples_do_not_match", f'sample "{odd}" does not match sample_regex "{pattern.pattern}"')
