"""The JSON run log: its fields, its reading back, its replacement."""

from __future__ import annotations

import errno
import json
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from async_s3_upload.state.run_log import FileRecord, RunLog, UnreadableRunLog, read_run_log, write_run_log

RUN_ID = "240101_A01295_0001_AHV7TDRXY"
RUN_PATH = f"/seq/{RUN_ID}"
OLD_FIELDS = [
    "run_id",
    "run_path",
    "completed",
    "total_local_files",
    "total_uploaded_files",
    "total_failed_upload",
    "failed_upload_files",
    "uploaded_files",
]
OUR_FIELDS = [
    "files",
    "bucket",
    "remote_path",
    "started_at",
    "updated_at",
    "completed_at",
    "exclude_patterns",
    "state",
    "instrument",
    "rule",
    "failures",
    "uploaded_bytes",
    "upload_seconds",
]

RECORD = FileRecord("0123abcd-2", 12, 1_700_000_000_123_456_789, "AAAAAAAAAAA=", "2024-01-01T10:00:00Z", 8)


def some_log() -> RunLog:
    return RunLog(
        run_id=RUN_ID,
        run_path=RUN_PATH,
        bucket="bucket-a",
        remote_path="/runs",
        total_local_files=3,
        files={"RunInfo.xml": RECORD, "Data/s 1.bcl": FileRecord("ffff", 0, 0, None, "2024-01-01T10:00:01Z")},
        failures={"Data/bad": "the file cannot be read: Permission denied"},
        started_at="2024-01-01T09:59:00Z",
        updated_at="2024-01-01T10:00:02Z",
        exclude_patterns=["\\.tmp$"],
        in_progress=True,
        instrument="NovaSeq X 1.2.2",
        rule="NovaSeq X 1.2.2: CopyComplete.txt ends a run",
        upload_seconds=12.5,
    )


def old_log(**changes: Any) -> dict[str, Any]:
    """What the replaced tool writes."""
    return {
        "run_id": RUN_ID,
        "run_path": RUN_PATH,
        "completed": False,
        "total_local_files": 3,
        "total_uploaded_files": 2,
        "total_failed_upload": 1,
        "failed_upload_files": [f"{RUN_PATH}/Data/bad"],
        "uploaded_files": {f"{RUN_PATH}/RunInfo.xml": "abc123", f"{RUN_PATH}/Data/s.bcl": "def456"},
    } | changes


def document(log: RunLog) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads("".join(log.as_text()))
    return loaded


