"""Which files of a run folder go up, under which names, and what is said of the rest."""

from __future__ import annotations

import os
import re
import socket
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from async_s3_upload.runs.scan import NOT_UTF8, LocalFile, Scan, Unsendable, scan


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def write(path: Path, content: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def names(found: Scan) -> list[str]:
    return sorted(file.name for file in found.files)


class OddEntry:
    """An entry of a folder whose system calls answer as told: an error, or a mode of its own."""

    def __init__(self, entry: os.DirEntry[str], trouble: OSError | int) -> None:
        self._entry = entry
        self._trouble = trouble
        self.name = entry.name

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return self._entry.is_dir(follow_symlinks=follow_symlinks)

    def is_symlink(self) -> bool:
        return self._entry.is_symlink()

    def stat(self) -> os.stat_result:
        if isinstance(self._trouble, OSError):
            raise self._trouble
        return os.stat_result((self._trouble, *self._entry.stat()[1:]))


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, OSError | int], None]:
    """A function that makes one path answer oddly: a folder to its listing, a file to its stat."""
    troubles: dict[str, OSError | int] = {}
    real = os.scandir

    @contextmanager
    def scandir(folder: str | int) -> Iterator[Iterable[Any]]:
        path = os.readlink(f"/proc/self/fd/{folder}") if isinstance(folder, int) else folder
        trouble = troubles.get(path)
        if isinstance(trouble, OSError):
            raise trouble
        with real(folder) as entries:
            yield [
                OddEntry(entry, troubles[f"{path}/{entry.name}"]) if f"{path}/{entry.name}" in troubles else entry
                for entry in entries
            ]

    monkeypatch.setattr(os, "scandir", scandir)

    def make_odd(path: Path, trouble: OSError | int) -> None:
        troubles[str(path)] = trouble

    return make_odd


DENIED = PermissionError(13, "Permission denied")


def test_every_file_is_listed_with_its_relative_name_size_time_and_inode(run: Path) -> None:
    write(run / "RunInfo.xml", "12345")
    write(run / "Data" / "Intensities" / "s.bcl", "")
    os.utime(run / "RunInfo.xml", ns=(0, 1_700_000_000_123_456_789))
    found = scan(str(run))
    assert LocalFile("RunInfo.xml", 5, 1_700_000_000_123_456_789, os.stat(run / "RunInfo.xml").st_ino) in found.files
    assert names(found) == ["Data/Intensities/s.bcl", "RunInfo.xml"]
    assert (found.regular_files, found.total_bytes, found.excluded) == (2, 5, 0)
    assert (found.unsendable, found.warnings) == ([], [])
    assert set(found.names()) == {"Data/Intensities/s.bcl", "RunInfo.xml"}


def test_a_run_without_files_is_an_empty_scan(run: Path) -> None:
    (run / "empty" / "inner").mkdir(parents=True)
    assert scan(str(run)) == Scan(str(run))


def test_dot_files_and_what_lies_in_dot_folders_go_up(run: Path) -> None:
    write(run / ".hidden")
    write(run / ".config" / ".deep")
    assert names(scan(str(run))) == [".config/.deep", ".hidden"]


@pytest.mark.parametrize(
    "name",
    [
        "a b",
        " lead and trail ",
        "a+b&c?d=e#f%20",
        "quote'\"`",
        "[1]{2}(3)*",
        "back\\slash",
        "Ärger",
        "日本.bcl",
        "~",
        "-rf",
    ],
)
def test_odd_names_are_kept_exactly(run: Path, name: str) -> None:
    write(run / name / name)
    assert names(scan(str(run))) == [f"{name}/{name}"]


def test_a_name_that_is_no_utf8_is_a_failed_file_and_the_others_go_on(run: Path) -> None:
    bad = os.fsdecode(b"s\xe9quence.txt")
    write(run / bad)
    write(run / "good")
    found = scan(str(run))
    assert names(found) == ["good"]
    assert NOT_UTF8 == "the file name is not valid UTF-8, S3 keys have to be: rename the file"
    assert found.unsendable == [Unsendable(bad, NOT_UTF8)]
    assert found.regular_files == 2
    assert set(found.names()) == {"good", bad}


