"""A run log is read in pieces where each entry has a line of its own, else as a whole: with the same result."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from async_s3_upload.state import run_log, run_log_lines
from async_s3_upload.state.run_log import FileRecord, RunLog, UnreadableRunLog, read_run_log, write_run_log

RUN_PATH = "/seq/run"
MD5 = "0123456789abcdef" * 2
AT = "2024-01-01T10:00:00Z"


def log_of(count: int) -> RunLog:
    files = {
        f"Data/C{number // 7}.1/s_{number}.bcl": FileRecord(MD5, number, 5, "AAAAAAAAAAA=", AT)
        for number in range(count)
    }
    files["big"] = FileRecord("ab-2", 99, 5, None, AT, 8)
    return RunLog("run", RUN_PATH, "b", "/", files=files, failures={"Data/bad": "why"}, exclude_patterns=[])


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "run.upload.log.json")


@pytest.fixture
def wholes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Counts the logs that are read as a whole; pieces are small, so that a short log has many."""
    found: list[str] = []
    real = run_log._read_whole

    def read_whole(file: Any) -> RunLog:
        found.append(file.name)
        return real(file)

    monkeypatch.setattr(run_log, "_read_whole", read_whole)
    monkeypatch.setattr(run_log_lines, "PIECE_BYTES", 300)
    return found


def test_our_logs_are_read_in_pieces(path: str, wholes: list[str]) -> None:
    write_run_log(log_of(100), path)
    assert read_run_log(path) == log_of(100)
    assert wholes == []


def test_logs_of_the_replaced_tool_are_read_in_pieces(path: str, wholes: list[str]) -> None:
    uploaded = {f"{RUN_PATH}/Data/{number}": MD5 for number in range(100)}
    data = {
        "run_id": "run",
        "run_path": RUN_PATH,
        "completed": True,
        "uploaded_files": uploaded,
        "failed_upload_files": [],
    }
    Path(path).write_text(json.dumps(data, indent=4))
    assert read_run_log(path).files == {f"Data/{number}": FileRecord(MD5) for number in range(100)}
    assert wholes == []


LAYOUTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "one line": json.dumps,
    "indent 4": lambda data: json.dumps(data, indent=4),
    "indent 2": lambda data: json.dumps(data, indent=2),
    "sorted": lambda data: json.dumps(data, indent=4, sort_keys=True),
    "blank lines": lambda data: json.dumps(data, indent=4).replace("\n", "\n\n"),
    "other line ends": lambda data: json.dumps(data, indent=4).replace("\n", "\r\n"),
    "more behind": lambda data: json.dumps(data, indent=4) + "\n" * 200,
    "not ASCII": lambda data: json.dumps(data, indent=4, ensure_ascii=False),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_log_that_is_laid_out_otherwise_says_the_same(path: str, wholes: list[str], layout: str) -> None:
    log = log_of(50)
    log.files["Data/é"] = FileRecord(MD5, 1, 2, None, AT)
    write_run_log(log, path)
    Path(path).write_text(LAYOUTS[layout](json.loads(Path(path).read_bytes())), "utf-8")
    assert read_run_log(path) == log


