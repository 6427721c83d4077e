"""What describes a run goes first, what says that it is finished goes last."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3_upload.runs.completion.listing import Listing, files_like
from async_s3_upload.runs.file_table import FileTable, LocalFile
from async_s3_upload.runs.order import Markers, goes_first

MARKERS = [
    "CopyComplete.txt",
    "copycomplete.txt",
    "RTAComplete.txt",
    "RTAComplete.xml",
    "RunCompletionStatus.xml",
    "SequenceComplete.txt",
    "SequencingComplete.txt",
    "RTAExited.txt",
    "CompletedJobInfo.xml",
    "Basecalling_Netcopy_complete.txt",
    "Basecalling_Netcopy_complete_Read1.txt",
    "Analysis/1/Data/Secondary_Analysis_Complete.txt",
    "RunUploaded.json",
    "final_summary.txt",
    "final_summary_PAK123_abcdef.txt",
    "1_A01/metadata/m84028_230214_023007_s1.transferdone",
    "1_A01/.m64011_190830_220126.transferdone",
    "transfer_complete.txt",
]
DATA = [
    "RTARead1Complete.txt",  # of a read, not of the run
    "RunInfo.xml",
    "RunParameters.xml",
    "Data/Intensities/BaseCalls/L001/C1.1/L001_1.cbcl",
    "not_CopyComplete.txt",
    "CopyComplete.txt.bak",
    "CopyComplete.txt/inside",
    "sequencing_summary_PAK123.txt",
    "Logs/final.txt",
]


def table(*names: str) -> FileTable:
    return FileTable(LocalFile(name, 1, 1, 1) for name in names)


@pytest.mark.parametrize("name", MARKERS)
def test_what_instruments_write_at_the_end_is_a_marker_in_any_folder(name: str) -> None:
    assert Markers().include(name)
    assert Markers().include(f"deep/{name}")


@pytest.mark.parametrize("name", DATA)
def test_look_alikes_are_data(name: str) -> None:
    assert not Markers().include(name)


def test_patterns_of_the_config_are_of_the_path_in_the_run_folder() -> None:
    markers = Markers(["done/*.flag", "FINISHED"])
    assert markers.include("done/a.flag")
    assert markers.include("FINISHED")
    assert not markers.include("other/FINISHED")
    assert markers.include("finished")
    assert markers.include("CopyComplete.txt")


def test_what_ends_a_run_by_the_config_is_held_back_and_nothing_beside(tmp_path: Path) -> None:
    """The same files that end a run are its markers: also a name with the characters of patterns, and no others."""
    patterns = ("done[1].txt", "*.end", "logs/*.flag")
    ending, other = ["done[1].txt", "RUN.end", "Logs/A.flag"], ["deep/run.end", "logs/deep/a.flag", "done2.txt"]
    for name in [*ending, *other]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    listing = Listing(str(tmp_path))
    assert sorted(found for pattern in patterns for found in files_like(listing, pattern)) == sorted(ending)
    markers = Markers(patterns)
    assert [name for name in [*ending, *other] if markers.include(name)] == ending


@given(st.lists(st.sampled_from([*MARKERS, *DATA, "x/FINISHED"]), unique=True))
def test_rows_are_those_of_the_markers(names: list[str]) -> None:
    files, markers = table(*names), Markers(["x/FINISHED"])
    assert [files[row].name for row in markers.rows(files)] == [name for name in names if markers.include(name)]


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        ([], []),
        (["RTAComplete.txt"], [["RTAComplete.txt"]]),
        (
            ["CopyComplete.txt", "RTAComplete.txt", "RunCompletionStatus.xml"],
            [["RTAComplete.txt", "RunCompletionStatus.xml"], ["CopyComplete.txt"]],
        ),
        (["RTAComplete.xml", "SequencingComplete.txt"], [["SequencingComplete.txt"], ["RTAComplete.xml"]]),
        (["RunUploaded.json"], [["RunUploaded.json"]]),
        (["1_A01/a.transferdone", "1_B01/b.transferdone"], [["1_A01/a.transferdone", "1_B01/b.transferdone"]]),
        (["FINISHED", "RTAComplete.txt"], [["RTAComplete.txt"], ["FINISHED"]]),
    ],
)
def test_the_last_word_of_a_run_comes_last(names: list[str], groups: list[list[str]]) -> None:
    found = Markers(["FINISHED"]).in_turn(LocalFile(name, 1, 1, 1) for name in names)
    assert [[file.name for file in group] for group in found] == groups


@pytest.mark.parametrize(
    "name",
    [
        "RunInfo.xml",
        "RunParameters.xml",
        "runParameters.xml",
        "SampleSheet.csv",
        "my-sample_sheet-2.csv",
        "RunParameters.json",
        "RunManifest.csv",
        "RunManifest.json",
        "UploadList.csv",
    ],
)
def test_what_describes_the_run_goes_first_from_the_top_of_the_folder_alone(name: str) -> None:
    assert goes_first(name)
    assert not goes_first(f"Data/{name}")


def test_a_million_names_are_matched_a_few_times_only(monkeypatch: pytest.MonkeyPatch) -> None:
    from async_s3_upload.runs import order

    asked = []

    class Counting:
        def fullmatch(self, base: str) -> re.Match[str] | None:
            asked.append(base)
            return None

    monkeypatch.setattr(order, "_ANY", Counting())
    files = table(*(f"C{cycle}.1/s_{tile}.bcl" for cycle in range(200) for tile in range(5)))
    assert list(Markers().rows(files)) == []
    assert len(asked) == 5
