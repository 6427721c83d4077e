"""What a command did, as JSON and as lines."""

from __future__ import annotations

import json
import os
from typing import Any, get_args

import pytest

from async_s3_upload.cli.report import Report
from async_s3_upload.delivery.row import RunRow, State
from async_s3_upload.runs.instrument import Instrument
from async_s3_upload.runs.selection import Reason

RUN_ID = "240101_A01295_0001_AHV7TDRXY"
KEYS = [
    "run_id",
    "run_path",
    "bucket",
    "prefix",
    "state",
    "reason",
    "detail",
    "files",
    "bytes",
    "uploaded_files",
    "uploaded_bytes",
    "failed_files",
    "seconds",
    "instrument",
    "rule",
]


def row(state: State = "uploaded", reason: Reason = "new", **changes: Any) -> RunRow:
    made = RunRow(RUN_ID, f"/seq/{RUN_ID}", "bucket-a", f"runs/{RUN_ID}", state, reason, "complete by CopyComplete.txt")
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def document(report: Report) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(report.as_json())
    return loaded


def test_the_document_has_the_runs_and_the_exit_code() -> None:
    found = document(
        Report([row(files=3, bytes=70, uploaded_files=2, uploaded_bytes=50, seconds=1.23456)], exit_code=3)
    )
    assert found["exit_code"] == 3
    (run,) = found["runs"]
    assert list(run) == KEYS
    assert run == {
        "run_id": RUN_ID,
        "run_path": f"/seq/{RUN_ID}",
        "bucket": "bucket-a",
        "prefix": f"runs/{RUN_ID}",
        "state": "uploaded",
        "reason": "new",
        "detail": "complete by CopyComplete.txt",
        "files": 3,
        "bytes": 70,
        "uploaded_files": 2,
        "uploaded_bytes": 50,
        "failed_files": [],
        "seconds": 1.235,
        "instrument": None,
        "rule": None,
    }


def test_failed_files_are_listed_with_path_and_error() -> None:
    (run,) = document(
        Report([row("partial", "failed_files", failed_files=[("/seq/x", "denied"), ("/seq/y", "gone")])])
    )["runs"]
    assert run["failed_files"] == [{"path": "/seq/x", "error": "denied"}, {"path": "/seq/y", "error": "gone"}]


def test_what_was_not_looked_into_is_null() -> None:
    (run,) = document(Report([row("skipped", "too_old")]))["runs"]
    assert (run["files"], run["bytes"], run["uploaded_files"]) == (None, None, 0)


def test_sub_folders_that_are_no_runs_are_counted_and_problems_listed() -> None:
    found = document(Report(others=4, problems=["/seq/2 cannot be read"]))
    assert (found["runs"], found["other_folders"], found["problems"]) == ([], 4, ["/seq/2 cannot be read"])
    assert found["exit_code"] == 0


def test_names_that_are_no_utf8_are_written_with_backslash_escapes() -> None:
    odd = os.fsdecode(b"run\xff")
    text = Report([row(run_id=odd, run_path=odd, prefix=odd, detail=odd, failed_files=[(odd, "x")])], [odd]).as_json()
    found = json.loads(text)
    (run,) = found["runs"]
    assert {run[key] for key in ("run_id", "run_path", "prefix", "detail")} == {"run\\xff"}
    assert run["failed_files"][0]["path"] == "run\\xff"
    assert found["problems"] == ["run\\xff"]


def test_ids_of_the_runs_in_a_state_come_in_order() -> None:
    report = Report([row(run_id="b"), row("partial", run_id="c"), row(run_id="a\udcff")])
    assert report.with_state("uploaded") == ["b", "a\\xff"]
    assert report.with_state("partial") == ["c"]
    assert report.with_state("skipped") == []


def test_a_dry_run_tells_what_would_go_where_and_why() -> None:
    assert row("would_upload", files=1200, bytes=27_300_000).as_line() == (
        f"/seq/{RUN_ID} would be uploaded to bucket-a:runs/{RUN_ID} "
        "(new: complete by CopyComplete.txt; 1,200 files, 27.3 MB)"
    )


def test_a_dry_run_tells_what_is_left_of_a_partial_run() -> None:
    line = row("would_resume", "partial", files=2, bytes=10, detail="1 file of 2 still to send").as_line()
    assert line == (
        f"/seq/{RUN_ID} would be uploaded to bucket-a:runs/{RUN_ID} (partial: 1 file of 2 still to send; 2 files, 10 B)"
    )


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("already_uploaded", "uploaded"),
        ("not_complete", "not complete"),
        ("too_old", "too old"),
        ("samples_do_not_match", "samples do not match"),
        ("no_sample_sheet", "no usable sample sheet"),
    ],
)
def test_a_dry_run_tells_why_a_run_would_be_skipped(reason: Reason, words: str) -> None:
    assert row("skipped", reason, detail="d\udcff").as_line() == f"/seq/{RUN_ID} would be skipped: {words} (d\\xff)"


@pytest.mark.parametrize("reason", get_args(Reason))
@pytest.mark.parametrize("state", get_args(State))
def test_every_state_and_reason_has_a_line_and_is_in_the_document(state: State, reason: Reason) -> None:
    made = row(state, reason)
    assert made.as_line()
    (run,) = document(Report([made]))["runs"]
    assert (run["state"], run["reason"]) == (state, reason)


def test_states_and_reasons_are_the_stable_codes_that_scripts_read() -> None:
    assert set(get_args(State)) == {"uploaded", "partial", "skipped", "would_upload", "would_resume", "in_progress"}
    assert set(get_args(Reason)) == {
        "new",
        "partial",
        "already_uploaded",
        "not_complete",
        "too_old",
        "samples_do_not_match",
        "no_sample_sheet",
        "failed_files",
        "run_does_not_match",
        "instrument_does_not_match",
        "failed_on_instrument",
        "in_progress",
        "changed",
    }


def test_instrument_and_rule_are_in_the_document_and_the_rule_in_the_line_of_a_dry_run() -> None:
    rule = "NovaSeq X 1.2.2: CopyComplete.txt ends a run"
    told: dict[str, Any] = {"instrument": Instrument("NovaSeq X", "LH00188", "1.2.2"), "rule": rule}
    would = row("would_upload", files=1, bytes=1, **told)
    (run,) = document(Report([would]))["runs"]
    assert run["instrument"] == {"platform": "NovaSeq X", "serial": "LH00188", "software": "1.2.2"}
    assert run["rule"] == rule
    assert f"(new: complete by CopyComplete.txt; {rule}; 1 file, 1 B)" in would.as_line()
    assert rule in row("skipped", "not_complete", **told).as_line()
    assert rule in row("skipped", "failed_on_instrument", **told).as_line()
    assert rule not in row("skipped", "too_old", **told).as_line()