def test_files_in_a_folder_whose_name_is_no_utf8_fail_one_by_one(run: Path) -> None:
    folder = os.fsdecode(b"\xff")
    write(run / folder / "a")
    write(run / folder / "b")
    found = scan(str(run))
    assert found.files == []
    assert {item.name for item in found.unsendable} == {f"{folder}/a", f"{folder}/b"}


@settings(max_examples=60, deadline=None)
@given(st.sets(st.binary(min_size=1, max_size=12).filter(lambda name: not {0, 0x2F} & set(name)), max_size=8))
def test_every_name_of_bytes_is_either_listed_exactly_or_named_as_failed(raw: set[bytes]) -> None:
    raw -= {b".", b".."}
    with tempfile.TemporaryDirectory() as folder:
        for name in raw:
            with open(os.path.join(os.fsencode(folder), name), "wb"):
                pass
        found = scan(folder)
    listed = {os.fsencode(file.name) for file in found.files}
    failed = {os.fsencode(item.name) for item in found.unsendable}
    assert listed | failed == raw
    assert not listed & failed
    for name in raw:
        try:
            name.decode()
        except UnicodeDecodeError:
            assert name in failed
        else:
            assert name in listed


def test_excluded_files_are_counted_and_neither_sent_nor_missed(run: Path) -> None:
    write(run / "Thumbnail_Images" / "a.jpg")
    write(run / "Data" / "Thumbnail_Images" / "b.jpg")
    write(run / "keep.tmp.txt")
    write(run / "drop.tmp")
    found = scan(str(run), [re.compile("Thumbnail_Images/"), re.compile(r"\.tmp$")])
    assert names(found) == ["keep.tmp.txt"]
    assert (found.regular_files, found.excluded) == (1, 3)
    assert set(found.names()) == {"keep.tmp.txt"}


def test_excludes_are_searched_in_the_full_path(run: Path) -> None:
    write(run / "a")
    assert names(scan(str(run), [re.compile("^a$")])) == ["a"]
    assert names(scan(str(run), [re.compile("^" + re.escape(f"{run}/a") + "$")])) == []


def test_a_link_to_a_file_goes_up_as_that_file(run: Path, tmp_path: Path) -> None:
    target = write(tmp_path / "elsewhere", "four")
    (run / "link").symlink_to(target)
    write(run / "inside", "22")
    (run / "again").symlink_to("inside")
    found = scan(str(run))
    assert sorted((file.name, file.size) for file in found.files) == [("again", 2), ("inside", 2), ("link", 4)]
    assert found.regular_files == 3


def test_a_link_to_a_folder_outside_is_followed(run: Path, tmp_path: Path) -> None:
    write(tmp_path / "outside" / "deep" / "file")
    (run / "Data").symlink_to(tmp_path / "outside")
    found = scan(str(run))
    assert names(found) == ["Data/deep/file"]
    assert found.warnings == []


def test_a_folder_behind_two_links_goes_up_once_under_the_first_name(run: Path, tmp_path: Path) -> None:
    write(tmp_path / "outside" / "file")
    for link in ("z", "a", "m"):
        (run / link).symlink_to(tmp_path / "outside")
    found = scan(str(run))
    assert names(found) == ["a/file"]
    assert sorted(found.warnings) == [
        f"{run}/{link} is a link to a: it is not followed, each real folder goes up once" for link in ("m", "z")
    ]


def test_a_link_to_a_folder_of_the_run_is_named_and_left_even_when_it_is_met_first(run: Path) -> None:
    write(run / "b" / "c" / "real" / "file")
    (run / "a").symlink_to("b/c/real")
    found = scan(str(run))
    assert names(found) == ["b/c/real/file"]
    (warning,) = found.warnings
    assert warning.startswith(f"{run}/a is a link to b/c/real: it is not followed")


@pytest.mark.parametrize(("first", "second"), [("a_part", "b_whole"), ("b_part", "a_whole")])
def test_links_to_a_folder_and_to_one_inside_it_send_no_file_twice(
    run: Path, tmp_path: Path, first: str, second: str
) -> None:
    write(tmp_path / "outside" / "inner" / "file")
    write(tmp_path / "outside" / "other")
    (run / first).symlink_to(tmp_path / "outside" / "inner")
    (run / second).symlink_to(tmp_path / "outside")
    found = scan(str(run))
    reached = [os.path.realpath(run / name) for name in names(found)]
    assert sorted(reached) == [str(tmp_path / "outside" / "inner" / "file"), str(tmp_path / "outside" / "other")]
    assert len(found.warnings) == 1


