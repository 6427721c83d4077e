"""The benchmark of uploading while an instrument writes: its figures and bars."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.live import missed, text
from benchmarks.live_laboratory import Figures, Setting

GOOD = Figures(
    files=100,
    bytes=300_000_000,
    percent_at_marker=93.0,
    wait_seconds=1.25,
    rest_seconds=4.0,
    full_seconds=32.0,
    sent_bytes=303_000_000,
)
SETTING = Setting("novaseq_x", 300_000_000, 80, 7200, 60, 2.5, 2.5, 30, 1)


def test_figures_are_ratios_of_what_was_measured() -> None:
    assert GOOD.rest_percent == pytest.approx(12.5)
    assert GOOD.twice_percent == pytest.approx(1.0)
    assert SETTING.max_bandwidth == "10000000B/s"


@pytest.mark.parametrize(
    ("figures", "word"),
    [
        (replace(GOOD, percent_at_marker=89.9), "89.9 %"),
        (replace(GOOD, rest_seconds=5.0), "15.6 %"),
        (replace(GOOD, sent_bytes=315_000_000), "5.0 %"),
    ],
)
def test_a_bar_that_is_missed_is_named(figures: Figures, word: str) -> None:
    assert missed(GOOD) == []
    (sentence,) = missed(figures)
    assert word in sentence


def test_the_text_has_each_figure_beside_its_bar() -> None:
    shown = text(GOOD, SETTING)
    assert shown.splitlines()[0] == "100 files, 300 MB; one second is 120 s of the run"
    for figure, bar in (("93.0 %", ">= 90 %"), ("12.5 %", "<= 15 %"), ("1.00 %", "< 5 %")):
        assert any(figure in line and line.endswith(bar) for line in shown.splitlines())
