"""Which run log belongs to which run folder and destination."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3_upload.errors import LogDirError
from async_s3_upload.state import run_logs
from async_s3_upload.state.run_log import FileRecord, RunLog, read_run_log, write_run_log
from async_s3_upload.state.run_logs import Identity, RunLogs, changed_since, take_over

RUN_ID = "240101_A01295_0001_AHV7TDRXY"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "seq1")


@pytest.fixture
def logs(tmp_path: Path) -> RunLogs:
    (tmp_path / "logs" / "uploads").mkdir(parents=True)
    return RunLogs(str(tmp_path / "logs"))


def make_run(parent: Path, name: str = RUN_ID) -> Path:
    folder = parent / name
    (folder / "Data").mkdir(parents=True)
    for file in ("RunInfo.xml", "Data/s.bcl", "CopyComplete.txt"):
        (folder / file).touch()
    return folder


def to(run: Path | str, bucket: str = "bucket-a", remote_path: str = "/") -> Identity:
    return Identity(str(run), bucket, remote_path)


def remember(logs: RunLogs, identity: Identity, *, completed: bool = False, path: str | None = None) -> str:
    """Write the log of an upload where the next start looks for it."""
    log = RunLog(identity.run_id, identity.run_path, identity.bucket, identity.remote_path, completed)
    log.files = {"RunInfo.xml": FileRecord("abc", 0, 0)}
    path = path or logs.find(identity).path
    write_run_log(log, path)
    return path


def remember_old(
    logs: RunLogs, run_path: Path | str, files: dict[str, str] | None = None, *, completed: bool = False
) -> str:
    """Write a log as the replaced tool does."""
    name = os.path.basename(run_path)
    path = os.path.join(logs.folder, f"{name}.upload.log.json")
    data: dict[str, Any] = {
        "run_id": name,
        "run_path": str(run_path),
        "completed": completed,
        "total_local_files": 3,
        "total_uploaded_files": 1,
        "total_failed_upload": 0,
        "failed_upload_files": [],
        "uploaded_files": {f"{run_path}/RunInfo.xml": "abc123"} if files is None else files,
    }
    Path(path).write_text(json.dumps(data, indent=4), "utf-8")
    return path


def test_the_first_log_of_a_name_is_called_as_the_replaced_tool_calls_it(logs: RunLogs, run: Path) -> None:
    found = logs.find(to(run))
    assert (found.path, found.log, found.problem) == (f"{logs.folder}/{RUN_ID}.upload.log.json", None, None)


def test_finding_a_log_changes_nothing(tmp_path: Path, run: Path) -> None:
    assert RunLogs(str(tmp_path / "none")).find(to(run)).log is None
    assert not (tmp_path / "none").exists()


def test_an_upload_finds_its_own_log_again(logs: RunLogs, run: Path) -> None:
    path = remember(logs, to(run, "bucket-a", "/runs"))
    found = logs.find(to(run, "bucket-a", "runs/"))
    assert found.path == path
    assert found.log is not None
    assert found.log.bucket == "bucket-a"


def test_a_second_destination_has_a_log_of_its_own_with_eight_hex_digits(logs: RunLogs, run: Path) -> None:
    first = remember(logs, to(run, "bucket-a"), completed=True)
    for other in (to(run, "bucket-b"), to(run, "bucket-a", "/elsewhere")):
        found = logs.find(other)
        assert found.log is None
        assert found.path == f"{logs.folder}/{RUN_ID}.{other.digest}.upload.log.json"
        assert len(other.digest) == 8
        assert set(other.digest) <= set("0123456789abcdef")
        assert remember(logs, other) == found.path
        assert logs.find(other).path == found.path
    assert logs.find(to(run, "bucket-a")).path == first
    assert len(os.listdir(logs.folder)) == 3


def test_two_folders_of_one_name_never_share_a_log(logs: RunLogs, run: Path, tmp_path: Path) -> None:
    twin = make_run(tmp_path / "seq2")
    first = remember(logs, to(run), completed=True)
    found = logs.find(to(twin))
    assert found.log is None
    assert found.path != first
    remember(logs, to(twin))
    twin_log, run_log = logs.find(to(twin)).log, logs.find(to(run)).log
    assert twin_log is not None
    assert run_log is not None
    assert (twin_log.run_path, twin_log.completed) == (str(twin), False)
    assert (run_log.run_path, run_log.completed) == (str(run), True)


def test_another_folder_of_the_name_with_the_same_keys_is_named_as_a_rival(
    logs: RunLogs, run: Path, tmp_path: Path
) -> None:
    twin = make_run(tmp_path / "seq2")
    remember(logs, to(run))
    assert logs.find(to(twin)).rivals == (str(run),)
    assert logs.find(to(twin, "bucket-b")).rivals == ()
    assert logs.find(to(run)).rivals == ()


def test_a_rival_whose_folder_is_gone_is_none(logs: RunLogs, run: Path, tmp_path: Path) -> None:
    remember(logs, to(tmp_path / "gone" / RUN_ID))
    (run / "RunInfo.xml").unlink()  # else the storage would have been mounted elsewhere
    assert logs.find(to(run)).rivals == ()


def test_each_log_has_a_lock_of_its_own_outside_the_folder_of_logs(logs: RunLogs, run: Path, tmp_path: Path) -> None:
    remember(logs, to(run))
    locks = {logs.find(identity).lock for identity in (to(run), to(run, "bucket-b"), to(run, "bucket-c"))}
    assert len(locks) == 3
    assert {os.path.dirname(lock) for lock in locks} == {str(tmp_path / "logs" / "locks")}


def test_a_run_reached_over_a_link_is_the_same_run(logs: RunLogs, run: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(run.parent)
    path = remember(logs, to(run))
    assert logs.find(to(tmp_path / "link" / RUN_ID)).path == path
    assert logs.find(to(tmp_path / "link" / RUN_ID)).log is not None


def test_a_completed_log_of_the_replaced_tool_counts_for_every_destination(logs: RunLogs, run: Path) -> None:
    path = remember_old(logs, run, completed=True)
    for identity in (to(run, "bucket-a"), to(run, "bucket-b", "/x")):
        found = logs.find(identity)
        assert found.path == path
        assert found.log is not None
        assert found.log.completed


def test_a_completed_log_of_the_replaced_tool_counts_for_no_other_folder(
    logs: RunLogs, run: Path, tmp_path: Path
) -> None:
    remember_old(logs, run, completed=True)
    found = logs.find(to(make_run(tmp_path / "seq2")))
    assert found.log is None
    assert found.path.endswith(".upload.log.json")
    assert not os.path.exists(found.path)


@pytest.mark.parametrize("relative", [False, True])
def test_a_partial_log_of_the_replaced_tool_goes_on(logs: RunLogs, run: Path, relative: bool) -> None:
    path = remember_old(logs, run, {"Data/s.bcl": "abc"} if relative else {f"{run}/Data/s.bcl": "abc"})
    found = logs.find(to(run))
    assert found.path == path
    assert found.log is not None
    assert not found.log.completed
    assert found.log.files == {"Data/s.bcl": FileRecord("abc")}


def test_once_a_partial_old_log_is_continued_to_one_destination_another_has_its_own(logs: RunLogs, run: Path) -> None:
    old = remember_old(logs, run)
    remember(logs, to(run, "bucket-a"), path=old)
    assert logs.find(to(run, "bucket-a")).path == old
    found = logs.find(to(run, "bucket-b"))
    assert (found.log, found.path == old) == (None, False)


@pytest.mark.parametrize("relative", [False, True])
def test_a_log_whose_folder_is_gone_and_whose_names_fit_is_this_run_s(logs: RunLogs, run: Path, relative: bool) -> None:
    gone = f"/no/such/mount/{RUN_ID}"
    path = remember_old(logs, gone, {"RunInfo.xml": "a"} if relative else {f"{gone}/RunInfo.xml": "a"}, completed=True)
    found = logs.find(to(run))
    assert found.path == path
    assert found.log is not None
    assert set(found.log.files) == {"RunInfo.xml"}


@pytest.mark.parametrize(
    "files",
    [
        {"RunInfo.xml": "a", "Data/other.bcl": "b"},
        {},
        {f"/elsewhere/{RUN_ID}/RunInfo.xml": "a"},
    ],
    ids=["a name that is not there", "no names", "names of another place"],
)
def test_a_log_whose_folder_is_gone_and_whose_names_do_not_fit_is_foreign_and_kept(
    logs: RunLogs, run: Path, files: dict[str, str]
) -> None:
    path = remember_old(logs, f"/no/such/mount/{RUN_ID}", files, completed=True)
    before = Path(path).read_bytes()
    found = logs.find(to(run))
    assert found.log is None
    assert found.path == f"{logs.folder}/{RUN_ID}.{to(run).digest}.upload.log.json"
    assert Path(path).read_bytes() == before


def test_names_outside_the_gone_folder_do_not_fit_even_where_they_exist(logs: RunLogs, run: Path) -> None:
    remember_old(logs, f"/no/such/mount/{RUN_ID}", {str(run / "RunInfo.xml"): "a"}, completed=True)
    assert logs.find(to(run)).log is None


def test_a_folder_that_still_exists_was_not_remounted(logs: RunLogs, run: Path, tmp_path: Path) -> None:
    remember_old(logs, make_run(tmp_path / "seq2"), {"RunInfo.xml": "a"})
    assert logs.find(to(run)).log is None


def test_a_remounted_run_to_another_destination_is_not_remembered(logs: RunLogs, run: Path) -> None:
    remember(logs, to(f"/no/such/mount/{RUN_ID}", "bucket-a"))
    assert logs.find(to(run, "bucket-b")).log is None
    assert logs.find(to(run, "bucket-a")).log is not None


def test_a_torn_log_is_a_problem_with_nothing_known(logs: RunLogs, run: Path) -> None:
    path = remember(logs, to(run))
    Path(path).write_bytes(Path(path).read_bytes()[:100])
    found = logs.find(to(run))
    assert (found.path, found.log) == (path, None)
    assert found.problem is not None
    assert found.problem.startswith(f"run log {path} is torn or no run log: ")


def test_a_torn_log_of_another_destination_does_not_hide_the_own_one(logs: RunLogs, run: Path) -> None:
    first = remember(logs, to(run, "bucket-a"))
    second = remember(logs, to(run, "bucket-b"))
    Path(first).write_text("{")
    found = logs.find(to(run, "bucket-b"))
    assert (found.path, found.problem) == (second, None)
    assert found.log is not None


def test_the_own_log_is_named_before_the_plain_one_where_both_are_torn(logs: RunLogs, run: Path) -> None:
    first = remember(logs, to(run, "bucket-a"))
    second = remember(logs, to(run, "bucket-b"))
    for path in (first, second):
        Path(path).write_text("{")
    assert logs.find(to(run, "bucket-b")).path == second
    assert logs.find(to(run, "bucket-a")).path == first


def test_a_torn_log_of_a_third_destination_concerns_nobody_else(logs: RunLogs, run: Path) -> None:
    remember(logs, to(run, "bucket-a"))
    third = remember(logs, to(run, "bucket-c"))
    Path(third).write_text("{")
    found = logs.find(to(run, "bucket-b"))
    assert (found.log, found.problem) == (None, None)


def test_logs_of_longer_names_and_other_files_are_not_mixed_up(logs: RunLogs, run: Path) -> None:
    for name in (f"{RUN_ID}_2", f"x{RUN_ID}", f"{RUN_ID}.12345678.tmp", f"{RUN_ID}.1234567g"):
        remember_old(logs, make_run(run.parent, name), completed=True)
        Path(logs.folder, f"{name}.upload.log.json").write_text("{")
    Path(logs.folder, f"{RUN_ID}.upload.log.json.77.tmp").write_text("{")
    Path(logs.folder, f"{RUN_ID}.upload.log.json.torn").write_text("{")
    found = logs.find(to(run))
    assert (found.log, found.problem, found.path) == (None, None, f"{logs.folder}/{RUN_ID}.upload.log.json")


def test_characters_of_a_name_are_no_pattern(logs: RunLogs, tmp_path: Path) -> None:
    odd, plain = make_run(tmp_path, "run.+(1)"), make_run(tmp_path, "runx+(1)")
    remember(logs, to(plain))
    assert logs.find(to(odd)).path.endswith("/run.+(1).upload.log.json")
    path = remember(logs, to(odd))
    assert logs.find(to(odd)).path == path


@pytest.mark.parametrize("files", [{}, {"RunInfo.xml": FileRecord("abc", 0, 0)}], ids=["nothing sent", "one sent"])
@pytest.mark.parametrize("folder", [b"seq\xfe/run", b"seq/run\xfe"])
def test_a_folder_whose_path_is_no_utf8_finds_its_log_again(
    logs: RunLogs, tmp_path: Path, folder: bytes, files: dict[str, FileRecord]
) -> None:
    run = make_run(
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), os.path.dirname(folder)))),
        os.fsdecode(os.path.basename(folder)),
    )
    path = logs.find(to(run)).path
    path.encode()
    write_run_log(RunLog(run.name, str(run), "bucket-a", "/", files=files, failures={"x": "why"}), path)
    found = logs.find(to(run))
    assert found.path == path
    assert found.log is not None


def test_a_folder_of_logs_that_may_not_be_listed_is_one_clear_error(
    logs: RunLogs, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(path: str) -> list[str]:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", denied)
    with pytest.raises(LogDirError, match=f"run logs in {logs.folder} cannot be listed: Permission denied"):
        logs.find(to(run))


PATHS = st.sampled_from(["/a/run", "/b/run", "/a/run2"])
IDENTITIES = st.builds(Identity, PATHS, st.sampled_from(["b1", "b2"]), st.sampled_from(["/", "/x", "x/", "x/y"]))


@given(IDENTITIES, IDENTITIES)
def test_digests_are_the_same_exactly_for_the_same_folder_and_destination(one: Identity, other: Identity) -> None:
    same = (one.run_path, one.bucket, one.remote_path.strip("/")) == (
        other.run_path,
        other.bucket,
        other.remote_path.strip("/"),
    )
    assert (one.digest == other.digest) == same
    assert one.run_id == os.path.basename(one.run_path)


@pytest.mark.parametrize(
    ("record", "changed"),
    [
        (FileRecord("e", 10, 20), False),
        (FileRecord("e", 11, 20), True),
        (FileRecord("e", 10, 21), True),
        (FileRecord("e", 0, 20), True),
        (FileRecord("e"), False),  # the replaced tool wrote neither
        (FileRecord("e", 10), False),
    ],
)
def test_a_file_changed_when_its_size_or_time_differs_from_what_was_recorded(record: FileRecord, changed: bool) -> None:
    assert changed_since(record, 10, 20) is changed


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the logs that are read from the disk."""
    found: list[str] = []

    def read(path: str) -> RunLog:
        found.append(os.path.basename(path))
        return read_run_log(path)

    monkeypatch.setattr(run_logs, "read_run_log", read)
    return found


