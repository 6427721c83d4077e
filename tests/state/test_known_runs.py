"""All runs that a log folder remembers, and the multipart uploads that their journals still need."""

import os
from pathlib import Path
from typing import Any

import pytest

from async_s3_upload.errors import LogDirError
from async_s3_upload.state.journal import encode_line, replay
from async_s3_upload.state.known_runs import known_runs, protection
from async_s3_upload.state.run_log import FileRecord, RunLog, read_run_log, write_run_log

OPEN = {"t": "open", "n": "a", "k": "p/run/a", "u": "id-1", "s": 1, "m": 1, "i": 1, "p": 8, "x": True}
PLAN = {"t": "plan", "n": "b", "k": "p/run/b"}


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    folder = tmp_path / "uploads"
    folder.mkdir()
    return folder


def journal(uploads: Path, name: str, *events: dict[str, Any], tail: bytes = b"", head: bytes = b"") -> Path:
    path = uploads / f"{name}.journal.jsonl"
    path.write_bytes(head + b"".join(map(encode_line, events)) + tail)
    return path


def test_a_log_folder_that_does_not_exist_remembers_nothing(tmp_path: Path) -> None:
    assert known_runs(str(tmp_path / "none")) == []


def test_a_log_folder_that_cannot_be_listed_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "uploads").write_text("a file")
    with pytest.raises(LogDirError, match="cannot be listed"):
        known_runs(str(tmp_path))


def test_a_log_and_its_journal_are_one_run_touched_when_either_was(uploads: Path) -> None:
    log = uploads / "run.upload.log.json"
    write_run_log(RunLog("run", "/seq/run", "b", "/"), str(log))
    os.utime(log, (100, 100))
    os.utime(journal(uploads, "run", OPEN), (200, 200))
    os.utime(journal(uploads, "alone.0123abcd", PLAN), (50, 50))
    for other in ("run.upload.log.json.99.tmp", "run.journal.jsonl.damaged", ".writable.1", ".upload.log.json"):
        (uploads / other).touch()

    alone, run = known_runs(str(uploads.parent))

    assert (run.path, run.run_ids, run.touched) == (str(log), ("run",), 200)
    assert (alone.run_ids, alone.touched) == (("alone.0123abcd", "alone"), 50)
    remembered = run.remembered().log
    assert remembered is not None
    assert remembered.run_path == "/seq/run"
    assert "cannot be read" in (alone.remembered().problem or "")


def test_journals_protect_their_uploads_and_the_keys_they_planned(uploads: Path) -> None:
    journal(uploads, "run", OPEN, PLAN, tail=b'{"torn')
    journal(uploads, "other", {**OPEN, "u": "id-2"}, {"t": "gone", "n": "a", "u": "id-2"})

    guarded = protection(known_runs(str(uploads.parent)))

    assert set(guarded.upload_ids) == {"id-1"}
    assert set(guarded.keys) == {"p/run/b"}
    assert set(guarded.run_ids) == set()
    assert guarded.problems == ()


def test_a_damaged_journal_protects_its_run_under_any_of_its_names(uploads: Path) -> None:
    path = journal(uploads, "run.0123abcd", OPEN, head=b"rubbish\n")
    unreadable = uploads / "folder.journal.jsonl"
    unreadable.mkdir()

    guarded = protection(known_runs(str(uploads.parent)))

    assert set(guarded.run_ids) == {"run", "run.0123abcd", "folder"}
    assert len(guarded.problems) == 2
    assert str(unreadable) in guarded.problems[0]
    assert guarded.problems[0].endswith("; no upload of its run is aborted")
    assert str(path) in guarded.problems[1]


def test_part_sizes_and_excludes_are_remembered_and_older_logs_lack_them(tmp_path: Path) -> None:
    path = str(tmp_path / "run.upload.log.json")
    log = RunLog("run", "/seq/run", "b", "/", exclude_patterns=[r"\.log$"])
    log.files = {"big": FileRecord("e-2", 20, 1, None, "t", 8), "small": FileRecord("f", 2, 1, None, "t")}
    write_run_log(log, path)

    assert read_run_log(path) == log
    text = Path(path).read_text()
    Path(path).write_text(text.replace(', "part_size": 8', "").replace('"exclude_patterns"', '"unknown"'))
    older = read_run_log(path)
    assert older.files["big"].part_size is None
    assert older.exclude_patterns is None


def test_the_journal_tells_part_sizes_too() -> None:
    line = {"t": "file", "n": "a", "e": "x", "s": 1, "m": 2, "c": None, "at": "t"}

    replayed = replay([encode_line({**line, "p": 8}), encode_line({**line, "n": "b"})])

    assert replayed.files == {"a": FileRecord("x", 1, 2, None, "t", 8), "b": FileRecord("x", 1, 2, None, "t")}
