"""No run is taken for complete before its instrument has written the last of it, whatever the step."""

from __future__ import annotations

from pathlib import Path

import pytest

from async_s3_upload.demo.instrument.layouts import CAN_FAIL, LAYOUTS, make_script
from async_s3_upload.demo.instrument.player import Player
from async_s3_upload.demo.instrument.script import Ending, Script
from async_s3_upload.runs.completion import look_at


def script(layout: str, ending: Ending) -> Script:
    return make_script(layout, total_bytes=50_000, cycles=6, ending=ending, late_logs=True)


def states(made: Script, parent: Path) -> list[str]:
    """Return what is said of the run after each step."""
    player = Player(made, str(parent))
    found: list[str] = []
    while not player.is_over:
        player.step()
        seen = look_at(player.folder)
        found.append("no run" if seen is None else seen.verdict.state)
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_run_is_complete_from_its_last_marker_on_and_never_before(tmp_path: Path, layout: str) -> None:
    made = script(layout, "complete")
    assert made.completes_at is not None
    found = states(made, tmp_path)
    before, after = found[: made.completes_at], found[made.completes_at :]
    assert set(before) <= {"running", "no run"}
    assert "running" in before
    assert set(after) == {"complete"}


@pytest.mark.parametrize("layout", CAN_FAIL)
def test_a_failed_run_is_never_complete(tmp_path: Path, layout: str) -> None:
    made = script(layout, "failed")
    assert made.ends_at is not None
    found = states(made, tmp_path)
    assert "complete" not in found
    assert set(found[made.ends_at :]) == {"failed"}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_run_that_just_stops_goes_on_running(tmp_path: Path, layout: str) -> None:
    found = states(script(layout, "stalled"), tmp_path)
    assert found[-1] == "running"
    assert set(found) <= {"running", "no run"}
