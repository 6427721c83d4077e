"""All known runs at a glance, from run logs, journals and locks alone, whatever becomes of these meanwhile."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from async_s3_upload.errors import LogDirError
from async_s3_upload.state import overview as module
from async_s3_upload.state import run_state
from async_s3_upload.state.journal import encode_line
from async_s3_upload.state.lock import exclusive
from async_s3_upload.state.overview import RunSummary, overview
from async_s3_upload.state.run_log import FileRecord, RunLog, write_run_log
from async_s3_upload.state.run_log_head import RunLogHead, read_run_log_head
from async_s3_upload.state.run_logs import Identity, RunLogs
from async_s3_upload.state.this_host import this_process

MD5 = "0123456789abcdef" * 2
BEGUN, WRITTEN = "2024-01-01T10:00:00Z", "2024-01-01T11:00:00Z"
NOW = datetime(2024, 1, 1, 12, tzinfo=UTC)
FILES = {f"Data/{number}": FileRecord(MD5, 100, 5, "AAAAAAAAAAA=", BEGUN) for number in range(10)}
PARTIAL = RunLog(
    "run_1",
    "/seq/run_1",
    "bucket-a",
    "/novaseq/",
    total_local_files=12,
    files=FILES,
    failures={"Data/bad": "Permission denied"},
    started_at=BEGUN,
    updated_at=WRITTEN,
    instrument="NovaSeq X 1.2.2",
    rule="NovaSeq X 1.2.2: CopyComplete.txt ends a run",
    upload_seconds=50.0,
)
COMPLETED = replace(PARTIAL, completed=True, failures={}, total_local_files=10, completed_at=WRITTEN)


class LogDir:
    """A log folder into which a test writes what it needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uploads = folder / "uploads"
        self.uploads.mkdir()
        (folder / "locks").mkdir()

    def write(self, log: RunLog, stem: str | None = None) -> Path:
        path = self.log(stem or log.run_id)
        write_run_log(log, str(path))
        return path

    def log(self, stem: str) -> Path:
        return self.uploads / f"{stem}.upload.log.json"

    def journal(self, stem: str, *events: dict[str, Any], tail: bytes = b"") -> Path:
        path = self.uploads / f"{stem}.journal.jsonl"
        path.write_bytes(b"".join(map(encode_line, events)) + tail)
        return path

    def lock(self, stem: str) -> str:
        return str(self.folder / "locks" / f"{stem}.lock")

    def runs(self) -> tuple[RunSummary, ...]:
        return overview(str(self.folder), NOW).runs

    def run(self) -> RunSummary:
        (found,) = self.runs()
        return found

    def problems(self) -> tuple[str, ...]:
        return overview(str(self.folder), NOW).problems


@pytest.fixture
def logs(tmp_path: Path) -> LogDir:
    return LogDir(tmp_path)


def done(name: str, at: str = "2024-01-01T11:00:05Z", size: int = 7) -> dict[str, Any]:
    return {"t": "file", "n": name, "e": MD5, "s": size, "m": 1, "c": None, "at": at}


def test_a_log_folder_that_does_not_exist_knows_no_runs(tmp_path: Path) -> None:
    assert overview(str(tmp_path / "none"), NOW) == module.Overview(())


def test_a_log_folder_that_cannot_be_listed_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "uploads").write_text("")
    with pytest.raises(LogDirError, match="cannot be listed"):
        overview(str(tmp_path), NOW)


def test_a_partial_run_has_its_figures_its_failures_and_what_happens_next(logs: LogDir) -> None:
    logs.write(PARTIAL)
    assert logs.run() == RunSummary(
        run_id="run_1",
        state="partial",
        next_step="the next start tries 1 failed file again",
        log_path=str(logs.log("run_1")),
        journal_path=str(logs.uploads / "run_1.journal.jsonl"),
        manifest_folder=str(logs.folder / "manifests" / "run_1"),
        run_path="/seq/run_1",
        bucket="bucket-a",
        prefix="novaseq/run_1",
        instrument="NovaSeq X 1.2.2",
        rule="NovaSeq X 1.2.2: CopyComplete.txt ends a run",
        files_total=12,
        files_done=10,
        bytes_done=1000,
        started_at=datetime(2024, 1, 1, 10, tzinfo=UTC),
        updated_at=datetime(2024, 1, 1, 11, tzinfo=UTC),
        completed_at=None,
        duration_s=50.0,
        rate=20.0,
        failures={"/seq/run_1/Data/bad": "Permission denied"},
        journal_entries_ahead=0,
    )


