"""What the live demo shows of disk and bucket."""

from __future__ import annotations

import pytest

from async_s3_upload.demo.live import LIVE, Sight, cycle_after


def test_a_marker_beside_a_missing_or_smaller_file_is_early() -> None:
    on_disk = {"a": 3, "b": 1, "CopyComplete.txt": 0}
    assert not Sight(on_disk, {"a": 3}).is_early("CopyComplete.txt")
    assert Sight(on_disk, {"a": 3, "CopyComplete.txt": 0}).is_early("CopyComplete.txt")
    assert Sight(on_disk, {"a": 3, "b": 0, "CopyComplete.txt": 0}).is_early("CopyComplete.txt")
    assert not Sight(on_disk, dict(on_disk)).is_early("CopyComplete.txt")


def test_only_files_of_the_size_on_disk_count_as_being_in_s3() -> None:
    assert Sight({"a": 3, "b": 1}, {"a": 3, "b": 2, "c": 9}).percent == pytest.approx(75.0)
    assert Sight({}, {}).percent == 0.0


def test_the_cycle_is_that_of_the_files_being_written() -> None:
    script = LIVE.script()
    assert cycle_after(script, 3) == 0
    assert cycle_after(script, len(script.steps)) == LIVE.cycles
    assert 0 < cycle_after(script, len(script.steps) // 2) < LIVE.cycles
