"""The report page of a log folder: what stands in run logs comes onto the page, and the file is replaced as a whole."""

import logging
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from async_s3_upload.cli import report_page as module
from async_s3_upload.cli.report_command import replace_report_page
from async_s3_upload.cli.report_page import page_run, write_report_page
from async_s3_upload.errors import UsageError
from async_s3_upload.state.overview import RunSummary, overview
from async_s3_upload.state.rounds import ROUNDS_FILE, Round, append_round
from async_s3_upload.state.run_log import FileRecord, RunLog, write_run_log
from tests.support.command import run_command

RUN_ID = "240119_A01295_0316_BHT7WNDRX5"
LOG = RunLog(
    RUN_ID,
    f"/seq/{RUN_ID}",
    "lab-runs",
    "/novaseq/",
    total_local_files=3,
    files={"a": FileRecord("0" * 32, 10**9, 5, "AAAAAAAAAAA=", "2024-01-20T10:00:00Z")},
    failures={"Data/<b>": "Permission denied"},
    started_at="2024-01-20T10:00:00Z",
    updated_at="2024-01-20T11:00:00Z",
    instrument="NovaSeq 6000 1.7.5",
    upload_seconds=50.0,
)


@pytest.fixture
def log_dir(tmp_path: Path) -> Path:
    """A log folder that remembers a run, of which a file failed, and a round."""
    folder = tmp_path / "log"
    (folder / "uploads").mkdir(parents=True)
    write_run_log(LOG, str(folder / "uploads" / f"{RUN_ID}.upload.log.json"))
    append_round(str(folder), Round(datetime(2024, 1, 20, 11, tzinfo=UTC), 3, 5.0, failed=1, problems=("no <way>",)))
    return folder


def summary(log_dir: Path) -> RunSummary:
    (run,) = overview(str(log_dir), datetime(2024, 1, 20, 12, tzinfo=UTC)).runs
    return run


def test_a_run_log_becomes_a_run_of_the_page(log_dir: Path) -> None:
    found = page_run(summary(log_dir))

    assert (found.run_id, found.sequencer, found.state) == (RUN_ID, "A01295 · NovaSeq 6000", "partial")
    assert (found.files, found.total, found.bytes) == (1, 3, 10**9)
    assert (found.started_at, found.ended_at) == (1705744800.0, 1705748400.0)
    assert (found.seconds, found.rate) == (50.0, 2e7)
    assert list(found.failures) == [("Data/<b>", "Permission denied")]
    assert found.destination == "lab-runs/novaseq"
    assert "nothing was tried" in found.next_step or "tries 1 failed file again" in found.next_step


def test_what_met_the_run_itself_has_no_name_of_a_file() -> None:
    run = RunSummary("run", "partial", "", "log", "journal", "manifests", "/seq/run", failures={"/seq/run": "why"})

    assert list(page_run(run).failures) == [("the run as a whole", "why")]


def test_a_run_that_needs_nothing_has_no_next_step() -> None:
    done = RunSummary("run", "completed", "nothing to do", "log", "journal", "manifests", instrument="G4 1.2")

    found = page_run(done)

    assert found.next_step == ""
    assert found.sequencer == "G4"
    assert found.destination == "unknown bucket"


@pytest.mark.parametrize(
    ("run_id", "instrument", "sequencer"),
    [
        ("240119_A01295_0316_BHT7WNDRX5", "NovaSeq 6000 1.7.5", "A01295 · NovaSeq 6000"),
        ("20240119_AV234501_plate-7", "Element AVITI 3.1.2", "AV234501 · Element AVITI"),
        ("r64012_20240119_101500", "PacBio", "r64012 · PacBio"),
        ("20240119_1200_MN12345_FAX00001_0a1b2c3d", "Oxford Nanopore 23.11.4", "MN12345 · Oxford Nanopore"),
        ("plate 7", "HiSeq 1000-2500 HD 3.4.0.38", "HiSeq 1000-2500"),
        ("plate 7", None, "unknown instrument"),
    ],
)
def test_a_sequencer_is_named_by_what_stays_the_same(run_id: str, instrument: str | None, sequencer: str) -> None:
    run = RunSummary(run_id, "completed", "nothing to do", "log", "journal", "manifests", instrument=instrument)

    assert page_run(run).sequencer == sequencer