def saved(path: Path, data: object) -> str:
    path.write_text(json.dumps(data, indent=4), "utf-8")
    return str(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / f"{RUN_ID}.upload.log.json"


def test_the_old_fields_come_first_in_their_order_and_ours_follow() -> None:
    assert list(document(some_log())) == OLD_FIELDS + OUR_FIELDS


def test_the_old_fields_keep_their_meaning() -> None:
    written = document(some_log())
    assert {key: written[key] for key in OLD_FIELDS} == {
        "run_id": RUN_ID,
        "run_path": RUN_PATH,
        "completed": False,
        "total_local_files": 3,
        "total_uploaded_files": 2,
        "total_failed_upload": 1,
        "failed_upload_files": [f"{RUN_PATH}/Data/bad"],
        "uploaded_files": {f"{RUN_PATH}/RunInfo.xml": "0123abcd-2", f"{RUN_PATH}/Data/s 1.bcl": "ffff"},
    }


def test_our_fields_tell_the_destination_the_times_the_reasons_and_each_file() -> None:
    written = document(some_log())
    assert {key: written[key] for key in OUR_FIELDS} == {
        "bucket": "bucket-a",
        "remote_path": "/runs",
        "started_at": "2024-01-01T09:59:00Z",
        "updated_at": "2024-01-01T10:00:02Z",
        "completed_at": None,
        "exclude_patterns": ["\\.tmp$"],
        "state": "in_progress",
        "instrument": "NovaSeq X 1.2.2",
        "rule": "NovaSeq X 1.2.2: CopyComplete.txt ends a run",
        "uploaded_bytes": 12,
        "upload_seconds": 12.5,
        "failures": {f"{RUN_PATH}/Data/bad": "the file cannot be read: Permission denied"},
        "files": {
            "RunInfo.xml": {
                "size": 12,
                "mtime_ns": 1_700_000_000_123_456_789,
                "crc64nvme": "AAAAAAAAAAA=",
                "uploaded_at": "2024-01-01T10:00:00Z",
                "part_size": 8,
            },
            "Data/s 1.bcl": {"size": 0, "mtime_ns": 0, "crc64nvme": None, "uploaded_at": "2024-01-01T10:00:01Z"},
        },
    }


@pytest.mark.parametrize(
    ("completed", "in_progress", "state"),
    [(True, False, "completed"), (True, True, "completed"), (False, True, "in_progress"), (False, False, "partial")],
)
def test_the_state_is_one_word(completed: bool, in_progress: bool, state: str) -> None:
    assert document(replace(some_log(), completed=completed, in_progress=in_progress))["state"] == state


def test_the_log_of_a_run_without_files_is_a_whole_document() -> None:
    written = document(RunLog(RUN_ID, RUN_PATH))
    assert list(written) == OLD_FIELDS + OUR_FIELDS
    assert (written["uploaded_files"], written["files"], written["failed_upload_files"]) == ({}, {}, [])


def test_each_file_has_a_line_of_its_own() -> None:
    lines = "".join(some_log().as_text()).splitlines()
    assert f'        "{RUN_PATH}/RunInfo.xml": "0123abcd-2",' in lines
    assert lines[0] == "{"
    assert lines[-1] == "}"


def test_what_was_written_is_read_back(path: Path) -> None:
    write_run_log(some_log(), str(path))
    assert read_run_log(str(path)) == some_log()


NAME = (
    st.lists(
        st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
            lambda part: part not in (".", "..")
        ),
        min_size=1,
        max_size=3,
    )
    .map("/".join)
    .filter(lambda name: name)
)
RECORDS = st.builds(
    FileRecord,
    st.text("0123456789abcdef-", min_size=1),
    st.integers(0),
    st.integers(0),
    st.none() | st.text(),
    st.text(),
)


@settings(max_examples=60, deadline=None)
@given(
    run_path=NAME.map("/".__add__),
    files=st.dictionaries(NAME, RECORDS, max_size=4),
    failures=st.dictionaries(NAME, st.text(), max_size=3),
    completed=st.booleans(),
    times=st.tuples(*[st.none() | st.text()] * 3),
)
def test_any_log_is_read_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory,
    run_path: str,
    files: dict[str, FileRecord],
    failures: dict[str, str],
    completed: bool,
    times: tuple[str | None, str | None, str | None],
) -> None:
    log = RunLog("run", run_path, "b", "/", completed, 7, files, failures, *times)
    place = str(tmp_path_factory.getbasetemp() / "any.upload.log.json")
    write_run_log(log, place)
    assert read_run_log(place) == log


def test_names_that_are_no_utf8_are_written_with_backslash_escapes(path: Path) -> None:
    folder, name = os.fsdecode(b"/seq\xfe/run"), os.fsdecode(b"s\xe9.txt")
    write_run_log(RunLog("run", folder, failures={name: "no UTF-8"}, files={"ok": RECORD}), str(path))
    written = json.loads(path.read_bytes().decode("ascii"))
    assert written["run_path"] == "/seq\\xfe/run"
    assert written["failed_upload_files"] == ["/seq\\xfe/run/s\\xe9.txt"]
    assert written["uploaded_files"] == {"/seq\\xfe/run/ok": "0123abcd-2"}
    assert set(read_run_log(str(path)).files) == {"ok"}


def test_a_log_of_the_replaced_tool_is_read_with_absolute_names(path: Path) -> None:
    log = read_run_log(saved(path, old_log()))
    assert log == RunLog(
        run_id=RUN_ID,
        run_path=RUN_PATH,
        total_local_files=3,
        files={"RunInfo.xml": FileRecord("abc123"), "Data/s.bcl": FileRecord("def456")},
        failures={"Data/bad": "failed before"},
    )


def test_a_log_of_the_replaced_tool_is_read_with_relative_names(path: Path) -> None:
    files = {"file1.txt": "abc123", "./Data//file2.txt": "def456"}
    log = read_run_log(saved(path, old_log(completed=True, uploaded_files=files, failed_upload_files=["x/../bad"])))
    assert log.completed
    assert set(log.files) == {"file1.txt", "Data/file2.txt"}
    assert set(log.failures) == {"bad"}


