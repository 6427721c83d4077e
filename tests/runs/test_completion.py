"""What the top level of a folder tells of a run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from async_s3_upload.runs.completion import look_at

RUN_ID = "240101_A01295_0001_AHV7TDRXY"
MARKERS = ["CopyComplete.txt", "RTAComplete.txt", "RTAComplete.xml"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / RUN_ID
    folder.mkdir()
    (folder / "RunInfo.xml").write_text("<RunInfo/>")
    return folder


def test_a_folder_without_run_info_is_no_run_whatever_else_it_holds(tmp_path: Path) -> None:
    (tmp_path / "CopyComplete.txt").touch()
    (tmp_path / "runinfo.xml.bak").touch()
    assert look_at(str(tmp_path)) is None


def test_a_path_that_is_no_folder_is_no_run(run: Path) -> None:
    assert look_at(str(run / "RunInfo.xml")) is None
    assert look_at(str(run / "missing")) is None


def test_a_run_without_a_termination_file_goes_on(run: Path) -> None:
    seen = look_at(str(run))
    assert seen is not None
    assert seen.verdict.markers == ()


def test_the_run_id_is_the_name_of_the_folder_and_its_age_that_of_run_info(run: Path) -> None:
    os.utime(run / "RunInfo.xml", (1_700_000_000, 1_700_000_000.5))
    seen = look_at(str(run))
    assert seen is not None
    assert (seen.path, seen.begun_at) == (str(run), 1_700_000_000.5)
    assert seen.run_id == RUN_ID


@pytest.mark.parametrize("marker", MARKERS)
@pytest.mark.parametrize("content", ["", " ", "1/1/2024,10:00:00.000,Illumina RTA 1.18\r\n"])
def test_each_termination_file_ends_the_run_by_its_presence(run: Path, marker: str, content: str) -> None:
    (run / marker).write_text(content)
    seen = look_at(str(run))
    assert seen is not None
    assert seen.verdict.markers == (marker,)


def test_copy_complete_is_named_before_the_others(run: Path) -> None:
    for marker in reversed(MARKERS):
        (run / marker).touch()
    seen = look_at(str(run))
    assert seen is not None
    assert seen.verdict.markers == tuple(MARKERS)


def test_a_termination_file_in_another_case_counts(run: Path) -> None:
    (run / "copycomplete.txt").touch()
    seen = look_at(str(run))
    assert seen is not None
    assert seen.verdict.markers == ("copycomplete.txt",)


@pytest.mark.parametrize(
    "name",
    [
        "RTARead1Complete.txt",
        "Basecalling_Netcopy_complete.txt",
        "Basecalling_Netcopy_complete_Read1.txt",
        "SequencingComplete.txt",
        "CopyComplete.txt.tmp",
        "RTAComplete.csv",
        "CopyComplete.xml",
    ],
)
def test_files_that_only_look_like_termination_files_do_not_count(run: Path, name: str) -> None:
    (run / name).touch()
    seen = look_at(str(run))
    assert seen is not None
    assert seen.verdict.markers == ()


def test_a_termination_file_further_down_does_not_count(run: Path) -> None:
    (run / "Data").mkdir()
    (run / "Data" / "CopyComplete.txt").touch()
    seen = look_at(str(run))
    assert seen is not None
    assert seen.verdict.markers == ()


@pytest.mark.parametrize("name", ["CopyComplete.txt", "copycomplete.txt"])
def test_a_folder_named_like_a_termination_file_does_not_count(run: Path, name: str) -> None:
    (run / name).mkdir()
    seen = look_at(str(run))
    assert seen is not None
    assert seen.verdict.markers == ()


def test_a_folder_named_run_info_makes_no_run(tmp_path: Path) -> None:
    (tmp_path / "RunInfo.xml").mkdir()
    assert look_at(str(tmp_path)) is None


def test_links_to_the_files_count_and_broken_ones_do_not(run: Path, tmp_path: Path) -> None:
    (run / "RunInfo.xml").rename(tmp_path / "elsewhere.xml")
    (run / "RunInfo.xml").symlink_to(tmp_path / "elsewhere.xml")
    (run / "CopyComplete.txt").symlink_to(tmp_path / "nowhere")
    seen = look_at(str(run))
    assert seen is not None
    assert seen.verdict.markers == ()


def test_a_folder_that_may_not_be_looked_into_is_the_callers_error(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: str) -> os.stat_result:
        raise PermissionError(13, "Permission denied", path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", denied)
        with pytest.raises(PermissionError):
            look_at(str(run))
