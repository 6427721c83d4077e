"""What happens to a run that was found, decided from values alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3_upload.runs.completion import RunFolder, Verdict
from async_s3_upload.runs.instrument import Instrument
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


def made_by(serial: str | None, verdict: Verdict | None = None) -> RunFolder:
    verdict = verdict or Verdict("complete", "a rule", "complete by CopyComplete.txt", ended=True)
    return RunFolder(PATH, NOW - HOUR, verdict, Instrument("NovaSeq 6000", serial))


@pytest.mark.parametrize("remembered", ["new", "partial"])
def test_a_run_goes_up_where_its_folder_s_name_matches_anywhere(remembered: Remembered) -> None:
    rules = Rules(None, 72, run_regex=re.compile("_A0129"))
    assert decide(run(), remembered, rules, NOW, not_read).wanted
    other = Rules(None, 72, run_regex=re.compile("^LH"))
    assert decide(run(), remembered, other, NOW, not_read) == Decision(
        False,
        "run_does_not_match",
        'run folder "240101_A01295_0001_AHV7TDRXY" does not match run_regex "^LH"',
    )


def test_the_folders_above_the_run_do_not_count_for_run_regex() -> None:
    assert decide(run(), "new", Rules(None, 72, run_regex=re.compile("seq")), NOW, not_read).reason == (
        "run_does_not_match"
    )


@pytest.mark.parametrize("wanted", [["A01295"], ["LH00188", "a01295"]])
def test_runs_of_the_instruments_that_are_wanted_go_up(wanted: list[str]) -> None:
    assert decide(made_by("A01295"), "new", Rules(None, 72, instrument_ids=wanted), NOW, not_read).wanted


@pytest.mark.parametrize(
    ("serial", "detail"),
    [
        ("A01295", "instrument A01295 is not in instrument_ids (LH00188, A0129)"),
        (None, "the instrument's serial number is not known, instrument_ids wants LH00188, A0129"),
    ],
)
def test_runs_of_other_instruments_are_left_and_theirs_is_named(serial: str | None, detail: str) -> None:
    rules = Rules(None, 72, instrument_ids=["LH00188", "A0129"])
    assert decide(made_by(serial), "new", rules, NOW, not_read) == Decision(False, "instrument_does_not_match", detail)


def test_what_is_wanted_is_asked_before_how_far_the_run_is() -> None:
    rules = Rules(ASSAY.sample_regex, 72, run_regex=re.compile("nothing"), instrument_ids=["Q"])
    running = run(marker=None, age_hours=1000)
    assert decide(running, "new", rules, NOW, not_read).reason == "run_does_not_match"
    assert decide(running, "uploaded", rules, NOW, not_read).reason == "already_uploaded"


def test_with_any_one_sample_that_matches_is_enough() -> None:
    any_of = Rules(re.compile("_assay_"), 72, sample_match="any")
    assert decide(run(), "new", any_of, NOW, sheet_of("control", "s_assay_1")).wanted
    assert decide(run(), "new", any_of, NOW, sheet_of("c", "d")) == Decision(
        False, "samples_do_not_match", 'none of 2 samples (c, d) matches sample_regex "_assay_"'
    )
    assert decide(run(), "new", any_of, NOW, sheet_of(*"abcdefg")).detail == (
        'none of 7 samples (a, b, c, d, e, ...) matches sample_regex "_assay_"'
    )
    assert decide(run(), "new", any_of, NOW, unusable_sheet).reason == "no_sample_sheet"


FAILED = Verdict("failed", "a rule", "the instrument says that it failed: RunErrored", ended=True)


@pytest.mark.parametrize("remembered", ["new", "partial"])
def test_a_run_that_failed_on_the_instrument_is_left_unless_such_runs_are_wanted(remembered: Remembered) -> None:
    decision = decide(made_by("A01295", FAILED), remembered, ANY_SAMPLES, NOW, not_read)
    assert decision == Decision(False, "failed_on_instrument", FAILED.detail)
    wanted = Rules(None, 72, failed_runs=True)
    decision = decide(made_by("A01295", FAILED), remembered, wanted, NOW, not_read)
    assert (decision.wanted, decision.reason) == (True, remembered)


def test_a_failed_run_that_is_wanted_goes_up_when_nothing_more_is_to_come() -> None:
    failing = replace(FAILED, ended=False)
    decision = decide(made_by("A01295", failing), "new", Rules(None, 72, failed_runs=True), NOW, not_read)
    assert decision == Decision(False, "not_complete", f"{FAILED.detail}; its last files may still come")
    assert decide(made_by("A01295", failing), "new", ANY_SAMPLES, NOW, not_read).reason == "failed_on_instrument"


def test_the_age_names_what_it_was_taken_from() -> None:
    old = replace(run(age_hours=100), begun_by="RunParameters.json")
    assert decide(old, "new", ANY_SAMPLES, NOW, not_read).detail == "RunParameters.json is 100 h old, max_age is 72 h"
