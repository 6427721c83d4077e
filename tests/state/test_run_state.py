"""Run log and journal as one: what is recalled after any end, and what is written when."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from async_s3_upload.errors import LogDirError
from async_s3_upload.state.journal import OpenUpload, PartRecord, encode_line, replay
from async_s3_upload.state.journal_writer import read_lines
from async_s3_upload.state.run_log import FileRecord, RunLog, read_run_log, write_run_log
from async_s3_upload.state.run_logs import Identity, Remembered, RunLogs
from async_s3_upload.state.run_state import Recalled, RunState, recall

RUN_ID = "240101_A01295_0001_AHV7TDRXY"
NOW = "2024-01-01T10:00:00Z"
LATER = "2024-01-02T10:00:00Z"
SMALL = FileRecord("etag1", 10, 5, "AAAAAAAAAAA=", NOW)
BIG = FileRecord("etag2-3", 30, 5, None, NOW, 8)
PART = PartRecord(1, 8, "p1", "AAAAAAAAAAA=")


def upload(upload_id: str = "id1", key: str = "runs/run/big") -> OpenUpload:
    return OpenUpload(key, upload_id, 30, 5, 7, 8, True)


class Start:
    """One start of the command after the other, over one log_dir."""

    def __init__(self, folder: Path) -> None:
        (folder / "uploads").mkdir()
        self.identity = Identity(f"/seq/{RUN_ID}", "bucket-a", "/runs")
        self._logs = RunLogs(str(folder))

    def remembered(self) -> Remembered:
        return self._logs.find(self.identity)

    def recall(self) -> Recalled:
        return recall(self.identity, self.remembered())

    def open(self, now: str = NOW) -> RunState:
        remembered = self.remembered()
        return RunState(recall(self.identity, remembered), remembered, self.identity, now)

    @property
    def journal(self) -> str:
        return self.remembered().journal

    @property
    def log(self) -> str:
        return self.remembered().path


@pytest.fixture
def start(tmp_path: Path) -> Start:
    return Start(tmp_path)


def die(state: RunState) -> None:
    """End without any farewell, as kill -9 does; what was not flushed is lost."""
    os.close(state._journal._descriptor)


def no_space(*_args: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_new_run_is_an_empty_log_of_its_destination(start: Start) -> None:
    recalled = start.recall()
    assert (recalled.log.files, recalled.uploads, recalled.planned, recalled.uncertain) == ({}, {}, {}, False)
    assert not os.path.exists(start.log), "recalling changes nothing"
    die(start.open())
    log = read_run_log(start.log)
    assert (log.run_path, log.bucket, log.remote_path) == (f"/seq/{RUN_ID}", "bucket-a", "/runs")
    assert (log.started_at, log.updated_at, log.completed) == (NOW, NOW, False)
    assert os.path.exists(start.journal)


def test_what_was_flushed_survives_a_kill_and_what_was_not_is_lost(start: Start) -> None:
    state = start.open()
    state.record("small", SMALL)
    state.plan({"big": "runs/run/big"})
    state.upload_begun("big", upload())
    state.part_done("big", "id1", PART)
    state.flush()
    state.record("late", SMALL)
    die(state)
    recalled = start.recall()
    assert recalled.log.files == {"small": SMALL}
    assert recalled.uploads["big"].parts == {1: PART}
    assert recalled.planned == {"big": "runs/run/big"}
    assert not recalled.uncertain


def test_the_next_start_carries_over_what_is_open_and_goes_on(start: Start) -> None:
    state = start.open()
    state.record("small", SMALL)
    state.plan({"big": "runs/run/big", "lost": "runs/run/lost"})
    state.upload_begun("big", upload())
    state.part_done("big", "id1", PART)
    state.flush()
    die(state)
    state = start.open(LATER)
    assert read_run_log(start.log).files == {"small": SMALL}, "the log holds now what the journal told"
    assert replay(read_lines(start.journal)).files == {}
    state.part_done("big", "id1", PartRecord(2, 8, "p2", None))
    state.flush()
    die(state)
    recalled = start.recall()
    assert sorted(recalled.uploads["big"].parts) == [1, 2]
    assert recalled.planned == {"big": "runs/run/big", "lost": "runs/run/lost"}
    assert (recalled.log.started_at, recalled.log.updated_at) == (NOW, LATER)


def test_a_recorded_file_ends_its_upload(start: Start) -> None:
    state = start.open()
    state.plan({"big": "runs/run/big"})
    state.upload_begun("big", upload())
    state.record("big", BIG)
    assert (state.uploads, state.planned) == ({}, {})
    state.flush()
    die(state)
    recalled = start.recall()
    assert recalled.log.files == {"big": BIG}
    assert (recalled.uploads, recalled.planned) == ({}, {})


def test_a_dropped_record_holds_no_more_although_the_log_on_disk_has_it(start: Start) -> None:
    state = start.open()
    state.record("small", SMALL)
    list(state.snapshot(LATER))
    state.drop("small")
    state.drop("unknown")
    state.flush()
    die(state)
    assert read_run_log(start.log).files == {"small": SMALL}
    assert start.recall().log.files == {}
    assert len(list(read_lines(start.journal))) == 2, "of what was not recorded there is nothing to say"


def test_events_of_an_older_upload_change_nothing(start: Start) -> None:
    state = start.open()
    state.upload_begun("big", upload("new"))
    state.part_done("big", "old", PART)
    state.upload_gone("big", "old")
    assert state.uploads == {"big": upload("new")}
    state.upload_gone("big", "new")
    assert state.uploads == {}
    state.flush()
    die(state)
    assert start.recall().uploads == {}


def test_an_intention_is_written_once(start: Start) -> None:
    state = start.open()
    for _ in range(3):
        state.plan({"big": "runs/run/big"})
    state.flush()
    assert len(list(read_lines(start.journal))) == 1
    die(state)


def test_a_snapshot_replaces_the_log_and_the_journal_goes_on(start: Start) -> None:
    state = start.open()
    state.record("a", SMALL)
    state.flush()
    list(state.snapshot(LATER))
    state.record("b", SMALL)
    state.flush()
    die(state)
    assert set(read_run_log(start.log).files) == {"a"}
    assert read_run_log(start.log).updated_at == LATER
    assert set(start.recall().log.files) == {"a", "b"}


def test_a_snapshot_never_says_completed(start: Start) -> None:
    state = start.open()
    state.record("a", SMALL)
    state.finish(["a"], {}, NOW)
    assert read_run_log(start.log).completed
    state = start.open(LATER)
    assert not read_run_log(start.log).completed, "a new start is under way"
    list(state.snapshot(LATER))
    assert not read_run_log(start.log).completed
    die(state)


def test_a_completed_run_needs_no_journal(start: Start) -> None:
    state = start.open()
    state.plan({"big": "runs/run/big"})
    state.record("big", BIG)
    state.finish(["big"], {}, LATER)
    log = read_run_log(start.log)
    assert (log.completed, log.completed_at, log.files) == (True, LATER, {"big": BIG})
    assert not os.path.exists(start.journal)


@pytest.mark.parametrize("left", ["an upload", "an intention"])
def test_a_journal_with_something_to_tell_stays(start: Start, left: str) -> None:
    state = start.open()
    state.record("small", SMALL)
    state.plan({"big": "runs/run/big"})
    if left == "an upload":
        state.upload_begun("big", upload())
    state.finish(["small", "big"], {"big": "503"}, LATER)
    assert not read_run_log(start.log).completed
    recalled = start.recall()
    assert set(recalled.planned) == {"big"}
    assert set(recalled.uploads) == ({"big"} if left == "an upload" else set())


def test_notes_stand_in_the_journal_for_people(start: Start) -> None:
    state = start.open()
    state.note("a worker died")
    state.flush()
    die(state)
    with open(start.journal, encoding="utf-8") as file:
        assert "a worker died" in file.read()
    assert not start.recall().uncertain


# damage


def test_a_torn_last_line_costs_that_line_only(start: Start) -> None:
    state = start.open()
    state.record("a", SMALL)
    state.record("b", SMALL)
    state.flush()
    die(state)
    os.truncate(start.journal, os.path.getsize(start.journal) - 3)
    recalled = start.recall()
    assert set(recalled.log.files) == {"a"}
    assert not recalled.uncertain
    die(start.open())
    assert not replay(read_lines(start.journal)).torn, "the fresh journal is whole"


def test_a_damaged_middle_is_said_and_s3_has_to_be_asked(start: Start) -> None:
    state = start.open()
    state.record("in the log", SMALL)
    list(state.snapshot(NOW))
    for name in ("a", "b", "c"):
        state.record(name, SMALL)
    state.upload_begun("big", upload())
    state.flush()
    die(state)
    content = bytearray(Path(start.journal).read_bytes())
    content[len(content) // 2] ^= 1
    Path(start.journal).write_bytes(content)
    recalled = start.recall()
    assert recalled.uncertain
    (problem,) = recalled.problems
    assert start.journal in problem
    assert "damaged; S3 is asked what is there instead" in problem
    assert recalled.log.files == {"in the log": SMALL}, "nothing of a journal that lies is believed"
    assert (recalled.uploads, recalled.planned) == ({}, {})
    assert Path(start.journal).read_bytes() == content, "recalling changes nothing"
    die(start.open())
    assert Path(start.journal + ".damaged").read_bytes().startswith(content)
    assert start.recall().uncertain, "nobody knows how far that start came"
    state = start.open()
    state.finish(["in the log"], {}, LATER)
    assert not start.recall().uncertain
    assert not os.path.exists(start.journal)


def test_a_start_that_asked_s3_but_did_not_complete_leaves_it_to_ask_again(start: Start) -> None:
    state = start.open()
    state.record("a", SMALL)
    state.flush()
    die(state)
    Path(start.log).write_text("{ torn")
    state = start.open()
    state.finish(["a", "b"], {"b": "503"}, LATER)
    assert start.recall().uncertain
    state = start.open()
    state.record("b", SMALL)
    state.finish(["a", "b"], {}, LATER)
    assert not start.recall().uncertain


def test_a_start_that_is_killed_while_it_takes_over_damage_does_not_forget_it(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = start.open()
    state.record("a", SMALL)
    state.flush()
    die(state)
    Path(start.log).write_text("{ torn")
    monkeypatch.setattr("async_s3_upload.state.run_state.JournalWriter", no_space)
    with pytest.raises(LogDirError):
        start.open()
    assert read_run_log(start.log).files == {"a": SMALL}
    again = start.recall()
    assert again.uncertain
    assert again.problems == [
        f"{start.journal}: a start before this one found damage and did not end; S3 is asked what is there"
    ]


def test_a_torn_run_log_is_said_and_the_journal_still_counts(start: Start) -> None:
    state = start.open()
    state.record("a", SMALL)
    state.flush()
    die(state)
    Path(start.log).write_text("{ torn")
    path = start.log
    recalled = start.recall()
    assert recalled.uncertain
    assert recalled.log.files == {"a": SMALL}
    die(start.open())
    assert Path(path + ".damaged").read_text() == "{ torn"
    assert read_run_log(path).files == {"a": SMALL}


def test_a_journal_that_cannot_be_read_ends_the_command(start: Start, tmp_path: Path) -> None:
    os.mkdir(start.journal)
    with pytest.raises(LogDirError, match="cannot be read: Is a directory"):
        start.recall()


# a disk that is full


def test_a_full_disk_at_the_start_leaves_everything_as_it_was(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    state = start.open()
    state.record("a", SMALL)
    state.upload_begun("big", upload())
    state.flush()
    die(state)
    for broken in ("fsync", "replace", "write"):
        with monkeypatch.context() as patch:
            patch.setattr(os, broken, no_space)
            with pytest.raises(LogDirError, match="cannot be written: No space left on device"):
                start.open()
        recalled = start.recall()
        assert recalled.log.files == {"a": SMALL}
        assert set(recalled.uploads) == {"big"}
        assert not recalled.uncertain


def test_a_full_disk_in_mid_run_is_said_and_nothing_is_lost_when_there_is_room_again(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = start.open()
    state.record("a", SMALL)
    state.flush()
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", no_space)
        state.record("b", SMALL)
        with pytest.raises(LogDirError, match=r"\.journal\.jsonl cannot be written: No space left on device"):
            state.flush()
    assert set(start.recall().log.files) == {"a"}
    state.flush()
    assert set(start.recall().log.files) == {"a", "b"}
    die(state)


@pytest.mark.parametrize("broken", ["fsync", "replace", "write"])
def test_a_full_disk_at_the_end_is_said_and_the_journal_still_tells(
    start: Start, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    state = start.open()
    state.record("a", SMALL)
    state.flush()
    with monkeypatch.context() as patch:
        patch.setattr(os, broken, no_space)
        state.record("b", SMALL)
        with pytest.raises(LogDirError):
            state.finish(["a", "b"], {}, LATER)
    die(state)
    recalled = start.recall()
    assert recalled.log.files.keys() >= {"a"}
    assert not recalled.log.completed
    assert not recalled.uncertain


def test_a_disk_that_is_gone_is_said_by_sync_and_snapshot(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    state = start.open()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_space)
        with pytest.raises(LogDirError):
            state.sync()
        with pytest.raises(LogDirError):
            list(state.snapshot(LATER))
    die(state)


NAMES = st.sampled_from(["a", "b", "c"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("record"), NAMES),
        st.tuples(st.just("drop"), NAMES),
        st.tuples(st.just("plan"), NAMES),
        st.tuples(st.just("begin"), NAMES),
        st.tuples(st.just("part"), NAMES),
        st.tuples(st.just("gone"), NAMES),
        st.tuples(st.sampled_from(["snapshot", "kill"]), st.just("")),
    ),
    max_size=25,
)


def take(state: RunState, number: int, step: str, name: str) -> None:
    if step == "record":
        state.record(name, FileRecord(f"e{number}", number, 5, None, NOW))
    elif step == "drop":
        state.drop(name)
    elif step == "plan":
        state.plan({name: f"runs/{name}"})
    elif step == "begin":
        state.upload_begun(name, upload(f"id{number}", f"runs/{name}"))
    elif name in state.uploads and step == "part":
        state.part_done(name, state.uploads[name].upload_id, PartRecord(number, 8, f"e{number}", None))
    elif name in state.uploads and step == "gone":
        state.upload_gone(name, state.uploads[name].upload_id)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_after_any_history_of_kills_what_is_recalled_is_what_was_flushed(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str]]
) -> None:
    start = Start(tmp_path_factory.mktemp("log"))
    state = start.open()
    for number, (step, name) in enumerate(steps):
        if step == "snapshot":
            list(state.snapshot(LATER))
        elif step == "kill":
            die(state)
            state = start.open()
        else:
            take(state, number, step, name)
            state.flush()
        recalled = start.recall()
        assert recalled.log.files == state.log.files
        assert recalled.uploads == state.uploads
        assert recalled.planned == state.planned
        assert not recalled.uncertain
    die(state)


def test_a_log_of_the_replaced_tool_is_gone_on_with(start: Start) -> None:
    """It says nothing of sizes, times and parts."""
    write_run_log(RunLog(RUN_ID, f"/seq/{RUN_ID}", files={"a": FileRecord("old")}), start.log)
    state = start.open()
    assert state.log.files == {"a": FileRecord("old")}
    assert state.log.started_at == NOW
    die(state)
    with open(start.log, encoding="utf-8") as file:
        assert json.load(file)["uploaded_files"] == {f"/seq/{RUN_ID}/a": "old"}


def test_lines_of_events_without_meaning_here_do_not_hold_up_a_start(start: Start) -> None:
    state = start.open()
    state.flush()
    die(state)
    with open(start.journal, "ab") as file:
        file.write(encode_line({"t": "note", "text": "by hand"}))
    assert not start.recall().uncertain


def test_what_a_killed_start_left_half_written_is_removed_by_the_next_one_and_nothing_else_is(start: Start) -> None:
    start.open().finish(["x"], {}, NOW)
    log, journal = Path(start.log), Path(start.journal)
    left = [log.with_name(log.name + ".123.tmp"), journal.with_name(journal.name + ".77.tmp")]
    others = [log.with_name("other" + log.name + ".123.tmp"), log.with_name(log.name + ".123.tmp.kept")]
    for path in left + others:
        path.write_bytes(b"half")

    start.open(LATER)

    assert [path.exists() for path in left] == [False, False]
    assert [path.exists() for path in others] == [True, True]
