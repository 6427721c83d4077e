"""Prints what ``status`` found: in colour on a terminal, else as plain text."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence

import typer

from async_s3_upload.cli.status.command import Status
from async_s3_upload.cli.status.detail import detail_lines
from async_s3_upload.cli.status.table import table
from async_s3_upload.cli.status.words import STATE_WORDS, clean, counts_text, round_text

_STYLES = {
    "completed": "green",
    "partial": "yellow",
    "in_progress": "cyan",
    "uploading": "bold cyan",
    "damaged": "bold red",
}


def show(status: Status) -> None:
    """Print the table and its closing lines, or the details; what could not be read goes to stderr."""
    terminal = sys.stdout.isatty()
    lines = list(_details(status)) if status.detailed else _table(status, _columns(terminal=terminal))
    if terminal:
        _print_coloured(lines, status)
    else:
        typer.echo("\n".join(lines))
    for problem in status.problems:
        typer.echo(f"problem: {clean(problem)}", err=True)


def _columns(*, terminal: bool) -> int | None:
    """Return the width: of the terminal, else what COLUMNS says; text that goes elsewhere has none."""
    if terminal or os.environ.get("COLUMNS", "").isdigit():
        return shutil.get_terminal_size().columns
    return None


def _table(status: Status, width: int | None) -> list[str]:
    closing = [round_text(status.last_round)]
    if status.last_round is not None:
        closing += [f"  {clean(problem)}" for problem in status.last_round.problems]
    if not status.runs:
        return [f"no {'such ' if status.narrowed else ''}runs are known in {clean(status.log_dir)}", *closing]
    size = sum(run.bytes_done or 0 for run in status.runs)
    return [*table(status.runs, width).lines, "", counts_text(status.counts, size), *closing]


def _details(status: Status) -> Iterator[str]:
    for number, run in enumerate(status.runs):
        if number:
            yield ""
        yield from detail_lines(run, status.unfinished_of(run))


def _print_coloured(lines: Sequence[str], status: Status) -> None:
    """Print the same text; nothing of it is taken for markup, and lines are left to the terminal to wrap."""
    from rich.console import Console
    from rich.text import Text

    text = Text("\n".join(lines))
    for state, count in status.counts.items():
        if count:
            text.highlight_regex(rf"(?m)(?<=  ){STATE_WORDS[state]}(?=  |$)", _STYLES[state])
    if not status.detailed and status.runs:
        text.stylize("bold", 0, len(lines[0]))
    Console(highlight=False).print(text, soft_wrap=True)
