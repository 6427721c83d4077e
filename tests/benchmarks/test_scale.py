"""The benchmark of big runs: what it fits, what it calls too much, and that its phases run."""

import json
import os
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.scale import PHASES, Growth, ScaleRow, exponent, growth, over_limit
from benchmarks.scale_phases import make_run


def rows(power: float) -> list[ScaleRow]:
    return [
        ScaleRow("plan", files, 1.0, 1 + (files / 1000) ** power, 10 + files / 1000)
        for files in (10, 10_000, 100_000, 1_000_000)
    ]


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_fitted_exponent_is_that_of_the_growth(power: float) -> None:
    (fit,) = growth(rows(power))
    assert fit.cpu == pytest.approx(power, abs=0.02)
    assert fit.memory == pytest.approx(1.0, abs=0.02)
    assert fit.bytes_a_file == pytest.approx(1000, rel=0.01)


def test_what_is_lost_in_the_noise_is_not_fitted() -> None:
    assert exponent([(10, 0.01), (100, 5.0)], 0.1) is None
    assert exponent([(10, 1.0), (100, 0.0), (1000, 100.0)], 0.1) == pytest.approx(1.0)


def test_what_fails_is_too_slow_too_big_or_not_linear_is_named() -> None:
    good = ScaleRow("resume", 1_000_000, 24.0, 1.0, 690.0)
    assert over_limit([good], [Growth("plan", 1.1, None, 1.0, 1.0)]) == []
    bad = [
        ScaleRow("resume", 1_000_000, 26.0, 1.0, 690.0),
        ScaleRow("resume", 1_000_000, 24.0, 1.0, 710.0),
        ScaleRow("plan", 10, 1.0, 1.0, 1.0, "exit code 1"),
    ]
    assert len(over_limit(bad, [Growth("plan", 2.0, 1.0, 1.0, 1.0)])) == 4


@pytest.mark.parametrize("files", [10, 192 * 8 + 2, 192 * 8 + 3])
def test_a_run_has_as_many_files_as_were_asked_for_none_with_a_block_on_the_disk(tmp_path: Path, files: int) -> None:
    root = make_run(str(tmp_path), files)
    found = [os.stat(os.path.join(parent, name)) for parent, _, names in os.walk(root) for name in names]
    assert len(found) == files
    assert sum(status.st_blocks > 0 for status in found) <= 2


def test_every_phase_runs_and_is_written_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scale", "--files", "20", "--out", str(tmp_path), "--work-dir", str(tmp_path)]) == 0
    (path,) = tmp_path.glob("scale_*.json")
    document = json.loads(path.read_text())
    assert {(row["phase"], row["files"], row["failure"]) for row in document["rows"]} == {
        (phase, files, "") for phase in PHASES for files in (10, 20)
    }
    assert [fit["phase"] for fit in document["growth"]] == list(PHASES)
    assert "bytes a file" in capsys.readouterr().out