def test_names_and_folder_are_normalised_before_they_are_compared(path: Path) -> None:
    data = old_log(run_path=f"/seq/./{RUN_ID}/", uploaded_files={f"/seq//{RUN_ID}/./a": "1", f"{RUN_PATH}/b": "2"})
    log = read_run_log(saved(path, data))
    assert (log.run_path, set(log.files)) == (RUN_PATH, {"a", "b"})


def test_names_outside_the_run_folder_stay_absolute(path: Path) -> None:
    files = {f"/mnt{RUN_PATH}/a": "1", f"{RUN_PATH}_other/b": "2", RUN_PATH: "3"}
    assert set(read_run_log(saved(path, old_log(uploaded_files=files))).files) == set(files)


def test_quotes_around_etags_are_dropped(path: Path) -> None:
    log = read_run_log(saved(path, old_log(uploaded_files={"a": '"abc"'})))
    assert log.files["a"].etag == "abc"


def test_a_log_of_the_replaced_tool_without_lists_of_failures_is_read(path: Path) -> None:
    data = old_log(failed_upload_files=None)
    del data["total_local_files"]
    log = read_run_log(saved(path, data))
    assert (log.failures, log.total_local_files) == ({}, 2)


def test_a_log_of_the_replaced_tool_is_written_again_with_its_files(path: Path) -> None:
    log = read_run_log(saved(path, old_log()))
    write_run_log(log, str(path))
    written = json.loads(path.read_text())
    assert written["uploaded_files"] == old_log()["uploaded_files"]
    assert written["files"] == {}
    assert read_run_log(str(path)) == log


@pytest.mark.parametrize("length", [0, 1, 40, 400, -2])
def test_a_torn_log_is_named(path: Path, length: int) -> None:
    write_run_log(some_log(), str(path))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(UnreadableRunLog, match=f"^run log {path} is torn or no run log: "):
        read_run_log(str(path))


@pytest.mark.parametrize(
    "content",
    [b"\0" * 500, b"\xff\xfe{}", b"[]", b"null", b'"text"', b"[" * 100_000, b'{"completed": ' + b"9" * 5000 + b"}"],
    ids=["zeros", "bytes", "list", "null", "text", "deep", "digits"],
)
def test_what_is_no_run_log_at_all_is_named(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(UnreadableRunLog, match="is torn or no run log"):
        read_run_log(str(path))


@pytest.mark.parametrize("key", ["run_id", "run_path", "completed", "uploaded_files"])
def test_a_log_that_lacks_a_field_is_named_with_the_field(path: Path, key: str) -> None:
    data = old_log()
    del data[key]
    with pytest.raises(UnreadableRunLog, match=f"it lacks '{key}'"):
        read_run_log(saved(path, data))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("run_id", 5),
        ("run_path", None),
        ("run_path", "/seq/\0run"),
        ("run_path", "/seq/\ud800run"),
        ("completed", "yes"),
        ("total_local_files", "3"),
        ("uploaded_files", ["a"]),
        ("uploaded_files", {"a": 5}),
        ("failed_upload_files", {"a": "b"}),
        ("failed_upload_files", [5]),
        ("bucket", 5),
        ("files", {f"{RUN_PATH}/RunInfo.xml": 5, "RunInfo.xml": 5}),
        ("files", {"RunInfo.xml": {"size": "12"}}),
        ("failures", []),
        ("failures", ["a"]),
    ],
)
def test_a_log_with_a_wrong_type_is_no_run_log(path: Path, key: str, value: Any) -> None:
    data = old_log(**{key: value})
    if (key, value) == ("failures", []):
        assert read_run_log(saved(path, data)).failures == {"Data/bad": "failed before"}
        return
    with pytest.raises(UnreadableRunLog, match="is torn or no run log"):
        read_run_log(saved(path, data))


def test_a_log_that_cannot_be_opened_is_named_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(UnreadableRunLog, match="cannot be read: Is a directory"):
        read_run_log(str(tmp_path))
    with pytest.raises(UnreadableRunLog, match="cannot be read: No such file or directory"):
        read_run_log(str(tmp_path / "missing"))