def test_a_link_to_the_run_itself_ends_the_circle(run: Path) -> None:
    write(run / "Data" / "file")
    (run / "Data" / "loop").symlink_to("..")
    found = scan(str(run))
    assert names(found) == ["Data/file"]
    assert found.warnings == [
        f"{run}/Data/loop is a link to the run folder itself: it is not followed, each real folder goes up once"
    ]


def test_a_link_to_a_folder_above_the_run_is_named_and_left(run: Path, tmp_path: Path) -> None:
    write(tmp_path / "other run" / "file")
    write(run / "file")
    (run / "up").symlink_to(tmp_path)
    (run / "top").symlink_to("/")
    found = scan(str(run))
    assert names(found) == ["file"]
    assert sorted(found.warnings) == [
        f"{run}/{link} is a link to a folder above the run: it is not followed, each real folder goes up once"
        for link in ("top", "up")
    ]


def test_circles_outside_the_run_end_too(run: Path, tmp_path: Path) -> None:
    write(tmp_path / "one" / "file")
    write(tmp_path / "two" / "file")
    (tmp_path / "one" / "two").symlink_to(tmp_path / "two")
    (tmp_path / "two" / "one").symlink_to(tmp_path / "one")
    (run / "in").symlink_to(tmp_path / "one")
    assert names(scan(str(run))) == ["in/file", "in/two/file"]


def test_a_run_that_is_itself_a_link_is_scanned_like_any_other(run: Path, tmp_path: Path) -> None:
    write(run / "Data" / "file")
    (run / "Data" / "loop").symlink_to(run)
    (tmp_path / "linked").symlink_to(run)
    found = scan(str(tmp_path / "linked"))
    assert names(found) == ["Data/file"]
    assert len(found.warnings) == 1


def test_an_excluded_link_to_a_folder_is_not_followed(run: Path, tmp_path: Path) -> None:
    write(tmp_path / "outside" / "file")
    (run / "Logs").symlink_to(tmp_path / "outside")
    (run / "up").symlink_to(tmp_path)
    found = scan(str(run), [re.compile("/Logs/"), re.compile("/up/")])
    assert (list(found.files), found.warnings, found.unsendable) == ([], [], [])


