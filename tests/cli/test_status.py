"""What ``status`` is asked for, what it finds, and how that is written."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from async_s3_upload.cli.status import command
from async_s3_upload.cli.status.command import Status, StatusRequest, Unfinished, find_status, similar_ids
from async_s3_upload.cli.status.detail import MOST_SHOWN, detail_lines
from async_s3_upload.cli.status.options import StateName
from async_s3_upload.cli.status.table import table
from async_s3_upload.cli.status.words import STATE_WORDS, counts_text, round_text
from async_s3_upload.errors import UsageError
from async_s3_upload.state.journal import encode_line
from async_s3_upload.state.next_step import next_step
from async_s3_upload.state.overview import RunSummary, State
from async_s3_upload.state.rounds import Round, append_round
from async_s3_upload.state.run_log import FileRecord, RunLog, write_run_log
from async_s3_upload.state.this_host import Process

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
MD5 = "0123456789abcdef" * 2


@pytest.fixture(autouse=True)
def _clock_of_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def run(number: int, state: State, **known: Any) -> RunSummary:
    run_id = f"24022{number}_A01295_031{number}_BHT7WNDRX{number}"
    step = next_step(state, failed=len(known.get("failures", ())))
    stem = f"/var/log/s3_upload/uploads/{run_id}"
    return RunSummary(run_id, state, step, f"{stem}.upload.log.json", f"{stem}.journal.jsonl", "/none", **known)


COMPLETED = run(
    1,
    "completed",
    run_path="/sequencers/a/240221_A01295_0311_BHT7WNDRX1",
    bucket="my-bucket",
    prefix="novaseq/240221_A01295_0311_BHT7WNDRX1",
    instrument="NovaSeq 6000 1.7.5",
    rule="NovaSeq 6000 1.7.5: CopyComplete.txt ends a run",
    files_total=5492,
    files_done=5492,
    bytes_done=102_000_000_000,
    started_at=datetime(2024, 2, 21, 8, tzinfo=UTC),
    updated_at=datetime(2024, 2, 21, 9, tzinfo=UTC),
    completed_at=datetime(2024, 2, 21, 9, tzinfo=UTC),
    duration_s=3600.0,
    rate=102e9 / 3600,
)
OF_THE_OLD_TOOL = run(2, "completed", files_total=16, files_done=16)
PARTIAL = replace(
    run(3, "partial", failures={"/sequencers/a/x/Data/bad": "Permission denied", "/sequencers/a/x/y": "gone"}),
    instrument="NovaSeq 6000 1.7.5",
    files_total=51,
    files_done=49,
    bytes_done=23_033_474,
    updated_at=datetime(2024, 2, 29, 23, 59, tzinfo=UTC),
    duration_s=250.0,
    rate=92133.9,
)
DAMAGED = run(4, "damaged", updated_at=datetime(2024, 3, 1, 10, tzinfo=UTC))
UPLOADING = replace(
    run(5, "uploading", instrument="NovaSeq X 1.2.2.48004", files_total=1_000_000, files_done=123_456),
    bytes_done=11_000_000_000_000,
    updated_at=NOW,
    duration_s=86_400.0,
    rate=127e6,
    journal_entries_ahead=321,
)
ALL = [COMPLETED, OF_THE_OLD_TOOL, PARTIAL, DAMAGED, UPLOADING]


def text(runs: list[RunSummary], width: int | None) -> str:
    return "\n".join(table(runs, width).lines) + "\n"


def snapshot(name: str) -> str:
    """What was looked at and found good; it is compared to the letter."""
    return (Path(__file__).parent / "snapshots" / f"{name}.txt").read_text("utf-8")


@pytest.mark.parametrize("width", [80, 200])
def test_the_table_looks_as_it_did(width: int) -> None:
    assert text(ALL, width) == snapshot(f"status_{width}")


@pytest.mark.parametrize("width", [None, 200, 120, 100, 80, 60, 40, 10])
def test_no_line_is_wider_than_the_terminal_but_for_run_id_and_state(width: int | None) -> None:
    lines = table(ALL, width).lines
    assert len(lines) == 1 + len(ALL)
    assert all(line.startswith(found.run_id) for found, line in zip(ALL, lines[1:], strict=True))
    assert max(map(len, lines)) <= max(width or 1000, 29 + 2 + len("completed"))


def test_without_a_width_every_column_that_tells_something_is_there() -> None:
    heads = ["RUN", "STATE", "INSTRUMENT", "FILES", "BYTES", "WHEN", "TIME", "RATE", "FAILED", "NEXT STEP"]
    assert [column.head for column in table(ALL, None).columns] == heads
    assert [column.head for column in table([OF_THE_OLD_TOOL], None).columns] == ["RUN", "STATE", "FILES"]


def test_names_from_files_cannot_move_the_cursor_and_wide_letters_keep_the_columns() -> None:
    odd = [
        replace(COMPLETED, run_id="run\x1b[2J\n"),
        replace(COMPLETED, run_id="실행 1"),
        replace(COMPLETED, run_id="x"),
    ]
    lines = text(odd, 80).splitlines()
    assert lines[1].startswith("run\\x1b[2J\\x0a  completed")
    assert lines[2].startswith("실행 1          completed")
    assert lines[3].startswith("x               completed")


def test_every_state_has_a_word_and_can_be_asked_for() -> None:
    assert set(STATE_WORDS) == {str(name) for name in StateName} == set(get_args(State))


@pytest.mark.parametrize("state", get_args(State))
def test_the_next_step_is_short(state: State) -> None:
    for failed in (0, 1_000_000):
        for days in (0, 999):
            assert len(next_step(state, failed=failed, since=NOW - timedelta(days=days), now=NOW)) <= 70


def test_the_closing_lines_count_runs_and_tell_the_last_round() -> None:
    assert counts_text({"partial": 1, "completed": 2000}, 102_000_000_000) == (
        "2,001 runs: 2,000 completed, 1 partial; 102 GB in S3"
    )
    assert round_text(Round(NOW, 3, 250.0, 1, 2, 0, 9, 23_000_000)) == (
        "last round of monitor: 2024-03-01 12:00, exit code 3 after 4m 10s; 1 run uploaded, 2 failed; 23 MB sent"
    )
    assert ", 0 failed, 3 in progress;" in round_text(Round(NOW, 0, 1.0, 2, 0, 3))
    assert round_text(None) == "no round of monitor has ended yet"


def test_the_details_of_a_run() -> None:
    assert "\n".join(detail_lines(COMPLETED, [])) + "\n" == snapshot("status_run")


def test_the_details_of_a_run_with_failed_files_and_big_files_on_the_way() -> None:
    found = replace(PARTIAL, journal_entries_ahead=3)
    lines = list(detail_lines(found, [Unfinished("Data/big.bcl", 500_000_000_000, 8_000_000)]))
    assert "  destination   -" in lines
    assert "  files         49 of 51 in S3, 3 of them in the journal alone" in lines
    assert lines[-7:] == [
        "  2 files failed:",
        "    /sequencers/a/x/Data/bad",
        "      Permission denied",
        "    /sequencers/a/x/y",
        "      gone",
        "  1 big file on the way:",
        "    Data/big.bcl: 8 MB of 500 GB in S3",
    ]


def test_who_uploads_a_run_is_told_where_it_is_known() -> None:
    process = Process("seq-1", "", "", "", 4711, None)
    held = replace(UPLOADING, held_by=process)
    assert "  uploaded by   process 4711 on host seq-1" in detail_lines(held, [])
    assert not any("uploaded by" in line for line in detail_lines(UPLOADING, []))
    document = json.loads(Status("/log", NOW, [held, COMPLETED], None, []).as_json())
    assert [run["held_by"] for run in document["runs"]] == [{"host": "seq-1", "pid": 4711}, None]


def test_a_million_failed_files_are_not_listed() -> None:
    found = replace(PARTIAL, failures={f"/x/{number}": "why" for number in range(1000)})
    lines = list(detail_lines(found, []))
    assert lines[-1] == "    and 900 more, which --json lists"
    assert sum(line.startswith("    /x/") for line in lines) == MOST_SHOWN


LOG = RunLog(
    "240101_A01295_0001_AHV7TDRXY",
    "/seq/240101_A01295_0001_AHV7TDRXY",
    "bucket-a",
    "/",
    files={"a": FileRecord(MD5, 100, 5, None, "2024-01-01T10:00:00Z")},
    failures={"Data/bad": "Permission denied"},
    updated_at="2024-01-01T11:00:00Z",
)


@pytest.fixture
def log_dir(tmp_path: Path) -> Path:
    """A log folder with two runs, one of which went to two places."""
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    for stem, log in (
        (LOG.run_id, LOG),
        (f"{LOG.run_id}.0123abcd", replace(LOG, bucket="bucket-b")),
        ("other", replace(LOG, run_id="other", completed=True, failures={}, completed_at="2024-01-02T11:00:00Z")),
    ):
        write_run_log(log, str(uploads / f"{stem}.upload.log.json"))
    return tmp_path


def found(log_dir: Path, run_id: str | None = None, **request: Any) -> Status:
    return find_status(StatusRequest(run_id, log_dir=str(log_dir), **request))


def test_all_runs_are_found_the_newest_last(log_dir: Path) -> None:
    assert [run.run_id for run in found(log_dir).runs] == [LOG.run_id, LOG.run_id, "other"]
    assert found(log_dir).counts == {"partial": 2, "completed": 1}


def test_a_run_id_stands_for_all_places_that_the_run_went_to_and_the_name_of_a_log_for_one(log_dir: Path) -> None:
    assert [run.bucket for run in found(log_dir, LOG.run_id).runs] == ["bucket-a", "bucket-b"]
    assert [run.bucket for run in found(log_dir, f"{LOG.run_id}.0123abcd").runs] == ["bucket-b"]


def test_runs_can_be_narrowed_by_state_and_days(log_dir: Path) -> None:
    assert [run.run_id for run in found(log_dir, states=["completed", "damaged"]).runs] == ["other"]
    then = time.time() - 3 * 86_400
    os.utime(log_dir / "uploads" / "other.upload.log.json", (then, then))
    assert [run.run_id for run in found(log_dir, days=2).runs] == [LOG.run_id, LOG.run_id]


def test_an_unknown_run_is_an_error_that_names_similar_ones(log_dir: Path) -> None:
    with pytest.raises(UsageError) as similar:
        found(log_dir, "240101_A01295_0001_AHV7TDRXX")
    assert str(similar.value) == (
        f'no run "240101_A01295_0001_AHV7TDRXX" is known in {log_dir}; there is 240101_A01295_0001_AHV7TDRXY'
    )
    with pytest.raises(UsageError, match=r"is known in .*; without a run id status lists all$"):
        found(log_dir, "zzz")


def test_ids_that_hold_what_was_given_come_first() -> None:
    ids = [f"240101_A01295_{number:04}_AHV7TDRXY" for number in range(20)]
    assert similar_ids("0017", ids) == [ids[17]]
    assert len(similar_ids("a01295", ids)) == 5
    assert similar_ids("", ids) == []


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (StatusRequest(config="c", log_dir="d"), "--log-dir does not go with --config, which names the log folder"),
        (StatusRequest("run", states=["partial"]), "--state and --days do not go with a run id"),
        (StatusRequest("run", days=1.0), "--state and --days do not go with a run id"),
        (StatusRequest(days=0.0), "--days: must be more than 0"),
        (StatusRequest(log_dir="/none/there"), "--log-dir: /none/there does not exist"),
        (StatusRequest(log_dir="/dev/null"), "--log-dir: /dev/null is no folder"),
    ],
)
def test_options_that_cannot_work_are_one_sentence(request_: StatusRequest, problem: str) -> None:
    with pytest.raises(UsageError) as error:
        find_status(request_)
    assert str(error.value) == problem


def test_the_document_of_all_runs(log_dir: Path) -> None:
    append_round(str(log_dir), Round(NOW, 3, 12.5, 1, 2, 3, 4, 5, ("bucket-b: access denied",)))
    document = json.loads(found(log_dir).as_json())
    assert list(document) == ["log_dir", "generated_at", "runs", "counts", "last_round", "problems", "exit_code"]
    assert document["counts"] == {"partial": 2, "completed": 1}
    assert document["last_round"] == {
        "ended_at": "2024-03-01T12:00:00Z",
        "exit_code": 3,
        "seconds": 12.5,
        "uploaded": 1,
        "failed": 2,
        "in_progress": 3,
        "skipped": 4,
        "bytes_sent": 5,
        "problems": ["bucket-b: access denied"],
    }
    first = document["runs"][0]
    assert "failed_files" not in first
    assert (first["failed"], first["updated_at"], first["started_at"]) == (1, "2024-01-01T11:00:00Z", None)


def test_the_document_of_one_run_has_its_failed_and_unfinished_files(log_dir: Path) -> None:
    upload = {"t": "open", "n": "big", "k": "run/big", "u": "id", "s": 30, "m": 1, "i": 1, "p": 8, "x": True}
    part = {"t": "part", "n": "big", "u": "id", "p": 1, "s": 8, "e": "x", "c": None}
    journal = log_dir / "uploads" / f"{LOG.run_id}.journal.jsonl"
    journal.write_bytes(encode_line(upload) + encode_line(part))
    (log_dir / "manifests" / LOG.run_id).mkdir(parents=True)
    first, second = json.loads(found(log_dir, LOG.run_id).as_json())["runs"]
    assert first["failed_files"] == [{"path": f"{LOG.run_path}/Data/bad", "error": "Permission denied"}]
    assert first["unfinished_files"] == [{"name": "big", "bytes": 30, "bytes_done": 8}]
    assert first["journal_path"] == str(journal)
    assert first["manifest_folder"] == str(log_dir / "manifests" / LOG.run_id)
    assert (second["unfinished_files"], second["journal_path"], second["manifest_folder"]) == ([], None, None)


def test_of_one_run_only_its_own_problems_are_told(log_dir: Path) -> None:
    (log_dir / "uploads" / "torn.upload.log.json").write_text("{")
    journal = log_dir / "uploads" / f"{LOG.run_id}.journal.jsonl"
    journal.write_bytes(b"rubbish\n" * 3)
    assert len(found(log_dir).problems) == 2
    assert found(log_dir, LOG.run_id).problems == [
        f"journal {journal} is damaged; the next start asks S3 what is there"
    ]
    assert found(log_dir, "other").problems == []


def test_the_module_reads_no_config_where_none_is_named(log_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "state_folder", lambda: str(log_dir))
    assert len(find_status(StatusRequest()).runs) == 3
