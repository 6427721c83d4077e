"""Which files of a running run may go up now: those that nobody is writing any more, as far as that can be told.

Nothing is lost by a guess that is wrong: a file that changes after it went up goes up again.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from async_s3_upload.runs.file_table import Block, FileTable, Selection
from async_s3_upload.runs.rewritten import Kind, is_plain, kind_of_file, kind_of_folder
from async_s3_upload.text import plural

REWRITTEN_FACTOR = 12
"""Files that are written to again must have been still for so many times ``min_file_age``: an hour by default."""
EARLIEST_NS = 11 * 365 * 86_400 * 10**9
"""The end of 1980. An earlier time is none: zero, or what some copying programs give a file until it is whole."""

Wait = Literal["fresh", "rewritten", "temporary", "odd_time", "marker"]
"""Why a file waits.

``fresh``: changed within ``min_file_age``. ``rewritten``, ``temporary``: still for longer, but of a name for which that
is not long enough. ``odd_time``: its time is in the future, or none. ``marker``: it goes up last.
"""
_WORDS: dict[Wait, str] = {
    "fresh": "changed lately",
    "rewritten": "written to throughout a run",
    "temporary": "with a temporary name",
    "odd_time": "with a time in the future or none",
    "marker": "that end the run",
}


@dataclass(frozen=True, slots=True)
class Ripe:
    """The files that may go up, in the order of the table, and how many wait for which reason (no zeros)."""

    files: Selection
    waiting: dict[Wait, int]

    @property
    def waiting_text(self) -> str:
        """What waits, for a line of the log: ``3 files wait (2 changed lately, 1 that end the run)``."""
        total = sum(self.waiting.values())
        if not total:
            return "no file waits"
        parts = ", ".join(f"{self.waiting[why]:,} {words}" for why, words in _WORDS.items() if why in self.waiting)
        return f"{plural(total, 'file')} wait{'s' if total == 1 else ''} ({parts})"


def ripe_files(files: FileTable, now_s: float, min_age_s: float, is_marker: Callable[[str], bool]) -> Ripe:
    """Choose the files of a running run that may go up now; ``now_s`` is in seconds since the epoch.

    ``is_marker`` gets names relative to the run folder, only of files that nothing else holds back: there may be a
    million of them. Files of a folder are judged at once where their times allow it.
    """
    search = _Search(now_s, min_age_s, is_marker)
    for block in files.blocks():
        search.look_through(block)
    return Ripe(Selection(files, search.rows), {why: number for why, number in search.waiting.items() if number})


@dataclass(slots=True)
class _Search:
    now_s: float
    min_age_s: float
    is_marker: Callable[[str], bool]
    rows: array[int] = field(default_factory=lambda: array("I"))
    waiting: dict[Wait, int] = field(default_factory=lambda: dict.fromkeys(_WORDS, 0))
    now: int = field(init=False)
    still: int = field(init=False)
    long_still: int = field(init=False)

    def __post_init__(self) -> None:
        self.now = _ns(self.now_s)
        self.still = _ns(self.now_s - self.min_age_s)
        self.long_still = _ns(self.now_s - REWRITTEN_FACTOR * self.min_age_s)

    def look_through(self, block: Block) -> None:
        oldest, newest = min(block.mtimes_ns), max(block.mtimes_ns)
        number = len(block.bases)
        kind = kind_of_folder(block.folder)
        if newest > self.now or oldest < EARLIEST_NS:
            self._one_by_one(block, kind)
        elif oldest > self.still:
            self.waiting["fresh"] += number
        elif newest <= self.long_still:
            self._take(block, range(number))
        elif newest > self.still:
            self._one_by_one(block, kind)
        elif kind is None:
            self._all_still(block)
        elif oldest > self.long_still:
            self.waiting[kind] += number
        else:
            self._one_by_one(block, kind)

    def _all_still(self, block: Block) -> None:
        """Take an ordinary folder whose files all are still for ``min_age_s``, but not for long: names decide."""
        plain = [is_plain(base) for base in block.bases]
        if not all(plain):
            self._one_by_one(block, None)
        else:
            self._take(block, range(len(plain)))

    def _one_by_one(self, block: Block, folder_kind: Kind | None) -> None:
        chosen = []
        for index, base, mtime in zip(count(), block.bases, block.mtimes_ns, strict=False):
            why = self._why_it_waits(base, mtime, folder_kind, at_top=not block.folder)
            if why is None:
                chosen.append(index)
            else:
                self.waiting[why] += 1
        self._take(block, chosen)

    def _why_it_waits(self, base: str, mtime: int, folder_kind: Kind | None, *, at_top: bool) -> Wait | None:
        if mtime > self.now or mtime < EARLIEST_NS:
            return "odd_time"
        if mtime > self.still:
            return "fresh"
        if mtime <= self.long_still:
            return None
        if folder_kind is not None:
            return folder_kind
        return None if is_plain(base) else kind_of_file(base, at_top=at_top)

    def _take(self, block: Block, chosen: Iterable[int]) -> None:
        """Let these files of a block go up, but for the markers."""
        folder, bases, first, is_marker = block.folder, block.bases, block.first, self.is_marker
        for index in chosen:
            if is_marker(folder + bases[index]):
                self.waiting["marker"] += 1
            else:
                self.rows.append(first + index)


def _ns(seconds: float) -> int:
    return int(seconds * 1_000_000_000)
