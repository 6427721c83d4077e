"""Plots of a grid: a heat map with the seconds in it, and a line for each number of cores."""

from collections.abc import Sequence
from typing import Any

from benchmarks.plots import new_figure, save
from benchmarks.results import Median

# Of the palette of Okabe and Ito, which the colour-blind tell apart; markers differ too.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = "osD^vP"


def plot_grid(base: str, found: Sequence[Median]) -> None:
    """Write ``base_heat`` and ``base_lines`` as PNG and SVG: a panel for each part size. Nothing of no medians."""
    if not found:
        return
    sizes = sorted({median.part_size_mib or 0 for median in found})
    seconds = [median.seconds for median in found if median.seconds is not None] or [0.0]
    least, most = min(seconds), max(seconds)  # one scale for all panels
    width = 1.2 + 3.6 * len(sizes)
    figure, axes = new_figure(width, 3.2, 1, len(sizes))
    for axis, size in zip(axes[0], sizes, strict=True):
        _heat(axis, [median for median in found if (median.part_size_mib or 0) == size], least, most)
        axis.set_title(_title(size), loc="left", fontsize=9, fontweight="bold")
    save(figure, f"{base}_heat")
    figure, axes = new_figure(width, 3.2, 1, len(sizes))
    for axis, size in zip(axes[0], sizes, strict=True):
        _lines(axis, [median for median in found if (median.part_size_mib or 0) == size])
        axis.set_ylim(0, most * 1.05)
        axis.set_title(_title(size), loc="left", fontsize=9, fontweight="bold")
    save(figure, f"{base}_lines")


def _title(size: int) -> str:
    return f"seconds, parts of {size} MiB" if size else "seconds"


def _heat(axis: Any, found: Sequence[Median], least: float, most: float) -> None:
    cores = sorted({median.cores for median in found})
    concurrency = sorted({median.concurrency for median in found})
    grid = [[float("nan")] * len(concurrency) for _ in cores]
    for median in found:
        if median.seconds is not None:
            grid[cores.index(median.cores)][concurrency.index(median.concurrency)] = median.seconds
    middle = (least + most) / 2
    axis.imshow(grid, cmap="cividis_r", aspect="auto", vmin=least, vmax=most)  # dark is slow
    for y, row in enumerate(grid):
        for x, value in enumerate(row):
            text = f"{value:.2f}" if value == value else "failed"
            axis.text(x, y, text, ha="center", va="center", color="white" if value > middle else "black")
    axis.set_xticks(range(len(concurrency)), concurrency)
    axis.set_yticks(range(len(cores)), cores)
    axis.set_xlabel("requests in flight per core")
    axis.set_ylabel("cores")
    axis.tick_params(length=0)
    for spine in axis.spines.values():
        spine.set_visible(False)


def _lines(axis: Any, found: Sequence[Median]) -> None:
    concurrency = sorted({median.concurrency for median in found})
    for index, cores in enumerate(sorted({median.cores for median in found})):
        points = sorted(
            (median.concurrency, median.seconds)
            for median in found
            if median.cores == cores and median.seconds is not None
        )
        if points:
            colour, marker = _COLOURS[index % len(_COLOURS)], _MARKERS[index % len(_MARKERS)]
            axis.plot(*zip(*points, strict=True), color=colour, marker=marker, markersize=4)
            name = f"  {cores} core{'s' if cores > 1 else ''}"
            axis.annotate(name, points[-1], color=colour, va="center", annotation_clip=False)
    axis.set_xscale("log", base=2)
    axis.set_xticks(concurrency, concurrency)
    axis.minorticks_off()
    axis.margins(x=0.15)
    axis.set_xlabel("requests in flight per core")
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