@pytest.mark.parametrize(
    ("expected", "failures", "completed"),
    [
        (["a", "b"], {}, True),
        (["a"], {}, True),
        ([], {}, True),
        (["a", "b", "c"], {}, False),
        (["a", "c"], {}, False),  # as many as are recorded, but others
        (["a", "b"], {"b": "denied"}, False),
    ],
)
def test_completion_is_a_comparison_of_sets(expected: list[str], failures: dict[str, str], completed: bool) -> None:
    log = RunLog(RUN_ID, RUN_PATH, files={"a": RECORD, "b": RECORD}, failures={"old": "gone"})
    log.finish(expected, failures, "2024-01-02T00:00:00Z")
    assert log.completed is completed
    assert log.failures == failures
    assert log.updated_at == "2024-01-02T00:00:00Z"
    assert log.completed_at == ("2024-01-02T00:00:00Z" if completed else None)


@given(st.sets(st.sampled_from("abcdef")), st.sets(st.sampled_from("abcdef")), st.sets(st.sampled_from("abcdef")))
def test_a_run_is_completed_exactly_when_nothing_is_missing_and_nothing_failed(
    recorded: set[str], expected: set[str], failed: set[str]
) -> None:
    log = RunLog(RUN_ID, RUN_PATH, files=dict.fromkeys(recorded, RECORD))
    log.finish(expected, dict.fromkeys(failed, "why"), "now")
    assert log.completed == (expected <= recorded and not failed)


def test_a_written_log_leaves_nothing_else_in_the_folder(path: Path) -> None:
    write_run_log(some_log(), str(path))
    write_run_log(some_log(), str(path))
    assert os.listdir(path.parent) == [path.name]


class Breaking(RunLog):
    """A log whose text ends in an error."""

    def as_text(self) -> Any:
        yield '{"run_id": '
        raise RuntimeError("broken in the middle")


def no_space(*args: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_log_and_no_rest(path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    write_run_log(some_log(), str(path))
    newer = some_log()
    newer.completed = True
    monkeypatch.setattr(os, call, no_space)
    with pytest.raises(OSError, match="No space left"):
        write_run_log(newer, str(path))
    monkeypatch.undo()
    assert read_run_log(str(path)) == some_log()
    assert os.listdir(path.parent) == [path.name]


def test_a_write_that_breaks_in_the_middle_leaves_the_old_log_and_no_rest(path: Path) -> None:
    write_run_log(some_log(), str(path))
    with pytest.raises(RuntimeError, match="in the middle"):
        write_run_log(Breaking(RUN_ID, RUN_PATH), str(path))
    assert read_run_log(str(path)) == some_log()
    assert os.listdir(path.parent) == [path.name]


def test_a_log_cannot_be_written_where_there_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_run_log(some_log(), str(tmp_path / "missing" / "log"))


def test_the_new_log_is_on_the_disk_before_it_replaces_the_old_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        target = os.readlink(f"/proc/self/fd/{descriptor}")
        steps.append("sync folder" if target == str(path.parent) else f"sync {os.path.getsize(target) > 100}")
        real_fsync(descriptor)

    def replace(source: str, target: str) -> None:
        steps.append("replace")
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    write_run_log(some_log(), str(path))
    assert steps == ["sync True", "replace", "sync folder"]


def test_a_file_system_that_cannot_sync_folders_is_no_trouble(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_fsync, real_open = os.fsync, os.open

    def fsync(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_run_log(some_log(), str(path))

    def open_no_folder(name: Any, *args: Any, **kwargs: Any) -> int:
        if name == str(path.parent):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real_open(name, *args, **kwargs)

    monkeypatch.setattr(os, "open", open_no_folder)
    write_run_log(some_log(), str(path))
    assert read_run_log(str(path)) == some_log()


def test_a_reader_sees_the_old_or_the_new_log_never_a_part(path: Path) -> None:
    logs = []
    for count in (1, 400):
        log = RunLog(RUN_ID, RUN_PATH, total_local_files=count)
        log.files = {f"file{number}": RECORD for number in range(count)}
        logs.append(log)
    write_run_log(logs[0], str(path))
    ended = threading.Event()

    def write_many() -> None:
        for number in range(60):
            write_run_log(logs[number % 2], str(path))
        ended.set()

    writer = threading.Thread(target=write_many)
    writer.start()
    seen = set()
    while not ended.is_set():
        log = read_run_log(str(path))
        assert log.total_local_files == len(log.files)
        seen.add(len(log.files))
    writer.join()
    assert seen <= {1, 400}