def test_folders_to_which_the_file_system_gives_one_number_are_all_listed(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(run / "a" / "file")
    write(run / "b" / "file")
    real = os.stat

    def without_numbers(path: str) -> os.stat_result:
        mode, _, _, *rest = real(path)
        return os.stat_result((mode, 0, 0, *rest))

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", without_numbers)
        found = scan(str(run))
    assert names(found) == ["a/file", "b/file"]


FOLDERS = ["run", "run/a", "run/a/b", "run/c", "ext/d", "ext/d/e", "ext/d/e/f", "ext/g"]


@settings(max_examples=80, deadline=None)
@given(st.sets(st.tuples(st.sampled_from(FOLDERS), st.sampled_from([*FOLDERS, "."])), max_size=10))
def test_whatever_the_links_each_reachable_file_goes_up_once(links: set[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        root = os.path.realpath(place)
        for folder in FOLDERS:
            write(Path(root, folder, "file"))
        for number, (within, target) in enumerate(sorted(links)):
            Path(root, within, f"link{number}").symlink_to(Path(root, target))
        found = scan(f"{root}/run")
        sent = [os.path.relpath(os.path.realpath(f"{root}/run/{name}"), root) for name in names(found)]
    assert sorted(sent) == sorted(f"{folder}/file" for folder in reachable(links))
    assert found.unsendable == []
    for folder in FOLDERS:
        if folder.startswith("run"):
            assert os.path.relpath(f"{folder}/file", "run") in names(found)


def reachable(links: set[tuple[str, str]]) -> set[str]:
    """Folders one gets to from the run over sub-folders and links, never into one that holds the run."""
    reached: set[str] = set()
    left = {"run"}
    while left:
        folder = left.pop()
        reached.add(folder)
        left |= {other for other in FOLDERS if os.path.dirname(other) == folder}
        left |= {target for within, target in links if within == folder and target != "."}
        left -= reached
    return reached


def test_broken_links_are_failed_but_no_regular_files(run: Path) -> None:
    (run / "broken").symlink_to("missing")
    (run / "circle").symlink_to("circle")
    found = scan(str(run))
    reasons = {item.name: item.reason for item in found.unsendable}
    assert set(reasons) == {"broken", "circle"}
    assert reasons["broken"] == "the link leads nowhere: No such file or directory"
    assert reasons["circle"].startswith("the link leads nowhere: Too many levels")
    assert found.regular_files == 0
    assert set(found.names()) == {"broken", "circle"}


def test_excluded_broken_links_are_not_failed(run: Path) -> None:
    (run / "circle").symlink_to("circle")
    (run / "broken").symlink_to("missing")
    assert scan(str(run), [re.compile("circle|broken")]).unsendable == []


def test_fifos_sockets_and_devices_are_named_and_left(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run)  # a socket's path is at most 108 bytes
    os.mkfifo("fifo")
    (run / "null").symlink_to(os.devnull)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        found = scan(str(run))
    assert sorted(found.warnings) == [
        f"{run}/fifo is a FIFO, it is not uploaded",
        f"{run}/null is a character device, it is not uploaded",
        f"{run}/socket is a socket, it is not uploaded",
    ]
    assert (list(found.files), found.unsendable, found.regular_files, set(found.names())) == ([], [], 0, set())


@pytest.mark.parametrize(
    ("mode", "kind"), [(stat.S_IFBLK, "a block device"), (0, "no regular file")], ids=["block", "unknown"]
)
def test_block_devices_and_what_nobody_knows_are_named_and_left(
    run: Path, odd: Callable[[Path, OSError | int], None], mode: int, kind: str
) -> None:
    odd(write(run / "sda"), mode)
    assert scan(str(run)).warnings == [f"{run}/sda is {kind}, it is not uploaded"]


def test_an_excluded_fifo_needs_no_warning(run: Path) -> None:
    os.mkfifo(run / "fifo")
    assert scan(str(run), [re.compile("fifo")]).warnings == []


def test_names_in_warnings_are_printable(run: Path) -> None:
    os.mkfifo(run / os.fsdecode(b"\xff"))
    assert scan(str(run)).warnings == [f"{run}/\\xff is a FIFO, it is not uploaded"]


def test_an_unreadable_folder_is_failed_and_the_others_go_on(
    run: Path, odd: Callable[[Path, OSError | int], None]
) -> None:
    write(run / "closed" / "file")
    write(run / "open" / "file")
    odd(run / "closed", DENIED)
    found = scan(str(run))
    assert names(found) == ["open/file"]
    assert found.unsendable == [Unsendable("closed", "the folder cannot be listed: Permission denied")]
    assert "closed" in set(found.names())


def test_an_unreadable_folder_that_is_excluded_is_not_failed(
    run: Path, odd: Callable[[Path, OSError | int], None]
) -> None:
    write(run / "closed" / "file")
    odd(run / "closed", DENIED)
    assert scan(str(run), [re.compile("/closed/")]).unsendable == []


def test_a_file_whose_status_cannot_be_read_is_failed_and_counts(
    run: Path, odd: Callable[[Path, OSError | int], None]
) -> None:
    odd(write(run / "closed"), DENIED)
    write(run / "open")
    found = scan(str(run))
    assert names(found) == ["open"]
    assert found.unsendable == [Unsendable("closed", "the file cannot be read: Permission denied")]
    assert found.regular_files == 2


def test_an_error_without_words_is_still_a_reason(run: Path, odd: Callable[[Path, OSError | int], None]) -> None:
    odd(write(run / "file"), OSError("stale handle"))
    assert scan(str(run)).unsendable == [Unsendable("file", "the file cannot be read: stale handle")]


def test_a_link_that_breaks_during_the_scan_is_failed(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outside").mkdir()
    (run / "link").symlink_to(tmp_path / "outside")
    real = os.stat

    def gone(path: str) -> os.stat_result:
        if path == str(run / "link"):
            raise FileNotFoundError(2, "No such file or directory", path)
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", gone)
        found = scan(str(run))
    assert found.unsendable == [Unsendable("link", "the link leads nowhere: No such file or directory")]


def test_a_run_folder_that_cannot_be_listed_is_the_callers_error(
    run: Path, odd: Callable[[Path, OSError | int], None]
) -> None:
    with pytest.raises(FileNotFoundError):
        scan(str(run / "missing"))
    odd(run, DENIED)
    with pytest.raises(PermissionError):
        scan(str(run))
