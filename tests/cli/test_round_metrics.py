"""The metrics file during a round: it is written now and then, and what is under way counts."""

from __future__ import annotations

import json
import re
from pathlib import Path

from async_s3_upload.cli.report import Report
from async_s3_upload.cli.round_metrics import EVERY_S, RoundMetrics
from async_s3_upload.config import Config, read_config
from async_s3_upload.delivery.row import RunRow
from async_s3_upload.delivery.watching import RunProgress, Watchers
from async_s3_upload.transfer.activity import Activity, Counts


def config_of(tmp_path: Path, metrics_file: Path | None) -> Config:
    path = tmp_path / "config.json"
    section = {"monitored_directories": ["/seq/1"], "bucket": "bucket-a", "remote_path": "/"}
    keys = {"log_dir": str(tmp_path), "metrics_file": metrics_file and str(metrics_file)}
    path.write_text(json.dumps({"monitor": [section], **keys}))
    return read_config(str(path))


def value(path: Path, name: str) -> float:
    found = re.search(rf"^async_s3_upload_{name}{{.*}} (.*)$", path.read_text(), re.MULTILINE)
    assert found, f"there is no {name}"
    return float(found[1])


def row(name: str) -> RunRow:
    return RunRow(name, f"/seq/1/{name}", "bucket-a", name, "uploaded", "new", uploaded_files=2, uploaded_bytes=100)


def test_what_is_under_way_is_written_now_and_then(tmp_path: Path) -> None:
    path, now = tmp_path / "s3.prom", 0.0
    watchers, activity = Watchers(), Activity()
    metrics = RoundMetrics(config_of(tmp_path, path), watchers, lambda: now)
    assert watchers.watchers == (metrics,)
    metrics.begin()
    assert value(path, "round_running") == 1

    first, second = row("run_1"), row("run_2")
    ended, going_on = watchers.begin(first), watchers.begin(second)
    ended.progress.bytes_sent, going_on.progress.bytes_sent = 100, 30
    ended.ended(first)
    activity.told("worker", Counts(3, 5))
    metrics.look(watchers.runs, activity)
    assert value(path, "sent_bytes_total") == 0, "it is not time yet"
    now = EVERY_S
    metrics.look(watchers.runs, activity)
    assert (value(path, "sent_bytes_total"), value(path, "retries_total")) == (130, 5)
    metrics.look([*watchers.runs, RunProgress(3, "run_3", bytes_sent=7)], activity)
    assert value(path, "sent_bytes_total") == 130, "it is not time again"

    watchers.activity = activity
    metrics.end(Report(rows=[first]))  # a signal came: the other run has no row
    assert (value(path, "sent_bytes_total"), value(path, "retries_total")) == (130, 5)
    assert (value(path, "sent_files_total"), value(path, "last_round_duration_seconds")) == (2, EVERY_S)
    assert value(path, "round_running") == 0


def test_without_a_metrics_file_nobody_watches(tmp_path: Path) -> None:
    watchers = Watchers()
    metrics = RoundMetrics(config_of(tmp_path, None), watchers)
    metrics.begin()
    metrics.end(Report())
    assert not watchers.watchers
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
