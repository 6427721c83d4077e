"""Which files of a running run may go up, and what the others wait for."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from async_s3_upload.runs.file_table import FileTable, LocalFile
from async_s3_upload.runs.rewritten import is_plain, kind_of_file, kind_of_folder
from async_s3_upload.runs.ripe import EARLIEST_NS, REWRITTEN_FACTOR, Ripe, ripe_files

NOW = 1_800_000_000.0
AGE = 300.0
LONG = REWRITTEN_FACTOR * AGE


def is_marker(name: str) -> bool:
    return name.rpartition("/")[2] == "CopyComplete.txt"


def old(name: str, age_s: float) -> LocalFile:
    """A file whose last change is so many seconds ago."""
    return LocalFile(name, 10, int((NOW - age_s) * 1e9), 1)


def choose(*files: LocalFile) -> Ripe:
    return ripe_files(FileTable(files), NOW, AGE, is_marker)


def names(ripe: Ripe) -> list[str]:
    return [file.name for file in ripe.files]


def test_files_that_were_still_for_the_age_go_up_and_others_wait() -> None:
    found = choose(old("Data/a.cbcl", AGE), old("Data/b.cbcl", AGE - 0.001), old("C/c.cbcl", 1), old("D/d.cbcl", LONG))
    assert names(found) == ["Data/a.cbcl", "D/d.cbcl"]
    assert found.waiting == {"fresh": 2}


def test_markers_never_go_up_however_old() -> None:
    found = choose(old("CopyComplete.txt", 10 * LONG), old("RunInfo.xml", 10 * LONG), old("a/CopyComplete.txt", AGE))
    assert names(found) == ["RunInfo.xml"]
    assert found.waiting == {"marker": 2}


@pytest.mark.parametrize(
    "name",
    [
        "InterOp/QMetricsOut.bin",
        "InterOp/C1.1/QMetricsOut.bin",
        "Logs/run.txt",
        "Data/RTALogs/x.txt",
        "InstrumentAnalyticsLogs/x.csv",
        "anywhere/deep/RTA.LOG",
        "RunParameters.xml",
        "runParameters.xml",
        "RunParameters.json",
        "Recipe/RunState.xml",
        "AvitiRunStats.json",
        "RunStats.bin",
        "1_A01/statistics/m84001_s1.sts.xml",
        "1_A01/metadata/m84001_s1.run.metadata.xml",
        "sequencing_summary_PAD13330_abc.txt",
        "pore_activity_PAD13330.csv",
        "throughput_PAD13330.csv",
        "other.csv",
        "report_PAD13330.html",
    ],
)
def test_what_instruments_write_to_again_waits_much_longer(name: str) -> None:
    found = choose(old(name, LONG - 1), old("Data/a.bcl", AGE))
    assert (names(found), found.waiting) == (["Data/a.bcl"], {"rewritten": 1})
    assert names(choose(old(name, LONG))) == [name]


@pytest.mark.parametrize(
    "name",
    [
        "Data/a.cbcl.tmp",
        "Data/a.part",
        "Data/~$sheet.xlsx",
        "SampleSheet.csv~",
        "Data/.a.cbcl.x7Zq0B",
        "Data/.nfs000000000001",
        "Data/.~tmp~/a.cbcl",
        "queued_reads/a.pod5",
    ],
)
def test_temporary_names_wait_much_longer(name: str) -> None:
    found = choose(old(name, LONG - 1))
    assert (names(found), found.waiting) == ([], {"temporary": 1})
    assert names(choose(old(name, LONG))) == [name]


@pytest.mark.parametrize(
    "name",
    [
        "RunInfo.xml",
        "Data/L001/C1.1/L001_1.cbcl",
        "Data/table.csv",
        "Data/.hidden",
        "Data/.hidden.file",
        "InterOpX/a.bin",
        "Data/Catalogs/a.bin",
        "pod5/PAD13330_0.pod5",
        "BaseCalls/R1_C001.zip",
        "logs",
        "Data/tmp",
    ],
)
def test_ordinary_names_wait_for_the_age_only(name: str) -> None:
    assert names(choose(old(name, AGE))) == [name]


@pytest.mark.parametrize("mtime_ns", [int((NOW + 1) * 1e9), 0, -5, EARLIEST_NS - 1, 2**63, -(2**64)])
def test_a_time_in_the_future_or_none_is_never_still(mtime_ns: int) -> None:
    found = choose(LocalFile("Data/a", 1, mtime_ns, 1), old("Data/b", 2 * LONG))
    assert (names(found), found.waiting) == (["Data/b"], {"odd_time": 1})


def test_what_waits_is_said_in_words_for_the_log() -> None:
    files = [old("Data/a", 1), old("Data/b", 2), old("InterOp/a.bin", AGE), old("CopyComplete.txt", LONG)]
    assert choose(*files).waiting_text == (
        "4 files wait (2 changed lately, 1 written to throughout a run, 1 that end the run)"
    )
    assert choose(old("a.tmp", AGE), old("b", -5)).waiting_text == (
        "2 files wait (1 with a temporary name, 1 with a time in the future or none)"
    )
    assert choose(old("a", 1)).waiting_text == "1 file waits (1 changed lately)"
    assert choose(old("a", AGE)).waiting_text == "no file waits"


def test_markers_are_asked_for_only_among_files_that_nothing_else_holds_back() -> None:
    asked: list[str] = []
    files = [old("Data/a", 1), old("Data/b", AGE), old("InterOp/c", AGE), old("d.tmp", AGE), old("e", LONG)]
    ripe_files(FileTable(files), NOW, AGE, lambda name: bool(asked.append(name)))  # type: ignore[func-returns-value]
    assert asked == ["Data/b", "e"]


FOLDERS = st.sampled_from(["", "Data/", "Data/C1.1/", "InterOp/", "a/Logs/", "tmp/"])
BASES = st.sampled_from(
    ["a.bcl", "x.csv", "y.log", "RunInfo.xml", "CopyComplete.txt", "z.tmp", ".f.aB3dE6", "report_1"]
)
AGES = st.sampled_from([-10.0, 0.0, 1.0, AGE - 1e-3, AGE, AGE + 1, LONG - 1, LONG, LONG + 5, NOW]) | st.floats(-10, NOW)
FILES = st.lists(st.builds(lambda folder, base, age: old(folder + base, age), FOLDERS, BASES, AGES), max_size=12)


def expected(file: LocalFile) -> str:
    """The rules, one file at a time."""
    age_ns = int(NOW * 1e9) - file.mtime_ns
    folder, _, base = file.name.rpartition("/")
    kind = kind_of_folder(folder + "/" if folder else "") or kind_of_file(base, at_top=not folder)
    if age_ns < 0 or file.mtime_ns < EARLIEST_NS:
        return "odd_time"
    if age_ns < AGE * 1e9:
        return "fresh"
    if kind is not None and age_ns < LONG * 1e9:
        return kind
    return "marker" if is_marker(file.name) else "ripe"


@given(FILES)
@example([old("Data/a.bcl", AGE), old("Data/y.log", AGE)])
def test_folders_judged_at_once_come_out_as_file_by_file(files: list[LocalFile]) -> None:
    found = choose(*files)
    assert list(found.files) == [file for file in files if expected(file) == "ripe"]
    assert found.waiting == Counter(why for why in map(expected, files) if why != "ripe")


@given(st.text(".~$abLlOoGgtmpcsv_rX0", max_size=14) | BASES, st.booleans())
def test_plain_names_are_of_no_kind(base: str, at_top: bool) -> None:
    assert not is_plain(base) or kind_of_file(base, at_top=at_top) is None
