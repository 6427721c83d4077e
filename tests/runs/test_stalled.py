"""Since when nothing new came into a run, found without a look at every file."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from async_s3_upload.runs import stalled
from async_s3_upload.runs.stalled import is_still_since, newest_change

LONG_AGO = 1_700_000_000.0
LATER = LONG_AGO + 3600


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of three lanes of four cycles each, whose times all are LONG_AGO."""
    folder = tmp_path / "240101_A01295_0001_AHV7TDRXY"
    for lane in ("L001", "L002", "L003"):
        for cycle in range(4):
            place = folder / "Data" / lane / f"C{cycle}.1"
            place.mkdir(parents=True)
            for tile in range(5):
                (place / f"s_{tile}.bcl").touch()
    (folder / "InterOp").mkdir()
    (folder / "InterOp" / "QMetricsOut.bin").touch()
    (folder / "RunInfo.xml").touch()
    make_old(folder)
    return folder


def make_old(folder: Path) -> None:
    for place in [*folder.rglob("*"), folder]:
        set_time(place, LONG_AGO)


def set_time(place: Path, time_s: float) -> None:
    os.utime(place, (time_s, time_s), follow_symlinks=False)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that were looked at one by one."""
    found: list[str] = []

    def looking(entry: os.DirEntry[str], mtime=stalled._mtime) -> float:  # type: ignore[no-untyped-def]
        found.append(entry.path)
        return float(mtime(entry))

    monkeypatch.setattr(stalled, "_mtime", looking)
    return found


def test_a_run_in_which_all_is_old_is_still(run: Path, looks: list[str]) -> None:
    assert newest_change(str(run)) == LONG_AGO
    assert is_still_since(str(run), LONG_AGO)
    assert not is_still_since(str(run), LONG_AGO - 1)


def test_only_folders_and_files_at_the_top_are_looked_at(run: Path, looks: list[str]) -> None:
    newest_change(str(run))
    folders = [str(place) for place in run.rglob("*") if place.is_dir()]
    assert sorted(looks) == sorted([*folders, str(run / "RunInfo.xml")])


@pytest.mark.parametrize("place", ["Data/L002/C3.1", "InterOp", "Data", "RunInfo.xml", "."])
def test_whatever_is_newest_counts(run: Path, place: str) -> None:
    set_time(run / place, LATER)
    assert newest_change(str(run)) == LATER
    assert is_still_since(str(run), LATER)
    assert not is_still_since(str(run), LATER - 0.5)


def test_a_new_file_deep_in_the_run_ends_the_stillness(run: Path) -> None:
    (run / "Data" / "L003" / "C3.1" / "s_9.bcl").touch()
    assert not is_still_since(str(run), LATER)


def test_a_file_that_grows_further_down_is_not_seen(run: Path) -> None:
    set_time(run / "InterOp" / "QMetricsOut.bin", LATER)
    assert is_still_since(str(run), LONG_AGO)


def test_the_look_ends_at_the_first_change(run: Path, looks: list[str]) -> None:
    set_time(run, LATER)
    assert not is_still_since(str(run), LONG_AGO)
    assert looks == []


def test_the_newest_folders_are_looked_into_first(run: Path, looks: list[str]) -> None:
    """The instrument is at cycle 3 of lane 2: the other lanes are not looked into."""
    set_time(run / "Data", LONG_AGO + 1)
    set_time(run / "Data" / "L002", LONG_AGO + 2)
    set_time(run / "Data" / "L002" / "C3.1", LATER)
    assert not is_still_since(str(run), LONG_AGO + 2)
    top_and_lanes = 3 + 3
    assert top_and_lanes < len(looks) <= top_and_lanes + 4
    assert not [path for path in looks if "/L001/" in path or "/L003/" in path]


def test_links_are_not_followed(run: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "new").mkdir(parents=True)
    (run / "Data" / "link").symlink_to(elsewhere)
    (run / "Data" / "cycle").symlink_to(run)
    (run / "link").symlink_to(elsewhere)
    for place in (run / "Data" / "link", run / "Data" / "cycle", run / "link", run / "Data", run):
        set_time(place, LONG_AGO)
    assert newest_change(str(run)) == LONG_AGO


def test_a_run_folder_that_is_itself_a_link_is_looked_into(run: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(run)
    set_time(run / "Data" / "L001", LATER)
    assert newest_change(str(link)) == LATER


def test_a_run_that_is_gone_is_not_still(tmp_path: Path) -> None:
    assert newest_change(str(tmp_path / "gone")) == math.inf
    assert not is_still_since(str(tmp_path / "gone"), LATER)


def test_a_folder_that_cannot_be_read_makes_no_false_alarm(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = str(run / "Data" / "L002")
    real = os.scandir

    def scandir(path: str) -> Iterable[os.DirEntry[str]]:
        if path == closed:
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert newest_change(str(run)) == math.inf
    assert not is_still_since(str(run), LATER)


def test_a_folder_that_goes_away_meanwhile_makes_no_false_alarm(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(entry: os.DirEntry[str]) -> float:
        raise FileNotFoundError(2, "No such file or directory", entry.path)

    monkeypatch.setattr(stalled, "_mtime", gone)
    assert newest_change(str(run)) == math.inf
    assert not is_still_since(str(run), LATER)


def test_the_look_is_bounded(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stalled, "MOST_FOLDERS", 5)
    assert not is_still_since(str(run), LATER)
