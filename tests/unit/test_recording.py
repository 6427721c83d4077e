"""Run log and journal keep step with what the workers report."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from async_s3_upload.delivery import recording
from async_s3_upload.delivery.events import RunFileChanged, RunFileDone, RunFileFailed, RunPartDone, RunSending
from async_s3_upload.delivery.recording import (
    SNAPSHOT_EVERY_S,
    SNAPSHOT_SHARE,
    Recorder,
    known_upload,
    now_text,
)
from async_s3_upload.delivery.watching import RunWatch, Watchers
from async_s3_upload.errors import LogDirError
from async_s3_upload.runs.scan import LocalFile
from async_s3_upload.state import run_log
from async_s3_upload.state.journal import OpenUpload, PartRecord
from async_s3_upload.state.run_log import FileRecord, RunLog, read_run_log, write_run_log
from async_s3_upload.state.run_logs import Identity, RunLogs
from async_s3_upload.state.run_state import Recalled, RunState, recall
from async_s3_upload.transfer.messages import (
    FileDone,
    FileFailed,
    KnownPart,
    KnownUpload,
    Note,
    PartDone,
    UploadBegun,
    UploadGone,
)
from async_s3_upload.transfer.plan import Memory, plan_job
from tests.unit.conftest import Records
from tests.unit.progress import Notebook, row

RUN_ID = "240101_A01295_0001_AHV7TDRXY"
RUN_PATH = f"/seq/{RUN_ID}"
SIZES = {"big": 30_000_000, "Data/mid": 20, "small": 10}
FILES = [LocalFile(name, size, 5, 7) for name, size in SIZES.items()]
BEGUN = UploadBegun(0, "id1", 8_388_608, True)
PART = KnownPart(2, 15_000_000, "p2", "AAAAAAAAAAA=")


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
    monkeypatch.setattr(recording, "TICK_S", 0.001)
    return found


class Place:
    """A log_dir, and what it holds of the run."""

    def __init__(self, folder: Path) -> None:
        (folder / "uploads").mkdir()
        self.identity = Identity(RUN_PATH, "bucket-a", "/runs")
        self.remembered = RunLogs(str(folder)).find(self.identity)
        self.path, self.journal = self.remembered.path, self.remembered.journal

    def recall(self) -> Recalled:
        """Return what the next start would find."""
        remembered = RunLogs(os.path.dirname(os.path.dirname(self.path))).find(self.identity)
        return recall(self.identity, remembered)

    def recorder(
        self, failures: dict[str, str] | None = None, memory: Memory | None = None, watch: RunWatch | None = None
    ) -> Recorder:
        remembered = RunLogs(os.path.dirname(os.path.dirname(self.path))).find(self.identity)
        state = RunState(self.recall(), remembered, self.identity, now_text())
        found = Recorder(state, failures or {}, watch)
        found.begin(plan_job("bucket-a", f"runs/{RUN_ID}", RUN_PATH, FILES, memory=memory or Memory()))
        return found


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def done(number: int, size: int = 10, sent: int | None = None, part_size: int | None = None) -> FileDone:
    return FileDone(number, f"etag{number}", size, 5, "AAAAAAAAAAA=", size if sent is None else sent, part_size)


def end(found: Recorder) -> None:
    found.state.finish(SIZES, found.failures, now_text())


def no_space(*args: object) -> None:
    raise OSError(28, "No space left on device")


def told(records: Records) -> list[str]:
    """Return what the recorder logged; asyncio says something too."""
    return [record.getMessage() for record in records.kept if record.name == recording.__name__]


async def ticks(until: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not until():
            await asyncio.sleep(0.001)


def test_times_are_utc_in_iso_8601() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", now_text())


def test_a_file_that_is_done_is_recorded_under_its_name_and_on_disk_at_once(clock: Clock, place: Place) -> None:
    found = place.recorder()
    found.take(done(1, 20))
    record = found.state.log.files["Data/mid"]
    assert (record.etag, record.size, record.mtime_ns, record.crc64nvme) == ("etag1", 20, 5, "AAAAAAAAAAA=")
    assert record.uploaded_at is not None
    assert record.part_size is None
    assert (found.sent_files, found.sent_bytes, found.failures) == (1, 20, {})
    assert place.recall().log.files == {"Data/mid": record}


def test_a_file_that_failed_is_named_with_its_path_and_reason(clock: Clock, place: Place, records: Records) -> None:
    found = place.recorder()
    found.take(FileFailed(1, "file", "the file cannot be read: Permission denied"))
    assert found.failures == {"Data/mid": "the file cannot be read: Permission denied"}
    assert found.changed == set()
    assert found.state.log.files == {}
    (record,) = records.kept
    assert (record.levelname, record.getMessage()) == (
        "ERROR",
        f"failed: {RUN_PATH}/Data/mid: the file cannot be read: Permission denied",
    )


def test_refusals_are_told_only_once_it_is_known_that_they_are_single_files(
    clock: Clock, place: Place, records: Records
) -> None:
    found = place.recorder()
    found.take(FileFailed(1, "access_denied", "S3 answered 403"))
    found.take(FileFailed(2, "access_denied", "S3 answered 403"))
    assert records.kept == []
    found.take(done(2))
    found.tell_refusals()
    found.tell_refusals()
    assert [record.getMessage() for record in records.kept] == [f"failed: {RUN_PATH}/Data/mid: S3 answered 403"]


def test_a_file_that_changed_may_succeed_with_a_new_plan(clock: Clock, place: Place) -> None:
    found = place.recorder()
    found.take(FileFailed(1, "changed", "the file changed"))
    found.take(FileFailed(2, "changed", "the file changed"))
    assert found.changed == {"Data/mid", "small"}
    found.take(done(1))
    found.take(FileFailed(2, "request", "503"))
    assert found.changed == set()
    assert found.failures == {"small": "503"}


def test_what_failed_before_the_job_is_named_and_kept(clock: Clock, place: Place, records: Records) -> None:
    given = {os.fsdecode(b"s\xff"): "the name is no UTF-8"}
    found = place.recorder(given)
    found.take(FileFailed(2, "request", "403"))
    assert found.failures == {**given, "small": "403"}
    assert len(given) == 1
    assert f"failed: {RUN_PATH}/s\\xff: the name is no UTF-8" in records.messages


def test_the_intention_to_begin_an_upload_is_on_disk_before_anything_is_sent(clock: Clock, place: Place) -> None:
    place.recorder()
    assert place.recall().planned == {"big": f"runs/{RUN_ID}/big"}, "small files need none"


def test_an_upload_that_is_known_needs_no_new_intention(clock: Clock, place: Place) -> None:
    known = KnownUpload("id1", 30_000_000, 5, 7, 8_388_608, True)
    place.recorder(memory=Memory({"big": known}))
    assert place.recall().planned == {}


def test_an_upload_and_its_parts_are_remembered_with_the_state_of_the_file(clock: Clock, place: Place) -> None:
    found = place.recorder()
    found.take(BEGUN)
    found.take(PartDone(0, "id1", PART))
    upload = place.recall().uploads["big"]
    assert upload == OpenUpload(
        *(f"runs/{RUN_ID}/big", "id1", 30_000_000, 5, 7, 8_388_608, True),
        parts={2: PartRecord(2, 15_000_000, "p2", "AAAAAAAAAAA=")},
    )
    assert known_upload(upload) == KnownUpload("id1", 30_000_000, 5, 7, 8_388_608, True, (PART,))
    found.take(UploadGone(0, "id1"))
    assert place.recall().uploads == {}


def test_known_parts_are_in_order() -> None:
    parts = {number: PartRecord(number, 1, f"p{number}", None) for number in (3, 1, 2)}
    found = known_upload(OpenUpload("k", "id", 3, 5, 7, 1, False, parts))
    assert [part.number for part in found.parts] == [1, 2, 3]


def test_a_file_done_in_parts_is_recorded_and_its_upload_forgotten(clock: Clock, place: Place) -> None:
    found = place.recorder()
    found.take(BEGUN)
    found.take(PartDone(0, "id1", PART))
    found.take(done(0, 30_000_000, sent=15_000_000, part_size=8_388_608))
    recalled = place.recall()
    assert (recalled.uploads, recalled.planned) == ({}, {})
    assert recalled.log.files["big"].part_size == 8_388_608
    assert (found.sent_files, found.sent_bytes) == (1, 15_000_000), "the parts are counted when they arrive"


def test_what_was_found_there_is_recorded_but_not_counted_as_sent(clock: Clock, place: Place) -> None:
    found = place.recorder()
    found.take(done(1, 20, sent=0))
    assert set(found.state.log.files) == {"Data/mid"}
    assert (found.sent_files, found.sent_bytes) == (0, 0)


def test_an_empty_file_counts_as_a_file_sent(clock: Clock, place: Place) -> None:
    found = place.recorder()
    found.take(done(2, 0))
    assert (found.sent_files, found.sent_bytes) == (1, 0)


def test_a_note_is_in_the_journal(clock: Clock, place: Place) -> None:
    found = place.recorder()
    found.take(Note("a worker process died"))
    assert "a worker process died" in Path(place.journal).read_text()


def test_a_file_whose_worker_died_goes_on_with_the_parts_that_arrived(clock: Clock, place: Place) -> None:
    found = place.recorder()
    found.take(BEGUN)
    found.take(PartDone(0, "id1", PART))
    job = plan_job("bucket-a", f"runs/{RUN_ID}", RUN_PATH, FILES)
    big = found.refreshed(job.items[0])
    assert big.known is not None
    assert big.known.parts == (PART,)
    assert big.stray, "the worker may have begun another one of which nobody heard"
    small = found.refreshed(job.items[2])
    assert (small.known, small.stray) == (None, False)


def test_the_end_of_a_complete_job_is_a_completed_log_on_disk(clock: Clock, place: Place) -> None:
    found = place.recorder()
    for number in range(3):
        found.take(done(number))
    end(found)
    log = read_run_log(place.path)
    assert (log.completed, set(log.files), log.failures) == (True, set(SIZES), {})
    assert log.completed_at is not None
    assert log.updated_at is not None
    assert not os.path.exists(place.journal)


def test_the_end_of_a_job_with_a_failure_is_a_partial_log_with_the_reason(clock: Clock, place: Place) -> None:
    found = place.recorder()
    for number in range(2):
        found.take(done(number))
    found.take(FileFailed(2, "request", "403"))
    end(found)
    log = read_run_log(place.path)
    assert (log.completed, set(log.files), log.failures) == (False, {"big", "Data/mid"}, {"small": "403"})
    assert log.completed_at is None


def test_a_job_that_was_stopped_is_a_partial_log_without_failures(clock: Clock, place: Place) -> None:
    found = place.recorder()
    found.take(done(0))
    end(found)
    log = read_run_log(place.path)
    assert (log.completed, set(log.files), log.failures) == (False, {"big"}, {})


def test_a_resumed_job_completes_a_log_that_holds_the_rest_already(clock: Clock, place: Place) -> None:
    log = RunLog(RUN_ID, RUN_PATH, files={"before": FileRecord("old")}, failures={"small": "403"})
    write_run_log(log, place.path)
    found = place.recorder()
    for number in range(3):
        found.take(done(number))
    found.state.finish({*SIZES, "before"}, found.failures, now_text())
    assert read_run_log(place.path).completed


async def test_the_log_is_written_every_few_seconds_during_the_job(clock: Clock, place: Place) -> None:
    found = place.recorder()
    async with found.writing(lambda: None):
        found.take(done(0))
        await asyncio.sleep(0.02)
        assert read_run_log(place.path).files == {}
        clock.now_s += SNAPSHOT_EVERY_S
        await ticks(lambda: set(read_run_log(place.path).files) == {"big"})
        found.take(done(1))
        await asyncio.sleep(0.02)
        assert set(read_run_log(place.path).files) == {"big"}
        clock.now_s += SNAPSHOT_EVERY_S
        await ticks(lambda: set(read_run_log(place.path).files) == {"big", "Data/mid"})
    assert SNAPSHOT_EVERY_S <= 5


async def test_a_log_that_takes_long_to_write_is_written_seldom(
    clock: Clock, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = place.recorder()
    written: list[float] = []

    def takes_a_second(_now: str) -> Iterator[None]:
        clock.now_s += 0.5
        yield
        clock.now_s += 0.5
        written.append(clock.now_s)

    monkeypatch.setattr(found.state, "snapshot", takes_a_second)
    async with found.writing(lambda: None):
        clock.now_s += SNAPSHOT_EVERY_S
        await ticks(lambda: len(written) == 1)
        clock.now_s += SNAPSHOT_SHARE - 1
        await asyncio.sleep(0.02)
        assert len(written) == 1
        clock.now_s += 1
        await ticks(lambda: len(written) == 2)


async def test_results_are_taken_and_reach_the_disk_while_the_log_is_written(
    clock: Clock, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = place.recorder()
    found.take(done(1))
    synced: list[int] = []
    real = found.state.snapshot

    def meanwhile(now: str) -> Iterator[None]:
        for number, step in enumerate(real(now)):
            if not number:
                found.state.drop("Data/mid")
                found.take(done(2))
            yield step

    monkeypatch.setattr(run_log, "STEP_CHARACTERS", 1)
    monkeypatch.setattr(found.state, "snapshot", meanwhile)
    monkeypatch.setattr(found.state, "sync_due", lambda: "small" in found.state.log.files and not synced)
    monkeypatch.setattr(found.state, "sync", lambda: synced.append(len(read_run_log(place.path).files)))
    async with found.writing(lambda: None):
        clock.now_s += SNAPSHOT_EVERY_S
        await ticks(lambda: set(read_run_log(place.path).files) == {"Data/mid"})
    assert synced == [0], "the journal does not wait for the log"
    assert set(place.recall().log.files) == {"small"}, (
        "the log is as it was when its writing began, the journal goes on"
    )


async def test_an_upload_that_ends_while_the_log_is_written_leaves_no_half_of_it(
    clock: Clock, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = place.recorder()
    found.take(done(1))
    begun: list[int] = []
    real = found.state.snapshot

    def endless(now: str) -> Iterator[None]:
        steps = real(now)
        try:
            while True:
                begun.append(1)
                yield next(steps) if len(begun) < 3 else None
        finally:
            steps.close()

    monkeypatch.setattr(run_log, "STEP_CHARACTERS", 1)
    monkeypatch.setattr(found.state, "snapshot", endless)
    async with found.writing(lambda: None):
        clock.now_s += SNAPSHOT_EVERY_S
        await ticks(lambda: len(begun) > 3)
    assert read_run_log(place.path).files == {}
    assert not [name for name in os.listdir(os.path.dirname(place.path)) if name.endswith(".tmp")]
    found.state.finish([], {}, now_text())
    assert set(read_run_log(place.path).files) == {"Data/mid"}


def bytes_written(place: Place, clock: Clock, count: int) -> tuple[int, int, int]:
    """Take ``count`` results, one each hundredth of a second; a log takes a second for each MB to be written.

    Returns bytes of all snapshots, their number, and bytes of the journal.
    """
    found = place.recorder()
    files = [LocalFile(f"Data/C{number // 100}.1/s_{number}.bcl", 10, 5, 7) for number in range(count)]
    found.begin(plan_job("bucket-a", f"runs/{RUN_ID}", RUN_PATH, files))
    written, snapshots = 0, 0
    for number in range(count):
        found.take(done(number))
        clock.now_s += 0.01
        if found.snapshot_due():
            began = clock.now_s
            for _ in found.state.snapshot(now_text()):
                pass
            size = os.path.getsize(place.path)
            clock.now_s += size / 1e6
            found.snapshot_taken(began)
            written, snapshots = written + size, snapshots + 1
    return written, snapshots, os.path.getsize(place.journal)


def test_what_is_written_of_a_run_grows_as_the_run_does_and_not_faster(clock: Clock, tmp_path: Path) -> None:
    found = []
    for count in (4_000, 16_000):
        folder = tmp_path / str(count)
        folder.mkdir()
        found.append(bytes_written(Place(folder), clock, count))
    (few, _, journal), (many, snapshots, longer) = found
    assert longer < 4.2 * journal
    assert many < 5 * few, "four times the files: about four times the bytes, where every log were 16 times"
    assert snapshots > 3


async def test_the_journal_goes_to_the_disk_during_the_job(
    clock: Clock, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = place.recorder()
    synced: list[int] = []
    monkeypatch.setattr(found.state, "sync_due", lambda: not synced)
    monkeypatch.setattr(found.state, "sync", lambda: synced.append(1))
    async with found.writing(lambda: None):
        await ticks(lambda: bool(synced))


async def test_a_journal_that_cannot_be_written_stops_the_upload_once_and_keeps_the_results(
    clock: Clock, place: Place, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = place.recorder()
    stopped: list[int] = []
    async with found.writing(lambda: stopped.append(1)):
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", no_space)
            found.take(done(0))
            found.take(done(1))
        assert stopped == [1]
        assert found.trouble is not None
        (message,) = told(records)
        assert message == (
            f"{place.journal} cannot be written: No space left on device; the upload stops, "
            "what was recorded before is kept"
        )
        found.take(done(2))
    assert set(place.recall().log.files) == set(SIZES), "there is room again: nothing was forgotten"


@pytest.mark.parametrize("broken", ["fsync", "replace"])
async def test_a_log_that_cannot_be_written_during_the_job_stops_the_upload_and_the_journal_tells(
    clock: Clock, place: Place, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    found = place.recorder()
    stopped: list[int] = []
    found.take(done(0))
    async with found.writing(lambda: stopped.append(1)):
        with monkeypatch.context() as patch:
            patch.setattr(os, broken, no_space)
            clock.now_s += SNAPSHOT_EVERY_S
            await ticks(lambda: bool(stopped))
    assert isinstance(found.trouble, LogDirError)
    assert set(place.recall().log.files) == {"big"}


def test_a_log_that_cannot_be_written_at_the_end_is_an_error(
    clock: Clock, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = place.recorder()
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(LogDirError, match="cannot be written: No space left on device"):
        end(found)


def test_who_watches_is_told_what_becomes_of_each_file(clock: Clock, place: Place) -> None:
    notebook = Notebook()
    watch = Watchers([notebook]).begin(row())
    found = place.recorder({"link": "it is a link"}, watch=watch)
    found.take(done(2))
    found.take(FileFailed(1, "changed", "it changed"))
    found.take(BEGUN)
    found.take(PartDone(0, "id1", PART))
    assert notebook.told[1:] == [
        RunFileFailed(1, RUN_ID, "link", "it is a link"),
        RunSending(1, RUN_ID, 3, 30_000_030),
        RunFileDone(1, RUN_ID, "small", 10, 10, "etag2", "AAAAAAAAAAA="),
        RunFileChanged(1, RUN_ID, "Data/mid", "it changed"),
        RunPartDone(1, RUN_ID, "big", 2, 15_000_000),
    ]
    progress = watch.progress
    assert (progress.files_done, progress.files_total, progress.files_failed) == (1, 2, 1)
    assert (progress.bytes_done, progress.bytes_total) == (15_000_010, 30_000_010)
    found.take(UploadGone(0, "id1"))
    assert progress.bytes_done == 10
    assert found.sent_bytes == progress.bytes_sent == 15_000_010


def test_files_that_were_refused_fail_for_who_watches_when_it_is_known_that_they_are_single_ones(
    clock: Clock, place: Place
) -> None:
    notebook = Notebook()
    found = place.recorder(watch=Watchers([notebook]).begin(row()))
    found.take(FileFailed(1, "access_denied", "S3 answered 403"))
    assert "file_failed" not in notebook.names
    found.tell_refusals()
    assert notebook.told[-1] == RunFileFailed(1, RUN_ID, "Data/mid", "S3 answered 403")


def test_parts_of_an_earlier_start_count_as_done_from_the_begin(clock: Clock, place: Place) -> None:
    part = KnownPart(1, 8_388_608, "p1", None)
    known = KnownUpload("id1", 30_000_000, 5, 7, 8_388_608, True, (part,))
    watch = Watchers().begin(row())
    found = place.recorder(memory=Memory({"big": known}), watch=watch)
    assert (watch.progress.bytes_done, found.sent_bytes) == (8_388_608, 0)
    found.take(done(0, 30_000_000, 21_611_392, 8_388_608))
    assert watch.progress.bytes_done == 30_000_000
