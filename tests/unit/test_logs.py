"""The program's own log: console and file."""

from __future__ import annotations

import builtins
import logging
import os
import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from logging.handlers import TimedRotatingFileHandler
from pathlib import Path
from typing import Any

import pytest

from async_s3_upload.cli.logs import BACKUPS, LOG_FILE, console_log, file_log, prepare_log_dir
from async_s3_upload.errors import LogDirError

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (\w+) (.*)")


@pytest.fixture(autouse=True)
def logger() -> Iterator[logging.Logger]:
    found = logging.getLogger("async_s3_upload")
    before = found.level, found.propagate
    found.setLevel(logging.INFO)
    yield found
    assert handlers(found) == []
    found.setLevel(before[0])
    found.propagate = before[1]


@pytest.fixture
def log_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "deep" / "logs"
    prepare_log_dir(str(folder))
    return folder


def handlers(logger: logging.Logger) -> list[logging.Handler]:
    """Handlers for console and file, without those of the test runner."""
    return [found for found in logger.handlers if type(found) in (logging.StreamHandler, TimedRotatingFileHandler)]


def last_written_before_midnight(path: Path) -> None:
    then = datetime.combine(date.today(), datetime.min.time()).timestamp() - 1
    os.utime(path, (then, then))


def written(text: str) -> list[tuple[str | Any, ...]]:
    lines = [LINE.fullmatch(line) for line in text.splitlines()]
    assert all(lines)
    return [line.groups() for line in lines if line]


def test_the_log_folder_is_made_with_its_parents_and_left_without_traces(log_dir: Path) -> None:
    assert (log_dir / "uploads").is_dir()
    assert os.listdir(log_dir / "uploads") == []
    assert (log_dir / LOG_FILE).read_text() == ""
    assert LOG_FILE == "s3_upload.log"


def test_a_log_folder_with_logs_is_left_as_it_is(log_dir: Path) -> None:
    (log_dir / LOG_FILE).write_text("before\n")
    (log_dir / "uploads" / "a.upload.log.json").write_text("{}")
    prepare_log_dir(str(log_dir))
    assert (log_dir / LOG_FILE).read_text() == "before\n"
    assert os.listdir(log_dir / "uploads") == ["a.upload.log.json"]


def test_a_log_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        LogDirError, match=f"^log folder {tmp_path}/file/logs cannot be written: Not a directory; "
    ) as caught:
        prepare_log_dir(str(tmp_path / "file" / "logs"))
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("denied", ["uploads/.writable", LOG_FILE])
def test_a_log_folder_that_may_not_be_written_is_one_clear_error(
    log_dir: Path, monkeypatch: pytest.MonkeyPatch, denied: str
) -> None:
    real = builtins.open

    def careful(path: Any, *args: Any, **kwargs: Any) -> Any:
        if denied in str(path):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", careful)
    with pytest.raises(
        LogDirError, match="cannot be written: Permission denied; give this user the right to write there"
    ):
        prepare_log_dir(str(log_dir))


def test_the_console_is_standard_error_with_time_and_level(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    with console_log(logging.INFO):
        logger.info("found %d runs", 2)
        logging.getLogger("async_s3_upload.transfer.workers.worker").warning("slow")
        logger.debug("not wanted")
    seen = capsys.readouterr()
    assert seen.out == ""
    assert written(seen.err) == [("INFO", "found 2 runs"), ("WARNING", "slow")]


def test_the_level_holds_for_console_and_file(
    log_dir: Path, logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    with console_log(logging.WARNING), file_log(str(log_dir)):
        logger.info("quiet")
        logger.warning("loud")
    assert written(capsys.readouterr().err) == [("WARNING", "loud")]
    assert written((log_dir / LOG_FILE).read_text()) == [("WARNING", "loud")]


def test_records_of_all_modules_reach_the_file_and_are_added_to_it(log_dir: Path, logger: logging.Logger) -> None:
    for number in (1, 2):
        with file_log(str(log_dir)):
            logging.getLogger("async_s3_upload.transfer.workers.worker").info("line %d", number)
    logger.info("after the block")
    assert written((log_dir / LOG_FILE).read_text()) == [("INFO", "line 1"), ("INFO", "line 2")]


def test_names_that_are_no_utf8_do_not_break_the_log(log_dir: Path, logger: logging.Logger) -> None:
    with file_log(str(log_dir)):
        logger.info("Ä %s", os.fsdecode(b"\xff"))
    assert written((log_dir / LOG_FILE).read_text("utf-8")) == [("INFO", "Ä \\udcff")]


def test_the_first_line_after_midnight_begins_a_new_file(log_dir: Path, logger: logging.Logger) -> None:
    path = log_dir / LOG_FILE
    path.write_text("yesterday\n")
    last_written_before_midnight(path)
    prepare_log_dir(str(log_dir))
    with file_log(str(log_dir)):
        logger.info("today")
    kept = [entry for entry in os.listdir(log_dir) if entry.startswith(LOG_FILE + ".")]
    assert [(log_dir / entry).read_text() for entry in kept] == ["yesterday\n"]
    assert re.fullmatch(r"s3_upload\.log\.\d{4}-\d\d-\d\d", kept[0])
    assert written(path.read_text()) == [("INFO", "today")]


def test_five_backups_are_kept(log_dir: Path, logger: logging.Logger) -> None:
    for days in range(2, 12):
        (log_dir / f"{LOG_FILE}.{date.today() - timedelta(days)}").write_text(f"{days}")
    path = log_dir / LOG_FILE
    path.write_text("1")
    last_written_before_midnight(path)
    with file_log(str(log_dir)):
        logger.info("today")
    kept = sorted(entry for entry in os.listdir(log_dir) if entry.startswith(LOG_FILE + "."))
    assert [(log_dir / entry).read_text() for entry in kept] == ["5", "4", "3", "2", "1"]
    assert BACKUPS == 5


def test_an_error_in_the_block_closes_the_file(
    log_dir: Path, logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []
    real = TimedRotatingFileHandler.close

    def close(handler: TimedRotatingFileHandler) -> None:
        closed.append(handler.baseFilename)
        real(handler)

    monkeypatch.setattr(TimedRotatingFileHandler, "close", close)
    with pytest.raises(ZeroDivisionError), file_log(str(log_dir)):
        _ = 1 / 0
    assert closed == [str(log_dir / LOG_FILE)]


def test_a_name_with_a_line_break_stays_on_one_line(log_dir: Path, logger: logging.Logger) -> None:
    prepare_log_dir(str(log_dir))
    with file_log(str(log_dir)):
        logger.error("failed: %s", "a\nERROR forged")
    lines = (log_dir / LOG_FILE).read_text().splitlines()
    assert len(lines) == 1
    assert lines[0].endswith("failed: a\\x0aERROR forged")
