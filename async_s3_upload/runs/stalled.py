"""Since when nothing new came into a running run.

A new file changes the mtime of its folder, so that folders tell, and the files at the top of the run: some thousand
stats for a run of a million files. A file that only grows, further down, is not seen.
"""

from __future__ import annotations

import heapq
import math
import os
from collections.abc import Iterator

MOST_FOLDERS = 200_000
"""A run with more folders counts as changing: the look ends, and nobody is alarmed for nothing."""


def newest_change(run_path: str) -> float:
    """Return the newest mtime (seconds since the epoch) of all folders and of the files at the top of the run.

    Infinity where a part of the run cannot be looked at, or goes away meanwhile: then nobody knows.
    """
    return max(_changes(run_path))


def is_still_since(run_path: str, since_s: float) -> bool:
    """Whether nothing is newer than ``since_s``; looks at the newest folders first, and no further than needed.

    A run of which a part cannot be looked at is not still.
    """
    return all(change <= since_s for change in _changes(run_path))


def _changes(run_path: str) -> Iterator[float]:
    """Yield mtimes as they are found, infinity for what cannot be looked at; links are not followed."""
    try:
        newest = os.stat(run_path).st_mtime
    except OSError:
        newest = math.inf
    yield newest
    waiting = [(-newest, run_path)]
    folders = 0
    while waiting:
        _, folder = heapq.heappop(waiting)
        folders += 1
        if folders > MOST_FOLDERS:
            yield math.inf
            return
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    is_folder = entry.is_dir(follow_symlinks=False)
                    if is_folder or folder is run_path:
                        changed = _mtime(entry)
                        yield changed
                    if is_folder:
                        heapq.heappush(waiting, (-changed, entry.path))
        except OSError:
            yield math.inf


def _mtime(entry: os.DirEntry[str]) -> float:
    return entry.stat(follow_symlinks=False).st_mtime
