"""The benchmarks of what results and requests cost: everything is counted, recorded and written down."""

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.coordinator_limit import RESULTS_A_SECOND, Taken, missed, table
from benchmarks.request_cost import SETS, Cost, fit


def taken(results_a_second: float) -> Taken:
    return Taken("files", 8, 1000, 1000 / results_a_second, 1.0, 10, 0)


def test_every_result_is_taken_and_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--results", "1500", "--workers", "3", "--rounds", "1", "--work-dir", str(tmp_path)]
    main(["coordinator-limit", *options, "--out", str(tmp_path)])  # on a busy machine the bar may be missed
    (path,) = tmp_path.glob("coordinator_*.json")
    rounds = {each["kind"]: each for each in json.loads(path.read_text())["rounds"]}
    assert rounds["files"]["results"] == 1500
    assert rounds["files"]["messages"] >= 15  # up to 100 in each
    assert rounds["parts"]["results"] == rounds["parts"]["messages"] == 1000 + 3  # begun, queued, done
    assert all(each["cpu_seconds"] > 0 for each in rounds.values())
    assert "results a second" in capsys.readouterr().out


def test_where_the_time_goes_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--results", "300", "--workers", "2", "--kinds", "files", "--work-dir", str(tmp_path), "--profile"]
    assert main(["coordinator-limit", *options]) == 0
    assert "function calls" in capsys.readouterr().out


def test_the_median_counts() -> None:
    fast, slow = taken(2 * RESULTS_A_SECOND), taken(0.9 * RESULTS_A_SECOND)
    assert missed([fast, slow, fast]) == []
    assert missed([slow, fast, slow]) == ["files: only 18,000 results a second, fewer than 20,000"]
    assert "| files | 8 | 25.0 | 40,000 | 18,000 | 40,000 |" in table([fast, slow, fast])


def test_the_fit_finds_what_a_request_and_a_byte_cost() -> None:
    costs = [Cost(size, 10, 10 * size, 10 * (2e-4 + 1e-9 * size), 0.0) for size in SETS]
    found = fit(costs)
    assert found.request_seconds == pytest.approx(2e-4)
    assert found.byte_seconds == pytest.approx(1e-9)


def test_what_requests_cost_is_measured_against_the_sink(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["request-cost", "--rounds", "1", "--scale", "0.01", "--out", str(tmp_path)]) == 0
    (path,) = tmp_path.glob("request_cost_*.json")
    costs = json.loads(path.read_text())["costs"]
    assert [(cost["file_bytes"], cost["requests"]) for cost in costs] == [
        (4096, 40), (27_648, 40), (262_144, 15), (4_194_304, 1), (67_108_864, 8),
    ]  # fmt: skip
    assert "us a request and" in capsys.readouterr().out
