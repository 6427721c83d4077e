"""How rounds ended is remembered, whatever happens to the file, and never too much of it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from async_s3_upload.errors import LogDirError
from async_s3_upload.state import rounds as module
from async_s3_upload.state.rounds import Round, Rounds, append_round, read_rounds

FIRST = Round(datetime(2024, 1, 1, 10, tzinfo=UTC), 3, 12.5, 1, 2, 3, 4, 1_000_000, ("bucket b: access denied",))


def later(number: int) -> Round:
    return replace(FIRST, ended_at=FIRST.ended_at + timedelta(minutes=number), problems=())


@pytest.fixture
def log_dir(tmp_path: Path) -> str:
    return str(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rounds.jsonl"


def test_without_a_file_there_were_no_rounds(log_dir: str) -> None:
    assert read_rounds(log_dir) == Rounds()


def test_rounds_are_read_back_in_their_order(log_dir: str) -> None:
    for done in (FIRST, later(1), later(2)):
        append_round(log_dir, done)
    assert read_rounds(log_dir) == Rounds((FIRST, later(1), later(2)))
    assert read_rounds(log_dir, 1) == Rounds((later(2),))


def test_a_round_is_one_line_of_json(log_dir: str, file: Path) -> None:
    append_round(log_dir, replace(FIRST, problems=("a\nb",)))
    (line,) = file.read_text().splitlines()
    assert json.loads(line) == {
        "ended_at": "2024-01-01T10:00:00+00:00",
        "exit_code": 3,
        "seconds": 12.5,
        "uploaded": 1,
        "failed": 2,
        "in_progress": 3,
        "skipped": 4,
        "bytes_sent": 1_000_000,
        "problems": ["a\\x0ab"],
    }


def test_what_is_written_of_problems_has_a_bound(log_dir: str) -> None:
    append_round(log_dir, replace(FIRST, problems=("x" * 10_000,) * 1000))
    (done,) = read_rounds(log_dir).rounds
    assert len(done.problems) == module.MOST_PROBLEMS
    assert {len(problem) for problem in done.problems} == {module.MOST_CHARACTERS}
    assert done.problems[0].endswith("x...")


@pytest.mark.parametrize(
    "tail",
    [
        b'{"ended_at": "2024',
        b'{"ended_at": "2024-01-01T10:00:00"}',
        b"\xff\x00",
        b"[" * 100_000,
        b'{"ended_at": 5}',
        b"5",
    ],
)
def test_a_torn_line_costs_that_line_alone(log_dir: str, file: Path, tail: bytes) -> None:
    append_round(log_dir, FIRST)
    file.write_bytes(file.read_bytes() + tail)
    append_round(log_dir, later(1))
    assert read_rounds(log_dir).rounds == (FIRST, later(1))
    assert read_rounds(log_dir).problem == f"{file}: 1 of the last 3 lines cannot be read"
    assert read_rounds(log_dir, 1).problem is None


def test_a_file_that_grew_too_long_keeps_its_last_lines(
    log_dir: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT", 5)
    monkeypatch.setattr(module, "SPARE", 3)
    lengths = []
    for number in range(20):
        append_round(log_dir, later(number))
        lengths.append(len(file.read_bytes().splitlines()))
    assert max(lengths) == 8
    assert read_rounds(log_dir).rounds[-5:] == tuple(map(later, range(15, 20)))
    assert list(file.parent.iterdir()) == [file]


def test_a_file_that_cannot_be_read_is_a_sentence(log_dir: str, file: Path) -> None:
    file.mkdir()
    assert read_rounds(log_dir) == Rounds(problem=f"{file} cannot be read: Is a directory")


def test_a_file_that_cannot_be_written_is_an_error(log_dir: str, file: Path) -> None:
    file.mkdir()
    with pytest.raises(LogDirError, match="cannot be written: Is a directory"):
        append_round(log_dir, FIRST)
