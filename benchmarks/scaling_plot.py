"""The plot of ``simulate-scale``: throughput against hosts, big files at the left, small ones at the right."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks.plots import TEXT_COLOUR, new_figure
from benchmarks.scaling_model.formulas import seconds
from benchmarks.scaling_model.setups import DAY_S, Point, Setup
from benchmarks.scaling_model.site import GBIT

# Of the palette of Okabe and Ito, which the colour-blind tell apart.
COLOURS = ("#56B4E9", "#0072B2", "#E69F00", "#009E73", "#D55E00")
TB_A_DAY = GBIT * DAY_S / 1e12
"""So many TB a day are one Gbit/s."""
_BIG_LEVELS = (
    (9.6, "100 TB a day"),
    (104, "what the storage gives"),
    (244, "S3: 3,500 parts a second of 8 MiB"),
    (2100, "S3: 64 MiB each"),
    (1050, "coordinator: 16 partitions"),
)
_SMALL_LEVELS = (
    (3600, "S3: 3,500 a second of one partition"),
    (14_500, "S3: four partitions"),
    (25_000, "coordinator"),
)
"""At which levels lines end: height, and what holds there."""


def plot(path: str, big: Sequence[Point], small: Sequence[Point]) -> None:
    """Write the plot to ``path``; lines are the formulas, points the simulation."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullLocator

    figure, axes = new_figure(11, 5.4, 1, 2)
    left, right = axes[0]
    _lines(left, big, lambda point: point.gbit, lambda setup, least: setup.load.bytes / least / GBIT)
    _lines(right, small, lambda point: point.files_a_second, lambda setup, least: setup.load.files / least)
    left.set_ylim(1.1, 4500)
    right.set_ylim(500, 90_000)
    left.set_yticks([10, 100, 1000])
    right.set_yticks([1000, 3500, 14_000, 50_000])
    left.axhline(100 / TB_A_DAY, color="#888888", linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    most = max(point.hosts for point in big)
    for axis, levels in ((left, _BIG_LEVELS), (right, _SMALL_LEVELS)):
        for height, words in levels:
            axis.text(most, height, words, ha="right", va="bottom", fontsize=8.5, color="#555555")
    left.set_ylabel("Gbit/s", loc="top", rotation=0, labelpad=-24)
    days = left.secondary_yaxis("right", functions=(lambda gbit: gbit * TB_A_DAY, lambda days: days / TB_A_DAY))
    days.set_yticks([100, 1000, 10_000], ["100", "1,000", "10,000"])
    days.yaxis.set_minor_locator(NullLocator())
    days.set_ylabel("TB a day", loc="top", rotation=0, labelpad=-36)
    right.set_ylabel("files/s", loc="top", rotation=0, labelpad=-24)
    left.set_title("NovaSeq X 25B: files of 2.2 GB\n", loc="left", fontsize=10, fontweight="bold")
    right.set_title("HiSeq: files of 600 and 4 KB, 8 workers a host\n", loc="left", fontsize=10, fontweight="bold")
    for axis in (left, right, days):
        axis.tick_params(length=0)
        for side in axis.spines:
            axis.spines[side].set_visible(side == "bottom")
    if path.endswith(".svg"):
        figure.savefig(path, metadata={"Date": None})
    else:
        figure.savefig(path, dpi=150)
    plt.close(figure)


def _lines(axis: Any, points: Sequence[Point], rate: Any, formula: Any) -> None:
    """Draw what the formulas say as lines, and the simulated points on them; a legend tells the set-ups."""
    from matplotlib.ticker import FuncFormatter

    setups = list(dict.fromkeys(point.setup for point in points))
    hosts = sorted({point.hosts for point in points})
    finely = [hosts[0] * (hosts[-1] / hosts[0]) ** (step / 120) for step in range(121)]
    for setup, colour in zip(setups, COLOURS, strict=False):
        said = [formula(setup, _least(setup, many)) for many in finely]
        axis.plot(finely, said, color=colour, linewidth=1.4, zorder=2)
        mine = [point for point in points if point.setup == setup]
        axis.plot(
            [point.hosts for point in mine], [*map(rate, mine)], "o", color=colour, markersize=6, label=setup.name,
            markeredgecolor="white", markeredgewidth=0.8, zorder=3,
        )  # fmt: skip
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.set_xticks(hosts, [f"{many}" for many in hosts])
    axis.xaxis.minorticks_off()
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axis.yaxis.minorticks_off()
    axis.grid(axis="y", color="#E4E6E9", linewidth=0.8, zorder=0)
    axis.set_xlabel("hosts")
    axis.legend(loc="lower right", frameon=False, fontsize=8.5, handletextpad=0.2, labelcolor=TEXT_COLOUR)


def _least(setup: Setup, hosts: float) -> float:
    """Return what the formulas say for any number of hosts: whole ones are only needed to simulate."""
    return seconds(replace(setup.site, hosts=hosts), setup.load)  # type: ignore[arg-type]


def plot_path(path: str) -> str:
    """Return the path after making its folder."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    return path
