"""The metrics file: what node_exporter reads is what happened, over many rounds, and what the documents name."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from async_s3_upload import __version__
from async_s3_upload.notify.metrics import FIGURES, PREFIX, MetricsFile, RoundFigures

NOW = 1_800_000_000.25
LOG_DIR = "/var/log/s3_upload"
DOCUMENT = Path(__file__).parents[2] / "docs" / "monitoring.md"


def ended(path: Path, log_dir: str = LOG_DIR, **figures: object) -> None:
    """Let a round begin and end."""
    file = MetricsFile(str(path), log_dir)
    file.begin()
    values: dict[str, object] = {"ended_at": NOW, "seconds": 12.5, "exit_code": 0, **figures}
    file.end(RoundFigures(**values))  # type: ignore[arg-type]


def samples(path: Path, log_dir: str = LOG_DIR) -> dict[str, float]:
    """Values of one log folder by name, with the own label in brackets."""
    found = {}
    for family in text_string_to_metric_families(path.read_text()):
        for sample in family.samples:
            own = [value for label, value in sample.labels.items() if label != "log_dir"]
            if sample.labels["log_dir"] == log_dir:
                name = sample.name.removeprefix(PREFIX)
                found[f"{name}[{own[0]}]" if own else name] = sample.value
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s3.prom"


def test_a_round_is_told_with_all_its_figures(path: Path) -> None:
    ended(
        path,
        uploaded_runs=2,
        failed_runs=1,
        sent_files=30,
        sent_bytes=102_000_000_123,
        failed_files=4,
        retries=5,
        runs={"completed": 7, "partial": 0},
    )
    assert samples(path) == {
        f"build_info[{__version__}]": 1,
        "runs[completed]": 7,
        "runs[partial]": 0,
        "round_running": 0,
        "last_round_timestamp_seconds": NOW,
        "last_round_duration_seconds": 12.5,
        "last_round_exit_code": 0,
        "last_round_failed_runs": 1,
        "last_success_timestamp_seconds": NOW,
        "last_upload_timestamp_seconds": NOW,
        "rounds_total[0]": 1,
        "uploaded_runs_total": 2,
        "sent_files_total": 30,
        "sent_bytes_total": 102_000_000_123,
        "failed_files_total": 4,
        "retries_total": 5,
    }


def test_counters_go_on_over_rounds_and_times_of_success_stay(path: Path) -> None:
    ended(path, sent_bytes=2**52, uploaded_runs=1, sent_files=1, retries=1, runs={"completed": 1})
    ended(path, ended_at=NOW + 900, exit_code=3, sent_bytes=1, sent_files=2, failed_files=3, retries=4)
    found = samples(path)
    assert found["sent_bytes_total"] == 2**52 + 1
    assert (found["sent_files_total"], found["failed_files_total"], found["retries_total"]) == (3, 3, 5)
    assert (found["rounds_total[0]"], found["rounds_total[3]"]) == (1, 1)
    assert found["last_round_timestamp_seconds"] == NOW + 900
    assert found["last_success_timestamp_seconds"] == found["last_upload_timestamp_seconds"] == NOW
    assert "runs[completed]" not in found, "nobody knows now how many there are"


def test_a_running_round_shows_and_keeps_what_was_known(path: Path) -> None:
    ended(path, sent_bytes=100, retries=1, runs={"completed": 1})
    before = samples(path)
    file = MetricsFile(str(path), LOG_DIR)
    file.begin()
    assert samples(path) == before | {"round_running": 1}
    file.go_on(20, 3)
    file.go_on(30, 4)
    during = samples(path)
    assert during == before | {"round_running": 1, "sent_bytes_total": 130, "retries_total": 5}
    file.end(RoundFigures(NOW + 1, 1.0, 0, sent_bytes=40, retries=4))
    assert samples(path)["sent_bytes_total"] == 140


def test_a_counter_never_falls_within_a_round(path: Path) -> None:
    file = MetricsFile(str(path), LOG_DIR)
    file.go_on(30, 4)
    file.end(RoundFigures(NOW, 1.0, 143, sent_bytes=10))
    found = samples(path)
    assert (found["sent_bytes_total"], found["retries_total"]) == (30, 4)


def test_a_killed_round_leaves_what_it_had_written(path: Path) -> None:
    MetricsFile(str(path), LOG_DIR).go_on(30, 4)
    ended(path, sent_bytes=1)
    assert samples(path)["sent_bytes_total"] == 31


@pytest.mark.parametrize(
    "content", [b"", b"# HELP", b"async_s3_upload_runs{log_dir=", b"\xff\xfe", b"{}\n{{{\n", b"a b c d e\n"]
)
def test_a_damaged_file_is_replaced_and_counters_begin_at_0(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    ended(path, sent_bytes=5)
    assert samples(path)["sent_bytes_total"] == 5


def test_what_is_of_another_log_folder_is_not_taken_over(path: Path) -> None:
    ended(path, "/other", sent_bytes=7)
    ended(path, sent_bytes=5)
    assert samples(path)["sent_bytes_total"] == 5
    assert samples(path, "/other") == {}


def test_a_log_folder_of_any_name_is_a_label(path: Path) -> None:
    name = '/a "b"\\c\nd'
    ended(path, name, sent_bytes=7)
    ended(path, name, sent_bytes=7)
    assert samples(path, name)["sent_bytes_total"] == 14
    ended(path, "/a\udcff", sent_bytes=3)
    ended(path, "/a\udcff", sent_bytes=3)
    assert samples(path, "/a\\xff")["sent_bytes_total"] == 6


def test_a_file_that_cannot_be_written_is_a_logged_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ended(tmp_path / "missing" / "s3.prom")
    assert f"metrics file {tmp_path}/missing/s3.prom cannot be written: No such file or directory" in caplog.text
    (tmp_path / "s3.prom").mkdir()
    ended(tmp_path / "s3.prom")
    assert f"metrics file {tmp_path}/s3.prom cannot be written: Is a directory" in caplog.text
    assert [entry.name for entry in tmp_path.iterdir()] == ["s3.prom"], "nothing half-written stays"


def test_names_and_units_keep_to_the_conventions(path: Path) -> None:
    ended(path, uploaded_runs=1, runs={"completed": 1})
    text = path.read_text()
    for figure in FIGURES:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", figure.name)
        assert figure.name.endswith("_total") == (figure.kind == "counter")
        assert figure.text.endswith(".")
        assert f"# TYPE {PREFIX}{figure.name} {figure.kind}\n" in text


def test_the_document_names_exactly_the_metrics_that_are_written() -> None:
    rows = re.findall(rf"^\| `{PREFIX}(\w+)` \| (\w+) \|", DOCUMENT.read_text(), re.MULTILINE)
    assert rows == [(figure.name, figure.kind) for figure in FIGURES]


def test_the_alert_rules_are_rules_about_metrics_that_are_written() -> None:
    block = re.search(r"```yaml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert block
    (group,) = yaml.safe_load(block[1])["groups"]
    assert group["name"]
    names = [rule["alert"] for rule in group["rules"]]
    assert len(names) == len(set(names)) == 8
    for rule in group["rules"]:
        assert set(rule) - {"for"} == {"alert", "expr", "labels", "annotations"}
        assert re.fullmatch(r"\d+[mh]", rule.get("for", "1h"))
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"]["summary"]
        used = re.findall(rf"{PREFIX}(\w+)", rule["expr"])
        assert used
        assert set(used) <= {figure.name for figure in FIGURES}


def test_who_has_no_metrics_file_does_not_wait_for_the_library() -> None:
    code = "import sys, async_s3_upload.cli.monitor; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
