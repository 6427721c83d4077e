"""The table of all runs as lines of text: pure, the width is an argument."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from async_s3_upload.cli.status.words import STATE_WORDS, clean, time_text
from async_s3_upload.state.next_step import NOTHING
from async_s3_upload.state.overview import RunSummary
from async_s3_upload.text import duration_text, size_text

GAP = "  "
UNKNOWN = "-"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its head, its rank (the lower, the longer it stays in a narrow table), and what stands in it."""

    head: str
    rank: int
    cell: Callable[[RunSummary], str]
    right: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Columns that fit and their cells; ``lines`` are padded, the head first."""

    columns: tuple[Column, ...]
    lines: tuple[str, ...]


def _files(run: RunSummary) -> str:
    if run.files_done is None:
        return UNKNOWN
    if run.files_total is None or run.files_done == run.files_total:
        return f"{run.files_done:,}"
    return f"{run.files_done:,}/{run.files_total:,}"


def _size(run: RunSummary) -> str:
    return UNKNOWN if run.bytes_done is None else size_text(run.bytes_done)


def _duration(run: RunSummary) -> str:
    return UNKNOWN if run.duration_s is None else duration_text(run.duration_s)


def _rate(run: RunSummary) -> str:
    return UNKNOWN if run.rate is None else f"{size_text(run.rate)}/s"


COLUMNS = (
    Column("RUN", 0, lambda run: clean(run.run_id)),
    Column("STATE", 0, lambda run: STATE_WORDS[run.state]),
    Column("INSTRUMENT", 6, lambda run: clean(run.instrument or UNKNOWN)),
    Column("FILES", 3, _files, right=True),
    Column("BYTES", 4, _size, right=True),
    Column("WHEN", 1, lambda run: UNKNOWN if run.when is None else time_text(run.when)),
    Column("TIME", 7, _duration, right=True),
    Column("RATE", 8, _rate, right=True),
    Column("FAILED", 2, lambda run: f"{len(run.failures):,}" if run.failures else UNKNOWN, right=True),
    Column("NEXT STEP", 5, lambda run: UNKNOWN if run.next_step == NOTHING else run.next_step),
)
"""``WHEN`` is when the run was completed, else when anything of it was last written."""


def table(runs: Sequence[RunSummary], width: int | None) -> Table:
    """Lay the runs out in ``width`` columns (None: any); what does not fit is left out as a whole column.

    A run id and its state are never cut: they may be wider. A column that tells nothing of any run is left out too.
    """
    cells = [(column, [column.cell(run) for run in runs]) for column in COLUMNS]
    told = [(column, texts) for column, texts in cells if not column.rank or set(texts) - {UNKNOWN}]
    widths = {column.head: max(_width(text) for text in (column.head, *texts)) for column, texts in told}
    chosen: set[str] = set()
    taken = -len(GAP)
    for column in sorted((column for column, _ in told), key=lambda column: column.rank):
        needed = widths[column.head] + len(GAP)
        if not column.rank or width is None or taken + needed <= width:
            chosen.add(column.head)
            taken += needed
    kept = [(column, texts) for column, texts in told if column.head in chosen]
    rows = [[column.head for column, _ in kept], *zip(*(texts for _, texts in kept), strict=True)]
    columns = tuple(column for column, _ in kept)
    return Table(columns, tuple(_line(columns, row, widths) for row in rows))


def _line(columns: Sequence[Column], row: Sequence[str], widths: dict[str, int]) -> str:
    padded = []
    for column, text in zip(columns, row, strict=True):
        space = " " * (widths[column.head] - _width(text))
        padded.append(space + text if column.right else text + space)
    return GAP.join(padded).rstrip()


def _width(text: str) -> int:
    """Columns of a terminal that the text takes: some letters take two, some none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
