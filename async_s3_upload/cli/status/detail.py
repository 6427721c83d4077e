"""All that is known of one run, as lines of text."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from async_s3_upload.cli.status.words import STATE_WORDS, clean, time_text
from async_s3_upload.state.overview import RunSummary
from async_s3_upload.text import duration_text, plural, size_text

if TYPE_CHECKING:
    from async_s3_upload.cli.status.command import Unfinished

MOST_SHOWN = 100
"""Failed files that are listed; JSON has all."""
UNKNOWN = "-"


def detail_lines(run: RunSummary, unfinished: Sequence[Unfinished]) -> Iterator[str]:
    """Yield the run id, a line for each thing known, and the files that failed or are on their way."""
    yield clean(run.run_id)
    for name, text in _facts(run):
        yield f"  {name:<12}  {clean(text)}"
    yield from _failed(run)
    if unfinished:
        yield f"  {plural(len(unfinished), 'big file')} on the way:"
        for file in unfinished[:MOST_SHOWN]:
            yield f"    {clean(file.name)}: {size_text(file.done)} of {size_text(file.size)} in S3"
        yield from _rest(len(unfinished))


def _facts(run: RunSummary) -> Iterator[tuple[str, str]]:
    yield "state", STATE_WORDS[run.state]
    if run.held_by is not None:
        yield "uploaded by", str(run.held_by)
    yield "next step", run.next_step
    yield "run folder", run.run_path or UNKNOWN
    yield "destination", UNKNOWN if run.bucket is None or run.prefix is None else f"s3://{run.bucket}/{run.prefix}/"
    yield "instrument", run.instrument or UNKNOWN
    yield "rule", run.rule or UNKNOWN
    yield "files", _files(run)
    yield "bytes", UNKNOWN if run.bytes_done is None else f"{size_text(run.bytes_done)} ({run.bytes_done:,} bytes)"
    for name, moment in (
        ("started", run.started_at),
        ("last written", run.updated_at),
        ("completed", run.completed_at),
    ):
        yield name, UNKNOWN if moment is None else time_text(moment)
    rate = "" if run.rate is None else f", {size_text(run.rate)}/s"
    yield "took", UNKNOWN if run.duration_s is None else duration_text(run.duration_s) + rate
    yield "run log", run.log_path
    for name, path in (("journal", run.journal_path), ("manifest", run.manifest_folder)):
        if os.path.exists(path):
            yield name, path


def _files(run: RunSummary) -> str:
    if run.files_done is None:
        return UNKNOWN
    total = "" if run.files_total is None else f" of {run.files_total:,}"
    ahead = f", {run.journal_entries_ahead:,} of them in the journal alone" if run.journal_entries_ahead else ""
    return f"{run.files_done:,}{total} in S3{ahead}"


def _failed(run: RunSummary) -> Iterator[str]:
    if not run.failures:
        return
    yield f"  {plural(len(run.failures), 'file')} failed:"
    for path, why in list(run.failures.items())[:MOST_SHOWN]:
        yield f"    {clean(path)}"
        yield f"      {clean(why)}"
    yield from _rest(len(run.failures))


def _rest(count: int) -> Iterator[str]:
    if count > MOST_SHOWN:
        yield f"    and {count - MOST_SHOWN:,} more, which --json lists"
