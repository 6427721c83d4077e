"""Draws the live view: the only place that knows rich, imported when there is something to draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from async_s3_upload.delivery.watching import RunProgress
from async_s3_upload.text import duration_text, plural, size_text
from async_s3_upload.transfer.activity import Activity

WIDE = 120
"""From so many columns on all that is told of a run goes on one line."""
LONGEST_ID = 36


@dataclass(frozen=True, slots=True)
class Shown:
    """A run and its pace: ``left_s`` is None where nobody can tell."""

    run: RunProgress
    bytes_per_s: float
    left_s: float | None


def picture(shown: Sequence[Shown], activity: Activity, width: int) -> RenderableType:
    """Return the view for a terminal of ``width`` columns."""
    runs = _on_one_line_each(shown) if width >= WIDE else _on_two_lines_each(shown)
    workers = Text(f"{plural(activity.in_flight, 'request')} in flight, {_retries(activity.retries)}", style="dim")
    return Group(*runs, workers)


def _on_one_line_each(shown: Sequence[Shown]) -> list[RenderableType]:
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    grid.add_column(no_wrap=True, overflow="ellipsis", max_width=LONGEST_ID)
    grid.add_column(ratio=1)
    for _ in range(5):
        grid.add_column(no_wrap=True, justify="right")
    for each in shown:
        run = each.run
        grid.add_row(_name(run), _bar(run), _percent(run), _files(run), _bytes(run), _rate(each), _left(each))
    return [grid]


def _on_two_lines_each(shown: Sequence[Shown]) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for each in shown:
        grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
        grid.add_column(no_wrap=True, overflow="ellipsis", max_width=LONGEST_ID)
        grid.add_column(ratio=1)
        grid.add_column(no_wrap=True, justify="right", width=4)
        grid.add_column(no_wrap=True, justify="right", width=12)
        grid.add_row(_name(each.run), _bar(each.run), _percent(each.run), _left(each))
        text = Text("  ", no_wrap=True, overflow="ellipsis")
        lines += [grid, text + Text(", ").join([_files(each.run), _bytes(each.run), _rate(each)])]
    return lines


def _name(run: RunProgress) -> Text:
    return Text(run.run_id, style="bold")


def _bar(run: RunProgress) -> ProgressBar:
    done, total = _share(run)
    return ProgressBar(total=total or 1, completed=done, complete_style="green", finished_style="green")


def _share(run: RunProgress) -> tuple[int, int]:
    return (run.bytes_done, run.bytes_total) if run.bytes_total else (run.files_done, run.files_total)


def _percent(run: RunProgress) -> Text:
    done, total = _share(run)
    return Text(f"{100 * done // total}%" if total else "")


def _files(run: RunProgress) -> Text:
    text = Text(f"{run.files_done:,} of {plural(run.files_total, 'file')}")
    return text.append(f", {run.files_failed:,} failed", style="bold red") if run.files_failed else text


def _bytes(run: RunProgress) -> Text:
    return Text(f"{size_text(run.bytes_done)} of {size_text(run.bytes_total)}")


def _rate(shown: Shown) -> Text:
    return Text(f"{size_text(shown.bytes_per_s)}/s", style="cyan")


def _left(shown: Shown) -> Text:
    if shown.run.phase != "sending":
        return Text(shown.run.phase)
    if shown.left_s is None or not shown.run.files_total:
        return Text("")
    return Text(f"{duration_text(round(shown.left_s)).replace('.0 s', 's')} left")


def _retries(count: int) -> str:
    return f"{count:,} {'retry' if count == 1 else 'retries'}"


class Screen:
    """A terminal with the view at its lower end, and lines of the log above it.

    Every method may raise OSError where the terminal is gone.
    """

    def __init__(self, stream: TextIO, environ: Mapping[str, str]) -> None:
        """Take the terminal behind ``stream``; a NO_COLOR in ``environ`` is respected."""
        self.console = Console(
            file=stream,
            force_terminal=True,
            color_system=None if environ.get("NO_COLOR") else "auto",
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._live = Live(
            console=self.console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._live.start()
        self.console.show_cursor(True)  # whoever is killed cannot give it back

    def show(self, shown: Sequence[Shown], activity: Activity, lines: Sequence[str]) -> None:
        """Draw the view, and the lines above it."""
        self._live.update(picture(shown, activity, self.console.width), refresh=not lines)
        self._print(lines)

    def close(self, lines: Sequence[str]) -> None:
        """Remove the view and write the lines that are left."""
        self._live.stop()
        self._print(lines)

    def _print(self, lines: Sequence[str]) -> None:
        if lines:
            self.console.print("\n".join(lines), soft_wrap=True)
