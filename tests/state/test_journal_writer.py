"""Appending to the journal: no half lines, nothing lost, whatever the disk does."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from async_s3_upload.state import journal_writer, replacing
from async_s3_upload.state.journal import encode_line, replay
from async_s3_upload.state.journal_writer import JournalWriter, append_line, read_lines
from async_s3_upload.state.replacing import temporary_name


def drop(name: str) -> dict[str, Any]:
    return {"t": "drop", "n": name}


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "run.journal.jsonl")


@pytest.fixture(autouse=True)
def every_descriptor_is_closed() -> Iterator[None]:
    before = set(os.listdir("/proc/self/fd"))
    yield
    assert len(os.listdir("/proc/self/fd")) <= len(before)


def names(path: str) -> set[str]:
    """Names in the journal, which must be whole."""
    found = replay(read_lines(path))
    assert not found.torn
    return found.dropped


class Disk:
    """Takes the place of os.write: so many bytes fit, and at most so many a call."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int, most: int = 10**9) -> None:
        self.room, self.most, self._write = room, most, os.write
        monkeypatch.setattr(os, "write", self.write)

    def write(self, descriptor: int, data: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self._write(descriptor, data[: min(self.room, self.most)])
        self.room -= written
        return written


def test_what_was_flushed_can_be_read(path: str) -> None:
    writer = JournalWriter(path)
    writer.add(drop("a"))
    assert names(path) == set()
    writer.flush()
    assert names(path) == {"a"}
    writer.add(drop("b"))
    writer.close()
    assert names(path) == {"a", "b"}


def test_no_journal_has_no_lines(path: str) -> None:
    assert list(read_lines(path)) == []


def test_a_fresh_start_replaces_what_was_there(path: str, tmp_path: Path) -> None:
    JournalWriter(path, [drop("old")]).close()
    writer = JournalWriter(path, [drop("carried")])
    assert names(path) == {"carried"}
    writer.add(drop("new"))
    writer.close()
    assert names(path) == {"carried", "new"}
    assert os.listdir(tmp_path) == [os.path.basename(path)]


def fail(*_args: object) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize("broken", ["write", "fsync", "replace"])
def test_a_fresh_start_that_fails_leaves_the_old_journal_as_it_was(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    JournalWriter(path, [drop("old")]).close()
    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(OSError, match="Input/output error"):
        JournalWriter(path, [drop("new")])
    monkeypatch.undo()
    assert names(path) == {"old"}
    assert os.listdir(tmp_path) == [os.path.basename(path)]


def test_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        JournalWriter(str(tmp_path / "gone" / "run.journal.jsonl"))


def test_a_full_disk_leaves_no_half_line_and_loses_no_event(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = JournalWriter(path, [drop("first")])
    disk = Disk(monkeypatch, room=10)
    for name in ("a", "b"):
        writer.add(drop(name))
        with pytest.raises(OSError, match="No space left"):
            writer.flush()
        assert names(path) == {"first"}
        disk.room = 10
    disk.room = 10**6
    writer.flush()
    assert names(path) == {"first", "a", "b"}
    writer.close()
    assert names(path) == {"first", "a", "b"}


def test_each_event_is_written_once_after_a_full_disk(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = JournalWriter(path)
    disk = Disk(monkeypatch, room=5)
    writer.add(drop("a"))
    with pytest.raises(OSError, match="No space left"):
        writer.flush()
    disk.room = 10**6
    writer.close()
    assert len(list(read_lines(path))) == 1


@pytest.mark.parametrize("most", [1, 7, 30])
def test_partial_writes_are_gone_on_with(path: str, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    Disk(monkeypatch, room=10**6, most=most)
    writer = JournalWriter(path, [drop("carried")])
    for name in ("a", "b", "c"):
        writer.add(drop(name))
    writer.close()
    assert names(path) == {"carried", "a", "b", "c"}


def test_a_full_disk_at_the_end_is_said_and_the_file_is_closed(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = JournalWriter(path, [drop("first")])
    Disk(monkeypatch, room=0)
    writer.add(drop("a"))
    with pytest.raises(OSError, match="No space left"):
        writer.close()
    assert names(path) == {"first"}


def test_a_journal_with_nothing_to_tell_is_removed(path: str) -> None:
    writer = JournalWriter(path, [drop("a")])
    writer.add(drop("b"))
    writer.close(remove=True)
    assert not os.path.exists(path)


def test_a_journal_that_another_process_put_in_its_place_stays(path: str) -> None:
    frozen = JournalWriter(path, [{"t": "note", "text": "frozen"}])
    other = JournalWriter(path, [{"t": "note", "text": "other"}])
    frozen.add({"t": "note", "text": "late"})
    frozen.flush()
    frozen.close(remove=True)
    other.close()
    assert list(read_lines(path)) == [encode_line({"t": "note", "text": "other"})]


def test_two_processes_of_the_same_number_write_to_different_files_first(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {temporary_name("/log/run")}
    monkeypatch.setattr(replacing, "_DIGITS", "another")
    assert temporary_name("/log/run") not in names


def test_a_journal_that_somebody_removed_may_be_removed(path: str) -> None:
    writer = JournalWriter(path)
    os.unlink(path)
    writer.close(remove=True)


def test_a_flush_without_events_writes_nothing(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = JournalWriter(path)
    Disk(monkeypatch, room=0)
    writer.flush()
    writer.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now = [1000.0]
    monkeypatch.setattr(journal_writer, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def go_on(seconds: float) -> None:
        now[0] += seconds

    return go_on


def test_it_goes_to_the_disk_within_a_second_or_after_so_many_lines(
    path: str, clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(descriptor)
        real(descriptor)

    writer = JournalWriter(path)
    writer.sync()
    monkeypatch.setattr(os, "fsync", fsync)
    clock(10)
    assert not writer.due(), "there is nothing new"
    writer.sync()
    writer.add(drop("a"))
    assert not writer.due(), "it is not in the file yet"
    writer.flush()
    assert not writer.due()
    clock(journal_writer.SYNC_EVERY_S)
    assert writer.due()
    writer.sync()
    assert not writer.due()
    assert len(synced) == 2
    for number in range(journal_writer.SYNC_COUNT):
        writer.add(drop(str(number)))
    writer.flush()
    assert writer.due()
    assert journal_writer.SYNC_EVERY_S <= 1
    writer.close()


@pytest.mark.parametrize("before", [b"", encode_line(drop("a"))])
def test_a_line_may_be_appended_to_a_journal_that_nobody_has_open(path: str, before: bytes) -> None:
    if before:
        Path(path).write_bytes(before)
    append_line(path, drop("b"))
    assert Path(path).read_bytes() == before + encode_line(drop("b"))


def test_a_line_appended_after_a_torn_one_is_whole(path: str) -> None:
    Path(path).write_bytes(b"torn")
    append_line(path, drop("b"))
    assert list(read_lines(path)) == [b"torn\n", encode_line(drop("b"))]


def test_a_disk_that_is_gone_is_said_by_sync(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = JournalWriter(path)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        writer.sync()
    monkeypatch.undo()
    writer.close()