def test_a_log_that_is_looked_for_several_times_is_read_once(logs: RunLogs, run: Path, reads: list[str]) -> None:
    remember(logs, to(run))
    first = logs.find(to(run))
    assert RunLogs(os.path.dirname(logs.folder)).find(to(run)).log is first.log
    assert len(reads) == 1


def test_a_log_that_was_replaced_meanwhile_is_read_afresh(logs: RunLogs, run: Path, reads: list[str]) -> None:
    remember(logs, to(run))
    before = logs.find(to(run))
    remember(logs, to(run), completed=True, path=before.path)
    after = logs.find(to(run)).log
    assert after is not None
    assert after.completed
    assert len(reads) == 2


def test_what_is_changed_in_a_log_that_was_taken_over_is_not_found(logs: RunLogs, run: Path, reads: list[str]) -> None:
    remember(logs, to(run))
    mine = logs.find(to(run)).log
    assert mine is not None
    take_over(mine).files.clear()
    again = logs.find(to(run)).log
    assert again is not None
    assert set(again.files) == {"RunInfo.xml"}
    assert len(reads) == 2


def test_a_log_that_became_torn_is_found_out(logs: RunLogs, run: Path) -> None:
    path = remember(logs, to(run))
    assert logs.find(to(run)).problem is None
    os.truncate(path, 40)
    assert logs.find(to(run)).problem is not None
