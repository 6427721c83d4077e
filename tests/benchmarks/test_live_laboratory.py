"""The laboratory of the live benchmark, at work on a small run."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.__main__ import main


def test_a_small_run_is_measured_and_written_down(tmp_path: Path) -> None:
    short = ["--megabytes", "2", "--cycles", "6", "--play-seconds", "6", "--round-seconds", "1"]
    fast = ["--min-file-age", "0.5", "--upload-seconds", "1", "--work-dir", str(tmp_path)]

    main(["live", *short, *fast, "--out", str(tmp_path)])  # whether bars are missed is a matter of time

    (path,) = tmp_path.glob("live_*.json")
    document = json.loads(path.read_text())
    figures = document["figures"]
    assert figures["bytes"] > 2_000_000
    assert figures["files"] > 100
    assert 0 <= figures["percent_at_marker"] <= 100
    assert figures["sent_bytes"] >= figures["bytes"]
    assert {each["exit_code"] for each in document["rounds"]} == {0}
    assert document["setting"]["layout"] == "novaseq_x"