@pytest.mark.parametrize(
    ("changes", "state", "step"),
    [
        ({"completed": True, "failures": {}, "completed_at": WRITTEN}, "completed", "nothing to do"),
        ({"failures": {}}, "partial", "was cut short; the next start goes on with what is missing"),
        (
            {"failures": {}, "in_progress": True},
            "in_progress",
            "the instrument still writes it; the next start sends what is new",
        ),
        (
            {"updated_at": "2023-12-29T11:00:00Z"},
            "partial",
            "nothing was tried for 3 days: see the log of monitor, or upload it",
        ),
    ],
)
def test_each_state_has_a_next_step(logs: LogDir, changes: dict[str, Any], state: str, step: str) -> None:
    logs.write(replace(PARTIAL, **changes))
    assert (logs.run().state, logs.run().next_step) == (state, step)


def test_a_run_whose_lock_is_held_is_being_uploaded_and_its_journal_counts(logs: LogDir) -> None:
    logs.write(replace(PARTIAL, failures={}))
    logs.journal("run_1", done("Data/3", at=WRITTEN), done("new"), done("new", size=8), tail=b'{"t":"fi')
    with exclusive(logs.lock("run_1")):
        run = logs.run()
    assert (run.state, run.next_step) == ("uploading", "is being uploaded now")
    assert run.held_by == this_process()
    assert (run.journal_entries_ahead, run.files_done, run.bytes_done) == (1, 11, 1008)
    assert logs.problems() == ()


def test_looking_keeps_nobody_from_uploading(logs: LogDir) -> None:
    logs.write(PARTIAL)
    logs.journal("run_1")
    Path(logs.lock("run_1")).touch()
    assert logs.run().state == "partial"
    with exclusive(logs.lock("run_1")):
        pass


def test_no_more_files_are_done_than_there_are(logs: LogDir) -> None:
    logs.write(PARTIAL)
    logs.journal("run_1", *(done(f"again/{number}") for number in range(5)))
    assert (logs.run().files_done, logs.run().journal_entries_ahead) == (12, 5)