FIELDS = st.sampled_from(["run_id", "run_path", "uploaded_files", "files", "bucket", "failures", "failed_upload_files"])
ENTRIES: list[Any] = [
    {"a": MD5},
    {"a": 5},
    {"/seq/run/a": MD5},
    {"./a": '"e"', "b/../a": "f", "/x/..": "g"},
    {"a": {"size": 5}},
    {"a": {"size": "5"}},
    {"a": {"size": 1, "mtime_ns": 2, "crc64nvme": 3, "uploaded_at": AT}},
    {"a": {"size": 1, "mtime_ns": 2, "crc64nvme": "AAAAAAAAAAA=", "uploaded_at": 5}},
    {"a": {"part_size": 5}, "b": {}},
    {"a": {"crc64nvme": "x"}},
    {"files": {"a": {}}, "uploaded_files": {"a": "b"}},
]
VALUES = st.sampled_from([None, 5, "x", [], ["x"], {}, *ENTRIES])


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(FIELDS, VALUES, max_size=4), st.sampled_from(sorted(LAYOUTS)))
def test_whatever_stands_in_a_log_both_ways_of_reading_agree(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[str, Any], layout: str
) -> None:
    data = {
        "run_id": "run",
        "run_path": RUN_PATH,
        "completed": True,
        "uploaded_files": {"a": MD5, "c/b": "x"},
    } | changes
    place = tmp_path_factory.getbasetemp() / "both.upload.log.json"
    place.write_text(LAYOUTS[layout](data), "utf-8")
    with place.open("rb") as file:
        try:
            expected = run_log._read_whole(file)
        except (ValueError, KeyError, TypeError):
            with pytest.raises(UnreadableRunLog):
                read_run_log(str(place))
            return
    assert read_run_log(str(place)) == expected


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "a comma is missing": lambda text: text.replace(
        b'",\n        "/seq/run/Data/C3', b'"\n        "/seq/run/Data/C3', 1
    ),
    "a comma too many": lambda text: text.replace(b'"ab-2"\n', b'"ab-2",\n'),
    "two commas": lambda text: text.replace(b'",\n        "/seq/run/Data/C3', b'",,\n        "/seq/run/Data/C3', 1),
    "a line is torn": lambda text: text.replace(b"Data/C5.1/s_35.bcl", b'Data/C5.1/s_"', 1),
    "zeros": lambda text: text[:2000] + b"\0" * 100 + text[2100:],
    "no UTF-8": lambda text: text.replace(b"s_40", b"s_\xff", 1),
    "the middle is missing": lambda text: text[:2000] + text[4000:],
    "a section has no end": lambda text: text.replace(b"    },\n", b"", 1),
    "the end is missing": lambda text: text[:-2],
    "more behind": lambda text: text + b"{}",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_log_is_found_out_wherever_it_is_damaged(path: str, wholes: list[str], damage: str) -> None:
    write_run_log(log_of(100), path)
    text = Path(path).read_bytes()
    Path(path).write_bytes(DAMAGES[damage](text))
    assert Path(path).read_bytes() != text
    with pytest.raises(UnreadableRunLog, match="is torn or no run log"):
        read_run_log(path)


SECTION = '    "uploaded_files": {{\n{}    }}'
OUT_OF_PLACE = {
    "an entry has no comma at its end": f'        "a": "{MD5}"\n' * 200,
    "the sections come in another order": f'        "a": "{MD5}"\n    }},\n    "uploaded_files": {{\n        "b": ""\n',
    "a section is not where it should be": f'        "a": "{MD5}"\n    }},\n    "uploaded_files": {{}},\n    "x": {{\n',
}


@pytest.mark.parametrize("why", OUT_OF_PLACE)
def test_why_a_log_is_not_read_in_pieces_is_known(path: str, wholes: list[str], why: str) -> None:
    head = f'{{\n    "run_id": "run",\n    "run_path": "{RUN_PATH}",\n    "completed": true,\n'
    Path(path).write_text(head + SECTION.format(OUT_OF_PLACE[why]) + "\n}\n")

    with Path(path).open("rb") as file, pytest.raises(ValueError, match=why):
        run_log._read_by_lines(file)


def test_entries_on_one_line_are_read_as_a_whole(path: str, wholes: list[str]) -> None:
    write_run_log(log_of(3), path)
    text = Path(path).read_text()
    Path(path).write_text(text.replace('"files": {\n', '"files": {', 1))

    with Path(path).open("rb") as file, pytest.raises(ValueError, match="the entries have no lines of their own"):
        run_log._read_by_lines(file)
    assert read_run_log(path) == log_of(3)


def test_of_a_log_that_is_cut_off_nothing_is_read(path: str, wholes: list[str]) -> None:
    write_run_log(log_of(100), path)
    os.truncate(path, 3000)
    with pytest.raises(UnreadableRunLog, match="its end is missing"):
        read_run_log(path)
    assert wholes == []


@pytest.mark.parametrize("own", [{"a": MD5}, {}])
def test_a_section_inside_of_something_else_is_not_taken_for_the_log_s_own(
    path: str, wholes: list[str], own: dict[str, str]
) -> None:
    inner = '{\n    "uploaded_files": {\n        "other": "x"\n    }\n}'
    Path(path).write_text(
        f'{{\n    "run_id": "run",\n    "run_path": "{RUN_PATH}",\n    "completed": true,\n    "extra": {inner},\n'
        f'    "uploaded_files": {json.dumps(own)}\n}}\n'
    )
    assert read_run_log(path).files == {name: FileRecord(etag) for name, etag in own.items()}
    assert wholes == [path]
