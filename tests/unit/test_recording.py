"""The run log keeps step with what the workers report."""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from async_s3_upload.cli import recording
from async_s3_upload.cli.recording import PROGRESS_EVERY_S, SAVE_EVERY_S, SAVE_SHARE, Recorder, now_text
from async_s3_upload.errors import LogDirError
from async_s3_upload.state.run_log import FileRecord, RunLog, read_run_log
from async_s3_upload.transfer.messages import BytesSent, FileDone, FileFailed
from async_s3_upload.transfer.plan import plan_job
from tests.unit.conftest import Records

RUN_ID = "240101_A01295_0001_AHV7TDRXY"
RUN_PATH = f"/seq/{RUN_ID}"
SIZES = {"big": 30_000_000, "Data/mid": 20, "small": 10}


class Clock:
    """A clock that goes on only when it is told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.step_s = 0.0

    def monotonic(self) -> float:
        self.now_s += self.step_s
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(recording, "time", SimpleNamespace(monotonic=found.monotonic))
    return found


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / f"{RUN_ID}.upload.log.json")


def recorder(path: str, failures: dict[str, str] | None = None, log: RunLog | None = None) -> Recorder:
    job = plan_job("bucket-a", f"runs/{RUN_ID}", RUN_PATH, SIZES)
    return Recorder(log or RunLog(RUN_ID, RUN_PATH, "bucket-a", "/runs"), path, job, failures or {})


def done(number: int, size: int = 10) -> FileDone:
    return FileDone(number, f"etag{number}", size, 5, "AAAAAAAAAAA=")


def no_space(*args: object) -> None:
    raise OSError(28, "No space left on device")


def test_times_are_utc_in_iso_8601() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", now_text())


def test_a_file_that_is_done_is_recorded_under_its_name(clock: Clock, path: str) -> None:
    found = recorder(path)
    found.take(done(1, 20))
    record = found.log.files["Data/mid"]
    assert (record.etag, record.size, record.mtime_ns, record.crc64nvme) == ("etag1", 20, 5, "AAAAAAAAAAA=")
    assert record.uploaded_at is not None
    assert (found.done_files, found.done_bytes, found.failures) == (1, 20, {})


def test_a_file_that_failed_is_named_with_its_path_and_reason(clock: Clock, path: str, records: Records) -> None:
    found = recorder(path)
    found.take(FileFailed(1, "file", "the file cannot be read: Permission denied"))
    assert found.failures == {"Data/mid": "the file cannot be read: Permission denied"}
    assert found.log.files == {}
    (record,) = records.kept
    assert (record.levelname, record.getMessage()) == (
        "ERROR",
        f"failed: {RUN_PATH}/Data/mid: the file cannot be read: Permission denied",
    )


def test_what_failed_before_the_job_is_named_and_kept(clock: Clock, path: str, records: Records) -> None:
    given = {os.fsdecode(b"s\xff"): "the name is no UTF-8"}
    found = recorder(path, given)
    found.take(FileFailed(2, "request", "403"))
    assert found.failures == {**given, "small": "403"}
    assert len(given) == 1
    assert f"failed: {RUN_PATH}/s\\xff: the name is no UTF-8" in records.messages


def test_the_end_of_a_complete_job_is_a_completed_log_on_disk(clock: Clock, path: str) -> None:
    found = recorder(path)
    for number in range(3):
        found.take(done(number))
    found.finish(SIZES)
    log = read_run_log(path)
    assert (log.completed, set(log.files), log.failures) == (True, set(SIZES), {})
    assert log.completed_at is not None
    assert log.updated_at is not None


def test_the_end_of_a_job_with_a_failure_is_a_partial_log_with_the_reason(clock: Clock, path: str) -> None:
    found = recorder(path)
    for number in range(2):
        found.take(done(number))
    found.take(FileFailed(2, "request", "403"))
    found.finish(SIZES)
    log = read_run_log(path)
    assert (log.completed, set(log.files), log.failures) == (False, {"big", "Data/mid"}, {"small": "403"})
    assert log.completed_at is None


def test_a_job_that_was_stopped_is_a_partial_log_without_failures(clock: Clock, path: str) -> None:
    found = recorder(path)
    found.take(done(0))
    found.finish(SIZES)
    log = read_run_log(path)
    assert (log.completed, set(log.files), log.failures) == (False, {"big"}, {})


def test_a_resumed_job_completes_a_log_that_holds_the_rest_already(clock: Clock, path: str) -> None:
    log = RunLog(RUN_ID, RUN_PATH, files={"before": FileRecord("old")}, failures={"small": "403"})
    found = recorder(path, log=log)
    for number in range(3):
        found.take(done(number))
    found.finish({*SIZES, "before"})
    assert read_run_log(path).completed


def test_the_log_is_written_every_few_seconds_during_the_job(clock: Clock, path: str) -> None:
    found = recorder(path)
    found.take(done(0))
    assert not os.path.exists(path)
    clock.now_s += SAVE_EVERY_S
    found.take(BytesSent(1))
    assert set(read_run_log(path).files) == {"big"}
    found.take(done(1))
    assert set(read_run_log(path).files) == {"big"}
    clock.now_s += SAVE_EVERY_S
    found.take(done(2))
    assert set(read_run_log(path).files) == set(SIZES)
    assert SAVE_EVERY_S <= 5


def test_a_log_that_takes_long_to_write_is_written_seldom(clock: Clock, path: str) -> None:
    found = recorder(path)
    clock.step_s = 1.0  # each look at the clock finds it a second later: writing takes one
    found.save()
    clock.step_s = 0.0
    os.unlink(path)
    clock.now_s += SAVE_SHARE - 1
    found.take(done(0))
    assert not os.path.exists(path)
    clock.now_s += 1
    found.take(done(1))
    assert os.path.exists(path)


def test_a_log_that_cannot_be_written_during_the_job_stops_nothing(
    clock: Clock, path: str, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = recorder(path)
    monkeypatch.setattr(os, "replace", no_space)
    clock.now_s += SAVE_EVERY_S
    found.take(done(0))
    found.take(done(1))
    (message,) = records.messages
    assert message == f"run log {path} cannot be written: No space left on device; the upload goes on"
    monkeypatch.undo()
    found.save()
    assert set(read_run_log(path).files) == {"big", "Data/mid"}


def test_a_log_that_cannot_be_written_at_the_end_is_an_error(
    clock: Clock, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = recorder(path)
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(LogDirError, match="cannot be written: No space left on device"):
        found.finish(SIZES)


def test_progress_is_told_now_and_then(clock: Clock, path: str, records: Records) -> None:
    found = recorder(path)
    found.take(done(2))
    assert records.messages == []
    clock.now_s += PROGRESS_EVERY_S
    found.take(BytesSent(15_000_000))
    assert records.messages == [f"{RUN_ID}: 1 of 3 files sent, 15 MB of 30 MB"]
    found.take(BytesSent(1))
    assert len(records.messages) == 1