def test_a_long_journal_is_read_from_behind_as_far_as_it_is_ahead(
    logs: LogDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("async_s3_upload.state.journal_tail.BLOCK_BYTES", 100)
    logs.write(replace(PARTIAL, total_local_files=1000))
    before = [done(f"before/{number}", at=WRITTEN) for number in range(50)]
    logs.journal("run_1", *before, *(done(f"after/{number}") for number in range(50)), {"t": "note", "text": "x" * 300})
    assert (logs.run().journal_entries_ahead, logs.run().bytes_done) == (50, 1350)


def test_a_damaged_journal_is_a_sentence(logs: LogDir) -> None:
    logs.write(PARTIAL)
    journal = logs.journal("run_1", done("a"), done("b"))
    journal.write_bytes(journal.read_bytes().replace(b'"a"', b'"x"'))
    assert logs.run().journal_entries_ahead == 1
    assert logs.problems() == (f"journal {journal} is damaged; the next start asks S3 what is there",)


def test_a_journal_that_cannot_be_read_is_a_sentence(logs: LogDir) -> None:
    logs.write(PARTIAL)
    (logs.uploads / "run_1.journal.jsonl").mkdir()
    assert logs.run().files_done == 10
    assert logs.problems() == (f"journal {logs.uploads}/run_1.journal.jsonl cannot be read: Is a directory",)


def test_a_torn_run_log_is_a_damaged_run_and_a_sentence(logs: LogDir) -> None:
    path = logs.write(PARTIAL, "run_1.0123abcd")
    path.write_bytes(path.read_bytes()[:-200])
    assert (logs.run().run_id, logs.run().state, logs.run().files_done) == ("run_1", "damaged", None)
    assert "asks S3" in logs.run().next_step
    assert logs.problems() == (f"run log {path} is torn or no run log: its end is missing",)


def test_a_journal_without_its_run_log_is_a_damaged_run(logs: LogDir) -> None:
    logs.journal("run_1", done("a"))
    assert logs.run().state == "damaged"
    assert "cannot be read: No such file" in logs.problems()[0]


def test_the_time_that_all_attempts_took_adds_up(logs: LogDir, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    identity = Identity("/seq/run_1", "bucket-a", "/novaseq")

    def begun() -> run_state.RunState:
        remembered = RunLogs(str(logs.folder)).find(identity)
        return run_state.RunState(run_state.recall(identity, remembered), remembered, identity, BEGUN)

    first = begun()
    now[0] = 110.0
    for _ in first.snapshot(BEGUN):
        pass
    assert logs.run().duration_s == 10.0
    now[0] = 130.0
    first.finish(["a"], {"a": "why"}, WRITTEN)
    now[0] = 500.0
    second = begun()
    now[0] = 560.0
    second.finish([], {}, WRITTEN)
    assert (logs.run().state, logs.run().duration_s) == ("completed", 90.0)


def test_an_upload_that_ends_while_it_is_looked_at_is_seen_at_its_end(
    logs: LogDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs.write(PARTIAL)
    journal = logs.journal("run_1", done("a"))

    def ends_after(path: str) -> RunLogHead:
        head = read_run_log_head(path)
        if journal.exists():
            logs.write(COMPLETED)
            journal.unlink()
        return head

    monkeypatch.setattr(module, "read_run_log_head", ends_after)
    with exclusive(logs.lock("run_1")):
        assert logs.run().state == "completed"


def test_a_log_that_is_moved_away_meanwhile_is_a_sentence(logs: LogDir, monkeypatch: pytest.MonkeyPatch) -> None:
    path = logs.write(PARTIAL)

    def moved_away(path: str) -> RunLogHead:
        os.unlink(path)
        return read_run_log_head(path)

    monkeypatch.setattr(module, "read_run_log_head", moved_away)
    found = overview(str(logs.folder), NOW)
    assert found.runs == ()
    assert found.problems == (f"run log {path} was moved away while it was to be read",)


def test_runs_come_in_the_order_of_what_happened_last(logs: LogDir) -> None:
    for day, stem in ((3, "c"), (1, "a"), (2, "b")):
        logs.write(replace(COMPLETED, run_id=stem, completed_at=f"2024-01-0{day}T00:00:00Z"))
    logs.write(replace(PARTIAL, run_id="d", updated_at="2024-01-02T12:00:00Z"))
    assert [run.run_id for run in logs.runs()] == ["a", "b", "d", "c"]


def test_only_runs_touched_lately_are_read_where_that_is_wanted(logs: LogDir) -> None:
    old = logs.write(replace(COMPLETED, run_id="old"))
    logs.write(COMPLETED)
    then = (NOW - timedelta(days=9)).timestamp()
    os.utime(old, (then, then))
    found = overview(str(logs.folder), NOW, touched_since=(NOW - timedelta(days=2)).timestamp())
    assert [run.run_id for run in found.runs] == ["run_1"]


def test_times_that_are_none_and_a_clock_that_went_back_are_no_trouble(logs: LogDir) -> None:
    logs.write(replace(PARTIAL, started_at="2024-01-01T12:00:00", updated_at=WRITTEN, upload_seconds=None))
    assert (logs.run().started_at, logs.run().duration_s, logs.run().rate) == (NOW, 0.0, None)
    logs.write(replace(PARTIAL, started_at="yesterday", updated_at=None, upload_seconds=None))
    assert (logs.run().started_at, logs.run().updated_at, logs.run().duration_s) == (None, None, None)


def old_log(**changes: Any) -> dict[str, Any]:
    """What the replaced tool writes."""
    return {
        "run_id": "run_1",
        "run_path": "/seq/run_1",
        "completed": False,
        "total_local_files": 3,
        "total_uploaded_files": 2,
        "total_failed_upload": 1,
        "failed_upload_files": ["/seq/run_1/bad"],
        "uploaded_files": {"/seq/run_1/a": "abc", "/seq/run_1/b": '"def"'},
    } | changes


@pytest.fixture
def wholes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the run logs that are read wholly."""
    found: list[str] = []
    monkeypatch.setattr("async_s3_upload.state.run_log_head._from_whole", _noting(found))
    return found


def _noting(found: list[str]) -> Callable[[str], RunLogHead]:
    from async_s3_upload.state.run_log_head import _from_whole

    def note(path: str) -> RunLogHead:
        found.append(path)
        return _from_whole(path)

    return note


@pytest.mark.parametrize("uploaded", [{"/seq/run_1/a": "abc", "/seq/run_1/b": '"def"'}, {}])
def test_of_an_old_log_what_it_does_not_tell_is_unknown_and_it_is_not_read_wholly(
    logs: LogDir, wholes: list[str], uploaded: dict[str, str]
) -> None:
    text = json.dumps(old_log(uploaded_files=uploaded), indent=4)
    logs.log("run_1").write_text(text)
    run = logs.run()
    assert (run.state, run.files_total, run.files_done) == ("partial", 3, 2)
    assert run.failures == {"/seq/run_1/bad": "failed before"}
    assert (run.bucket, run.prefix, run.instrument, run.bytes_done) == (None, None, None, None)
    assert (run.started_at, run.when, run.duration_s, run.rate) == (None, None, None, None)
    assert wholes == []


def test_our_logs_are_not_read_wholly(logs: LogDir, wholes: list[str]) -> None:
    logs.write(PARTIAL)
    logs.write(replace(COMPLETED, run_id="empty", files={}))
    logs.write(replace(PARTIAL, run_id="many", failures={f"Data/bad/{number}": "why" for number in range(2000)}))
    assert {run.run_id: len(run.failures) for run in logs.runs()} == {"run_1": 1, "empty": 0, "many": 2000}
    assert wholes == []


def other_layouts() -> dict[str, str]:
    data = json.loads("".join(PARTIAL.as_text()))
    del data["uploaded_bytes"]
    big = ("uploaded_files", "files")
    return {
        "one line": json.dumps(data),
        "indent 2": json.dumps(data, indent=2),
        "sorted": json.dumps(data, indent=4, sort_keys=True),
        "files last": json.dumps(
            {key: data[key] for key in data if key != "files"} | {"files": data["files"]}, indent=4
        ),
        "ours first": json.dumps({key: data[key] for key in data if key not in big} | {key: data[key] for key in big}),
    }


@pytest.mark.parametrize("layout", other_layouts())
def test_a_log_that_is_laid_out_otherwise_says_the_same(logs: LogDir, wholes: list[str], layout: str) -> None:
    logs.write(PARTIAL)
    expected = logs.run()
    path = logs.log("run_1")
    path.write_text(other_layouts()[layout])
    assert logs.run() == expected
    assert wholes == [str(path)]


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"run_id": 5}', "[" * 100_000, "\0" * 5000])
def test_what_is_no_run_log_is_a_damaged_run(logs: LogDir, content: str) -> None:
    logs.log("run_1").write_text(content)
    assert logs.run().state == "damaged"


@pytest.mark.parametrize("key", ["run_id", "completed", "failures", "uploaded_bytes", "instrument", "updated_at"])
def test_a_value_of_a_wrong_type_is_no_error(logs: LogDir, key: str) -> None:
    logs.log("run_1").write_text(json.dumps(json.loads("".join(PARTIAL.as_text())) | {key: ["x"]}, indent=4))
    assert logs.run().state in ("damaged", "partial")
