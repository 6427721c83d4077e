"""Runs of instruments other than Illumina's, and runs that the config describes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from async_s3_upload.runs.completion import CompletionRules, RunFolder, look_at
from async_s3_upload.runs.instrument import Instrument

from .run_folders import MINUTE, NOW, make_illumina, status_xml, write


def look(folder: Path, rules: CompletionRules | None = None) -> RunFolder:
    run = look_at(str(folder), rules or CompletionRules(), NOW)
    assert run is not None
    return run


@pytest.fixture
def aviti(tmp_path: Path) -> Path:
    folder = tmp_path / "20250127_AV244103_1234_NT1850075L"
    write(folder / "RunParameters.json", '{"InstrumentName": "AV244103", "RunType": "Sequencing"}')
    return folder


def test_an_aviti_is_known_by_its_run_parameters_even_half_written(aviti: Path) -> None:
    assert look(aviti).instrument == Instrument("Element AVITI", "AV244103")
    assert look(aviti).begun_by == "RunParameters.json"
    write(aviti / "RunParameters.json", '{"InstrumentName": "AV9')
    assert look(aviti).instrument == Instrument("Element AVITI", "AV244103")
    assert look(aviti).verdict.detail == "RunUploaded.json is not there yet"


@pytest.mark.parametrize(
    "content", ['{"outcome": "OutcomeCompleted"}', '{"runType": "x",\n "outcome": "OutcomeCompleted"}']
)
def test_an_aviti_run_ends_when_run_uploaded_says_that_it_completed(aviti: Path, content: str) -> None:
    write(aviti / "RunUploaded.json", content)
    seen = look(aviti).verdict
    assert (seen.state, seen.markers, seen.ended) == ("complete", ("RunUploaded.json",), True)
    assert seen.rule == "Element AVITI: RunUploaded.json ends a run"


@pytest.mark.parametrize(
    "content", ["", "{", '{"outcome": "OutcomeFail', "{}", "[]", '{"outcome": null}', '{"outcome": " "}']
)
def test_an_aviti_run_goes_on_while_the_outcome_is_not_said(aviti: Path, content: str) -> None:
    write(aviti / "RunUploaded.json", content)
    seen = look(aviti).verdict
    assert (seen.state, seen.detail) == ("running", "RunUploaded.json does not say the outcome yet")


@pytest.mark.parametrize("outcome", ["OutcomeFailed", "OutcomeStopped", "OutcomeNotCompleted"])
def test_an_aviti_run_with_another_outcome_failed(aviti: Path, outcome: str) -> None:
    write(aviti / "RunUploaded.json", f'{{"outcome": "{outcome}"}}')
    seen = look(aviti).verdict
    assert (seen.state, seen.ended) == ("failed", True)
    assert seen.detail == f"the instrument says that it failed: {outcome}"


NANOPORE = [
    ("20250603_1201_3E_PAA12345_e05460c6", "3E"),
    ("20190228_1936_2-A5-D5_PAD13330_c59f16fe", "2-A5-D5"),
    ("20230105_0912_MN12345__0a1b2c3d", "MN12345"),
]


@pytest.mark.parametrize(("name", "device"), NANOPORE)
@pytest.mark.parametrize("summary", ["final_summary.txt", "final_summary_PAA12345_e05460c6_1a2b3c4d.txt"])
def test_a_nanopore_run_is_known_by_its_name_and_ends_with_its_final_summary(
    tmp_path: Path, name: str, device: str, summary: str
) -> None:
    (tmp_path / name).mkdir()
    run = look(tmp_path / name)
    assert (run.instrument, run.begun_by) == (Instrument("Oxford Nanopore", device), "the run folder")
    assert run.verdict.detail == "final_summary_*.txt is not there yet"
    write(tmp_path / name / "fastq_pass" / summary, "")
    assert look(tmp_path / name).verdict.state == "running"
    write(tmp_path / name / summary, "")
    seen = look(tmp_path / name).verdict
    assert (seen.state, seen.markers) == ("complete", (summary,))


def test_a_renamed_nanopore_folder_is_known_by_what_is_in_it(tmp_path: Path) -> None:
    write(tmp_path / "final_summary_a_b.txt", "")
    assert look_at(str(tmp_path)) is None
    (tmp_path / "pod5").mkdir()
    run = look(tmp_path)
    assert (run.instrument, run.verdict.state) == (Instrument("Oxford Nanopore"), "complete")


@pytest.mark.parametrize(
    "name", ["20250603_1201_3E_PAA12345", "20250603_1201_3E_PAA12345_e05460c6_x", "2025_1_3E_P_e05460c6"]
)
def test_other_names_are_no_nanopore_runs(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    assert look_at(str(tmp_path / name)) is None


def test_the_age_of_a_run_known_by_its_name_is_that_of_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / NANOPORE[0][0]
    folder.mkdir()
    os.utime(folder, (NOW - 5, NOW - 5))
    assert look(folder).begun_at == NOW - 5


@pytest.fixture
def revio(tmp_path: Path) -> Path:
    folder = tmp_path / "r84028_20230214_022129"
    folder.mkdir()
    return folder


OLD = 61 * MINUTE


@pytest.mark.parametrize(
    ("name", "instrument"),
    [
        ("r84028_20230214_022129", Instrument("PacBio Revio", "84028")),
        ("r64012e_20210902_111111", Instrument("PacBio Sequel II", "64012e")),
        ("r54178_20190126_092450", Instrument("PacBio Sequel", "54178")),
        ("r21001_20250101_000000", Instrument("PacBio", "21001")),
    ],
)
def test_a_pacbio_run_is_known_by_its_name(tmp_path: Path, name: str, instrument: Instrument) -> None:
    (tmp_path / name).mkdir()
    run = look(tmp_path / name)
    assert run.instrument == instrument
    assert (run.verdict.state, run.verdict.detail) == ("running", "there is no cell's folder yet")


def test_a_pacbio_run_ends_when_every_cell_that_is_there_was_transferred(revio: Path) -> None:
    first = write(revio / "1_A01" / "metadata" / "m84028_230214_023007_s1.transferdone", "", age_s=OLD)
    (revio / "1_B01" / "metadata").mkdir(parents=True)
    (revio / "Transfer_Test").mkdir()
    seen = look(revio).verdict
    assert (seen.state, seen.detail) == ("running", "no .transferdone of 1_B01 yet (2 cells)")
    assert seen.markers == ("1_A01/metadata/m84028_230214_023007_s1.transferdone",)
    write(revio / "1_B01" / ".m84028_230214_030031_s2.transferdone", "", age_s=OLD)
    seen = look(revio).verdict
    assert (seen.state, seen.detail) == ("complete", "complete by 2 .transferdone files")
    assert seen.markers == (
        "1_A01/metadata/m84028_230214_023007_s1.transferdone",
        "1_B01/.m84028_230214_030031_s2.transferdone",
    )
    first.unlink()
    assert look(revio).verdict.state == "running"


def test_a_pacbio_run_waits_for_another_cell_after_the_last_one(revio: Path) -> None:
    write(revio / "1_A01" / "metadata" / "m.transferdone", "", age_s=20 * MINUTE)
    seen = look(revio).verdict
    assert seen.rule == "PacBio Revio: a .transferdone of each cell ends a run, 60 min after the last"
    assert seen.detail == "the last .transferdone is 20 min old, another cell may follow for 60 min"
    assert look(revio, CompletionRules(grace_s=0)).verdict.state == "complete"


def test_a_g4_run_ends_when_it_is_transferred_not_when_it_is_run(tmp_path: Path) -> None:
    folder = tmp_path / "220622_G4X1234_0057_2_FC000007A"
    write(folder / "run_complete.txt", "")
    assert look_at(str(folder)) is None
    write(folder / "run_config.json", "{}")
    assert look(folder).instrument == Instrument("Singular G4", "G4X1234")
    assert look(folder).verdict.state == "running"
    write(folder / "transfer_complete.txt", "")
    assert look(folder).verdict.markers == ("transfer_complete.txt",)


MGI = CompletionRules(completion_markers=("done.txt", "logs/*_end[12].log"), run_markers=("*.fov", "meta/run.cfg"))


def test_run_markers_make_runs_and_completion_markers_end_them(tmp_path: Path) -> None:
    assert look_at(str(tmp_path), MGI) is None
    write(tmp_path / "META" / "Run.cfg", "", age_s=7)
    run = look(tmp_path, MGI)
    assert (run.begun_by, run.begun_at) == ("META/Run.cfg", NOW - 7)
    assert run.verdict.detail == "no file is there yet that done.txt or logs/*_end[12].log fits"
    write(tmp_path / "logs" / "a_end3.log", "")
    (tmp_path / "done.txt").mkdir()
    assert look(tmp_path, MGI).verdict.state == "running"
    write(tmp_path / "Logs" / "b_END1.log", "")
    seen = look(tmp_path, MGI).verdict
    assert (seen.state, seen.markers) == ("complete", ("Logs/b_END1.log",))
    assert seen.rule == "any of completion_markers (done.txt, logs/*_end[12].log) ends a run"


def test_a_name_with_the_characters_of_patterns_is_meant_as_it_stands_too(tmp_path: Path) -> None:
    rules = CompletionRules(completion_markers=("end[1].txt",), run_markers=("run",))
    write(tmp_path / "run", "")
    write(tmp_path / "end[1].txt", "")
    assert look(tmp_path, rules).verdict.markers == ("end[1].txt",)


def test_where_completion_markers_are_set_nothing_else_ends_a_run(tmp_path: Path, aviti: Path) -> None:
    rules = CompletionRules(completion_markers=("synced.txt",))
    run = make_illumina(tmp_path, "A01295", "CopyComplete.txt")
    write(aviti / "RunUploaded.json", '{"outcome": "OutcomeCompleted"}')
    assert [look(folder, rules).verdict.state for folder in (run, aviti)] == ["running", "running"]
    write(run / "synced.txt", "")
    assert look(run, rules).verdict.state == "complete"
    write(run / "RunCompletionStatus.xml", status_xml("RunStatus", "RunErrored"))
    assert look(run, rules).verdict.state == "failed"


def test_a_run_known_by_run_markers_alone_has_an_unknown_instrument(tmp_path: Path) -> None:
    write(tmp_path / "run.cfg", "")
    run = look(tmp_path, CompletionRules(run_markers=("run.cfg",)))
    assert run.instrument.platform == "unknown instrument"
    assert run.verdict.detail == "neither CopyComplete.txt nor RTAComplete.txt is there yet"