def test_the_page_of_a_log_folder_has_its_runs_and_its_last_round(log_dir: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"

    assert write_report_page(str(log_dir), str(page)) == 1

    html = page.read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>")
    assert RUN_ID in html
    assert "Data/&lt;b&gt;" in html
    assert "no &lt;way&gt;" in html
    assert [entry.name for entry in tmp_path.iterdir() if entry.name != "log"] == ["page.html"]


def test_what_cannot_be_read_stands_on_the_page(log_dir: Path, tmp_path: Path) -> None:
    (log_dir / "uploads" / "torn.upload.log.json").write_text("{", encoding="utf-8")
    with (log_dir / ROUNDS_FILE).open("a", encoding="utf-8") as file:
        file.write("{\n")
    page = tmp_path / "page.html"

    assert write_report_page(str(log_dir), str(page)) == 2

    html = page.read_text(encoding="utf-8")
    assert "torn.upload.log.json is torn" in html
    assert f"{ROUNDS_FILE}: 1 of the last 1 lines cannot be read" in html


def test_a_page_that_cannot_be_replaced_stays_whole(
    log_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.html"
    page.write_text("the old page", encoding="utf-8")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match=re.escape(f"the report page {page} cannot be written: No space left")):
        write_report_page(str(log_dir), str(page))

    assert page.read_text(encoding="utf-8") == "the old page"
    assert [entry.name for entry in tmp_path.iterdir() if entry.name != "log"] == ["page.html"]


@pytest.mark.parametrize("error", [OSError(13, "Permission denied"), ValueError("a fault of the page")])
def test_after_a_round_a_page_that_fails_is_one_line_on_the_log(
    log_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def broken(_page: object) -> str:
        raise error

    monkeypatch.setattr(module, "page_html", broken)

    with caplog.at_level(logging.ERROR):
        replace_report_page(str(log_dir), str(log_dir / "page.html"))

    (record,) = caplog.records
    assert record.getMessage().startswith("no report page was written: ")
    assert record.exc_info is None


def test_without_a_wanted_page_a_round_imports_no_templates(tmp_path: Path) -> None:
    script = (
        "import sys; from async_s3_upload.cli import monitor; "
        "monitor.replace_report_page('/nowhere', None); sys.exit('jinja2' in sys.modules)"
    )

    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)


def test_the_command_says_what_it_wrote(log_dir: Path, tmp_path: Path) -> None:
    done = run_command("report", "page.html", "--log-dir", str(log_dir), cwd=tmp_path)

    assert (done.exit_code, done.stdout, done.stderr) == (0, "page.html: 1 run\n", "")
    assert RUN_ID in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["p.html", "--log-dir", "nowhere"], "there is no log folder {cwd}/nowhere: nothing was uploaded with it yet"),
        (["p.html", "--log-dir", "log", "--config", "c"], "--config and --log-dir both name a log folder"),
        (["no/p.html", "--log-dir", "log"], "the report page no/p.html cannot be written: No such file or directory"),
        (["log", "--log-dir", "log"], "the report page log cannot be written: Is a directory"),
    ],
)
def test_what_cannot_work_is_one_sentence(log_dir: Path, tmp_path: Path, arguments: list[str], sentence: str) -> None:
    done = run_command("report", *arguments, cwd=tmp_path)

    assert done.exit_code == 2
    assert done.stderr.startswith("error: " + sentence.format(cwd=os.path.realpath(tmp_path)))
    assert done.stderr.count("\n") == 1
