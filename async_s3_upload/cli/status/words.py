"""How ``status`` words states, times and counts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from async_s3_upload.state.rounds import Round
from async_s3_upload.text import duration_text, one_line, plural, printable, size_text

STATE_WORDS = {
    "completed": "completed",
    "partial": "partial",
    "in_progress": "in progress",
    "uploading": "uploading",
    "damaged": "damaged",
}
"""The states as people read them, in the order in which they are counted."""


def clean(text: str) -> str:
    """Return text from a file as any terminal may show it."""
    return one_line(printable(text))


def time_text(moment: datetime) -> str:
    """Return a time by the local clock, to the minute."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def counts_text(counts: Mapping[str, int], size: int) -> str:
    """Return the closing line's first half: ``3 runs: 2 completed, 1 partial; 102 GB in S3``."""
    each = ", ".join(f"{counts[state]:,} {word}" for state, word in STATE_WORDS.items() if counts.get(state))
    return f"{plural(sum(counts.values()), 'run')}: {each}; {size_text(size)} in S3"


def round_text(done: Round | None) -> str:
    """Return how the last round of ``monitor`` ended."""
    if done is None:
        return "no round of monitor has ended yet"
    counts = [f"{plural(done.uploaded, 'run')} uploaded", f"{done.failed:,} failed"]
    if done.in_progress:
        counts.append(f"{done.in_progress:,} in progress")
    return (
        f"last round of monitor: {time_text(done.ended_at)}, exit code {done.exit_code} after "
        f"{duration_text(done.seconds)}; {', '.join(counts)}; {size_text(done.bytes_sent)} sent"
    )
