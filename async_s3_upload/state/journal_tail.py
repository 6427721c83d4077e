"""What the end of a journal tells that its run log does not hold yet, read from behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from async_s3_upload.state.journal import decode_line

BLOCK_BYTES = 1 << 18
MOST_BYTES = 1 << 24
"""So much of the end is looked at; a run log is seldom further behind."""


@dataclass(frozen=True, slots=True)
class JournalTail:
    """Files that went up since the run log was written, and their bytes.

    ``damaged`` tells that a line before the last one is no whole line; the last one may just be written.
    """

    files: int = 0
    bytes: int = 0
    damaged: bool = False


def read_tail(path: str, since: str | None) -> JournalTail:
    """Count the files recorded after the time ``since`` (as it stands in run logs); None counts all.

    Times have whole seconds: what was recorded in the second of ``since`` itself does not count. A name counts once.

    Raises:
        FileNotFoundError: there is no journal (any more).
        OSError: it cannot be read.
    """
    sizes: dict[str, int] = {}
    damaged = False
    for number, line in enumerate(_lines_from_behind(path)):
        try:
            event = decode_line(line)
        except ValueError:
            damaged |= number > 0
            continue
        if event.get("t") != "file":
            continue
        at, name, size = event.get("at"), event.get("n"), event.get("s")
        if since is not None and isinstance(at, str) and at <= since:
            break
        if isinstance(name, str) and name not in sizes:
            sizes[name] = size if isinstance(size, int) else 0
    return JournalTail(len(sizes), sum(sizes.values()), damaged)


def _lines_from_behind(path: str) -> Iterator[bytes]:
    with open(path, "rb", buffering=0) as file:
        end = os.fstat(file.fileno()).st_size
        least = max(0, end - MOST_BYTES)
        rest = b""
        while end > least:
            begin = max(least, end - BLOCK_BYTES)
            lines = (os.pread(file.fileno(), end - begin, begin) + rest).splitlines(keepends=True)
            end = begin
            rest = lines[0] if begin else b""
            yield from reversed(lines[1:] if begin else lines)
