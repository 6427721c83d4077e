"""Plots of a comparison: for each setup, wall time and CPU by program, the values on the bars."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.comparison import Setup, Summary
from benchmarks.programs import FLOOR, OURS

# Of the palette of Okabe and Ito, which the colour-blind tell apart; light and dark differ too.
OURS_COLOUR, OTHER_COLOUR, FLOOR_COLOUR = "#0072B2", "#B0B4BA", "#E4E6E9"
TEXT_COLOUR = "#222222"


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Any, Any]:
    """Return a figure and its axes (always a 2-dimensional array), for files only: no screen is needed."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update(
        {"font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "benchmarks", "text.color": TEXT_COLOUR}
    )
    return plt.subplots(rows, columns, figsize=(width, height), squeeze=False, layout="constrained")


def save(figure: Any, base: str) -> None:
    """Write ``base.png`` and ``base.svg``, and close the figure."""
    import matplotlib.pyplot as plt

    figure.savefig(f"{base}.png", dpi=150)
    figure.savefig(f"{base}.svg", metadata={"Date": None})
    plt.close(figure)


def plot_comparison(base: str, found: Sequence[Summary], sets: Mapping[str, Mapping[str, int]]) -> None:
    """Write ``base.png`` and ``base.svg``: a row for each setup, wall time at the left, CPU at the right.

    ``sets`` has the numbers of ``files`` and ``bytes`` of each data set.
    """
    setups = list(dict.fromkeys(summary.setup for summary in found))
    most = max(sum(summary.setup == setup for summary in found) for setup in setups)
    figure, axes = new_figure(8.5, len(setups) * (0.9 + 0.27 * most), len(setups), 2)
    for row, setup in zip(axes, setups, strict=True):
        here = [summary for summary in found if summary.setup == setup]
        here.sort(key=lambda summary: (summary.seconds is None, summary.seconds or 0.0))
        _bars(row[0], here, [summary.seconds for summary in here], "{:.1f} s")
        _bars(row[1], here, [summary.cpu_seconds_per_gb for summary in here], "{:.2f} s")
        row[1].set_yticklabels([])
        row[0].set_title(f"{_title(setup, sets[setup.dataset])}\nwall time", loc="left", fontsize=9, fontweight="bold")
        row[1].set_title("\nCPU time per GB", loc="left", fontsize=9, fontweight="bold")
    save(figure, base)


def _title(setup: Setup, size: Mapping[str, int]) -> str:
    files = "1 file" if size["files"] == 1 else f"{size['files']:,} files"
    late = f", answers {setup.latency_ms:g} ms late" if setup.latency_ms else ""
    return f"{setup.dataset}: {files}, {size['bytes'] / 1e9:.2g} GB; {setup.scheme}{late}"


def _bars(axis: Any, here: Sequence[Summary], values: Sequence[float | None], spelled: str) -> None:
    """Draw horizontal bars, the fastest at the top; ours is in colour, what failed is a word."""
    longest = max((value for value in values if value is not None), default=1.0)
    for place, (summary, value) in enumerate(zip(here, values, strict=True)):
        is_ours = summary.program == OURS
        colour = OURS_COLOUR if is_ours else FLOOR_COLOUR if summary.program == FLOOR else OTHER_COLOUR
        axis.barh(place, value or 0.0, 0.72, color=colour)
        text = spelled.format(value) if value is not None else "failed"
        weight = "bold" if is_ours else "normal"
        axis.text((value or 0.0) + longest * 0.015, place, text, va="center", fontsize=8.5, fontweight=weight)
    axis.set_yticks(range(len(here)), [summary.program for summary in here])
    axis.set_xlim(0, longest * 1.18)
    axis.invert_yaxis()
    axis.set_xticks([])
    axis.tick_params(length=0)
    for side in ("top", "right", "bottom"):
        axis.spines[side].set_visible(False)
