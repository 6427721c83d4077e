"""The live demo, shorter than it is shown."""

from __future__ import annotations

import re

import pytest

from async_s3_upload.demo.live import LiveShow, show_live

SHORT = LiveShow(total_bytes=2_000_000, cycles=6, play_seconds=6, round_seconds=1, min_file_age=0.5)


def test_it_shows_a_run_that_goes_up_while_it_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_live(SHORT) == 0
    shown = capsys.readouterr().out
    assert "A made-up NovaSeq X writes a run of 2h 00m in 6 s: 20240131_LH00188_0042_A22MADELT3, 2 MB." in shown
    percents = re.findall(r"(\d+) %$", shown, re.MULTILINE)  # a busy machine has few rounds
    assert percents[-1] == "100"
    told = [line.strip() for line in shown.splitlines() if line.endswith("CopyComplete.txt")]
    assert told == ["the instrument has written CopyComplete.txt", "S3 has CopyComplete.txt"]
    assert shown.rstrip().endswith("files of the run are in S3, CopyComplete.txt came last.")
