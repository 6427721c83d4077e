"""What should be in S3 of a run, by its folder and its run log."""

import re
from pathlib import Path

import pytest

from async_s3_upload.cli.verify.stock import Stock, take_stock
from async_s3_upload.cli.verify.targets import excluded
from async_s3_upload.state.run_log import FileRecord, RunLog
from async_s3_upload.state.run_logs import Identity
from async_s3_upload.transfer.stores.inspect import Expected


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("a", "b", "c.log"):
        (folder / name).write_text(name)
    return folder


def record(path: Path, etag: str = "e") -> FileRecord:
    found = path.stat()
    return FileRecord(etag, found.st_size, found.st_mtime_ns)


def stock(run: Path, files: dict[str, FileRecord], *exclude: str, known: bool = True, deep: bool = False) -> Stock:
    log = RunLog("run", str(run), "bucket", "/", files=files)
    patterns = [re.compile(pattern) for pattern in exclude] if known else None
    return take_stock(Identity(str(run), "bucket", "/"), "run", log, patterns, deep=deep)


def test_local_and_recorded_files_should_be_there_and_excluded_ones_not(run: Path) -> None:
    found = stock(run, {"a": record(run / "a"), "gone": FileRecord("g", 9, 1)}, r"\.log$")

    assert found.expected == {"run/a": Expected(1, "e"), "run/b": Expected(1, ""), "run/gone": Expected(9, "g")}
    assert set(found.local) == {"a", "b"}
    assert found.gone == {"gone"}
    assert found.changed == {}


def test_a_recorded_file_that_is_excluded_now_is_compared_all_the_same(run: Path) -> None:
    found = stock(run, {"c.log": record(run / "c.log")}, r"\.log$")

    assert found.expected["run/c.log"] == Expected(5, "e")
    assert "c.log" in found.local
    assert found.gone == set()


def test_sizes_that_an_old_log_does_not_know_are_those_on_the_disk(run: Path) -> None:
    found = stock(run, {"a": FileRecord("e"), "gone": FileRecord("g")})

    assert found.expected["run/a"] == Expected(1, "e")
    assert found.expected["run/gone"] == Expected(None, "g")
    assert found.changed == {}


def test_where_nobody_knows_what_was_left_out_the_log_alone_counts(run: Path) -> None:
    found = stock(run, {"a": record(run / "a")}, known=False)

    assert set(found.expected) == {"run/a"}
    assert found.notes == ["its run log does not tell what was left out: only files that it names are looked for"]


def test_changes_since_the_upload_are_named_and_left_to_deep_where_it_reads_the_bytes(run: Path) -> None:
    files = {"a": FileRecord("e", 2, record(run / "a").mtime_ns), "b": FileRecord("e", 1, 5)}

    quick, deep = stock(run, files), stock(run, files, deep=True)

    assert quick.changed["a"] == "the local file has 1 bytes now, 2 were sent"
    assert "modified" in quick.changed["b"]
    assert deep.changed == {}


def test_of_a_run_that_is_still_written_only_what_was_sent_as_it_is_counts(run: Path) -> None:
    log = RunLog("run", str(run), "bucket", "/", files={"a": record(run / "a"), "b": FileRecord("e", 1, 5)})
    log.in_progress = True

    found = take_stock(Identity(str(run), "bucket", "/"), "run", log, [], deep=False)

    assert found.notes == ["the instrument still writes it: only what was sent of it already is looked at"]
    assert set(found.local) == {"a"}


def test_a_run_folder_that_is_gone_leaves_the_log(run: Path) -> None:
    found = stock(run.parent / "elsewhere", {"a": FileRecord("e", 1, 1)})

    assert found.folder_gone
    assert found.notes == ["the run folder is not there any more: S3 is compared with the run log alone"]
    assert set(found.expected) == {"run/a"}
    assert found.gone == {"a"}


def test_what_cannot_be_sent_is_missing_with_its_reason(run: Path) -> None:
    (run / "broken").symlink_to(run / "nothing")
    deep_folder = run / ("x" * 200)
    for _ in range(5):
        deep_folder = deep_folder / ("x" * 200)
    deep_folder.mkdir(parents=True)
    (deep_folder / "y").write_text("too long a key")

    found = stock(run, {})

    assert "leads nowhere" in found.unsendable["broken"]
    assert any("S3 allows 1024" in reason for reason in found.unsendable.values())
    assert set(found.names.values()) == {"a", "b", "c.log"}


def test_what_was_left_out_is_told_by_the_log_else_by_nobody() -> None:
    log = RunLog("run", "/seq/run", exclude_patterns=[r"\.log$"], files={"a": FileRecord("e")})
    assert [pattern.pattern for pattern in excluded(log, None) or ()] == [r"\.log$"]
    log.exclude_patterns = None
    assert excluded(log, None) is None
    log.exclude_patterns = ["("]
    assert excluded(log, None) is None
