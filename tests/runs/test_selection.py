"""What happens to a run that was found, decided from values alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3_upload.runs.completion import RunFolder, Verdict
from async_s3_upload.runs.samplesheet import SampleSheetError
from async_s3_upload.runs.selection import Decision, Remembered, Rules, decide

NOW = 1_700_000_000.0
HOUR = 3600.0
PATH = "/seq/240101_A01295_0001_AHV7TDRXY"
ANY_SAMPLES = Rules(None, 72)
ASSAY = Rules(re.compile("_assay_"), 72)

NOT_YET = "none of CopyComplete.txt, RTAComplete.txt, RTAComplete.xml is there yet"


def run(*, age_hours: float = 1, marker: str | None = "CopyComplete.txt") -> RunFolder:
    if marker is None:
        verdict = Verdict("running", "a rule", NOT_YET)
    else:
        verdict = Verdict("complete", "a rule", f"complete by {marker}", (marker,))
    return RunFolder(PATH, NOW - age_hours * HOUR, verdict)


def not_read(path: str) -> Sequence[str]:
    raise AssertionError(f"the sample sheet of {path} is not wanted")


def sheet_of(*samples: str) -> Sheet:
    return Sheet(samples)


class Sheet:
    """A sample sheet that remembers whose it was asked for."""

    def __init__(self, samples: Sequence[str]) -> None:
        self.samples = samples
        self.asked: list[str] = []

    def __call__(self, path: str) -> Sequence[str]:
        self.asked.append(path)
        return self.samples


def unusable_sheet(path: str) -> Sequence[str]:
    raise SampleSheetError("no sample sheet was found")


def test_a_complete_new_run_goes_up() -> None:
    decision = decide(run(), "new", ANY_SAMPLES, NOW, not_read)
    assert decision == Decision(True, "new", "complete by CopyComplete.txt")


def test_a_partly_uploaded_run_goes_on() -> None:
    decision = decide(run(), "partial", ANY_SAMPLES, NOW, not_read)
    assert (decision.wanted, decision.reason) == (True, "partial")


@pytest.mark.parametrize("marker", [None, "CopyComplete.txt"])
@pytest.mark.parametrize("age_hours", [1, 1000])
def test_an_uploaded_run_is_left_whatever_else_is_true_of_it(marker: str | None, age_hours: float) -> None:
    decision = decide(run(age_hours=age_hours, marker=marker), "uploaded", ASSAY, NOW, not_read)
    assert (decision.wanted, decision.reason) == (False, "already_uploaded")


@pytest.mark.parametrize("remembered", ["new", "partial"])
def test_a_run_that_goes_on_is_left_and_its_samples_are_not_read(remembered: Remembered) -> None:
    decision = decide(run(age_hours=1000, marker=None), remembered, ASSAY, NOW, not_read)
    assert decision == Decision(
        False, "not_complete", "none of CopyComplete.txt, RTAComplete.txt, RTAComplete.xml is there yet"
    )


def test_a_new_run_older_than_max_age_is_left_with_both_ages() -> None:
    decision = decide(run(age_hours=100), "new", Rules(None, 72.5), NOW, not_read)
    assert decision == Decision(False, "too_old", "RunInfo.xml is 100 h old, max_age is 72.5 h")


def test_a_run_of_exactly_max_age_still_goes_up() -> None:
    assert decide(run(age_hours=72), "new", ANY_SAMPLES, NOW, not_read).wanted
    assert not decide(run(age_hours=72.001), "new", ANY_SAMPLES, NOW, not_read).wanted


def test_a_partly_uploaded_run_is_finished_whatever_its_age() -> None:
    assert decide(run(age_hours=10_000), "partial", ANY_SAMPLES, NOW, not_read).reason == "partial"


def test_a_clock_behind_the_instrument_s_makes_no_run_too_old() -> None:
    assert decide(run(age_hours=-48), "new", ANY_SAMPLES, NOW, not_read).wanted


def test_a_run_goes_up_where_all_samples_match_anywhere_in_their_name() -> None:
    sheet = sheet_of("s1_assay_1", "s2_assay_2")
    assert decide(run(), "new", ASSAY, NOW, sheet).wanted
    assert sheet.asked == [PATH]


@pytest.mark.parametrize("remembered", ["new", "partial"])
def test_one_sample_that_does_not_match_blocks_the_run_and_is_named(remembered: Remembered) -> None:
    decision = decide(run(), remembered, ASSAY, NOW, sheet_of("s1_assay_1", "control", "s2_assay_2"))
    assert decision == Decision(False, "samples_do_not_match", 'sample "control" does not match sample_regex "_assay_"')


@pytest.mark.parametrize("remembered", ["new", "partial"])
def test_without_a_usable_sample_sheet_a_run_is_blocked_with_the_reason(remembered: Remembered) -> None:
    decision = decide(run(), remembered, ASSAY, NOW, unusable_sheet)
    assert decision == Decision(False, "no_sample_sheet", "no sample sheet was found")


def test_without_a_sample_regex_the_sample_sheet_does_not_matter() -> None:
    assert decide(run(), "new", ANY_SAMPLES, NOW, unusable_sheet).wanted


def test_the_samples_of_a_run_too_old_are_not_read() -> None:
    assert decide(run(age_hours=73), "new", ASSAY, NOW, not_read).reason == "too_old"


@given(
    remembered=st.sampled_from(["new", "partial", "uploaded"]),
    marker=st.sampled_from([None, "CopyComplete.txt", "RTAComplete.xml"]),
    age_hours=st.floats(-1e4, 1e6),
    max_age=st.floats(0.001, 1e5),
    samples=st.none() | st.lists(st.sampled_from(["a_assay_1", "other"]), min_size=1),
)
def test_a_run_goes_up_exactly_when_nothing_speaks_against_it(
    remembered: Remembered, marker: str | None, age_hours: float, max_age: float, samples: list[str] | None
) -> None:
    folder = run(age_hours=age_hours, marker=marker)
    pattern = None if samples is None else re.compile("_assay_")
    decision = decide(folder, remembered, Rules(pattern, max_age), NOW, sheet_of(*(samples or ())))
    too_old = (NOW - folder.begun_at) / HOUR > max_age
    assert decision.wanted == (
        remembered != "uploaded"
        and marker is not None
        and (remembered == "partial" or not too_old)
        and "other" not in (samples or ())
    )
    if decision.wanted:
        assert decision.reason == remembered
    assert decision.detail
