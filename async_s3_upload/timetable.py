"""How many bytes may go in a second, and at which hours: the limits of bandwidth as values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from async_s3_upload.text import size_text

UNLIMITED = "unlimited"
LEAST_RATE = 1000
"""Bytes a second: with less nothing would ever arrive."""
MOST_RATE = 10.0**15
DAY_MIN = 24 * 60

_POWERS = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4}
_RATE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([kKMGT]?)(i?)(B|bit)(?:/s)?\s*")
_WINDOW = re.compile(r"\s*([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})\s*")


def rate_of(text: str) -> float | None:
    """Return the bytes a second that e.g. ``400MB/s`` or ``1.5 Gbit/s`` stands for, None for ``unlimited``.

    Raises:
        ValueError: it is no rate, with a sentence that says why.
    """
    if text.strip().lower() == UNLIMITED:
        return None
    found = _RATE.fullmatch(text)
    if found is None or (found[3] and not found[2]):
        hint = "; b could mean bits or bytes" if re.search(r"[0-9]\s*[kKmMgGtT]?i?b(?!it)", text) else ""
        raise ValueError(f'must be a rate such as "400MB/s" or "1Gbit/s", or "unlimited", not "{text}"{hint}')
    unit = float(1024 if found[3] else 1000) ** _POWERS[found[2]]
    rate = float(found[1]) * unit / (1 if found[4] == "B" else 8)
    if rate < LEAST_RATE:
        raise ValueError(f'"{text}" is less than 1 kB/s')
    if rate > MOST_RATE:
        raise ValueError(f'"{text}" is more than any line has; "unlimited" is without a limit')
    return rate


@dataclass(frozen=True, slots=True)
class Window:
    """A time of each day, in minutes since midnight: from ``start`` until before ``end``, which may be the next day's.

    ``rate`` is in bytes a second, None without a limit.
    """

    start: int
    end: int
    rate: float | None

    def covers(self, minute: int) -> bool:
        """Tell whether a minute of the day lies in it."""
        return any(start <= minute < end for start, end in self._spans())

    def overlaps(self, other: Window) -> bool:
        """Tell whether a minute lies in both."""
        return any(a < d and c < b for a, b in self._spans() for c, d in other._spans())

    def _spans(self) -> Sequence[tuple[int, int]]:
        if self.start < self.end:
            return ((self.start, self.end),)
        return ((self.start, DAY_MIN), (0, self.end))

    def __str__(self) -> str:
        times = (f"{minute // 60:02d}:{minute % 60:02d}" for minute in (self.start, self.end))
        return f"{'-'.join(times)} {rate_text(self.rate)}"


def window_of(text: str, rate: float | None) -> Window:
    """Return the window that e.g. ``08:00-18:00`` or ``22:00-06:00`` stands for.

    Raises:
        ValueError: it is none, with a sentence that says why.
    """
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise ValueError(f'must be a time of the day such as "08:00-18:00" or "22:00-06:00", not "{text}"')
    hours, minutes, end_hours, end_minutes = (int(number) for number in found.groups())
    start, end = 60 * hours + minutes, 60 * end_hours + end_minutes
    if minutes > 59 or end_minutes > 59 or start >= DAY_MIN or end > DAY_MIN:
        raise ValueError(f'"{text}" holds a time that no day has')
    if start == end:
        raise ValueError(f'"{text}" ends where it begins; the whole day is "00:00-24:00"')
    return Window(start, end, rate)


def window_problems(windows: Mapping[str, float | None]) -> Iterator[str]:
    """Yield a sentence for each text that is no window, and for each two that overlap."""
    known: dict[str, Window] = {}
    for text, rate in windows.items():
        try:
            known[text] = window_of(text, rate)
        except ValueError as error:
            yield str(error)
    for (text, window), (other_text, other) in combinations(known.items(), 2):
        if window.overlaps(other):
            yield f'"{text}" and "{other_text}" overlap'


@dataclass(frozen=True, slots=True)
class Timetable:
    """The rates of a day in bytes a second, None without a limit: ``usual`` at times that no window covers."""

    usual: float | None
    windows: tuple[Window, ...] = ()

    def rate_at(self, minute: int) -> float | None:
        """Return the rate at a minute of the day."""
        for window in self.windows:
            if window.covers(minute):
                return window.rate
        return self.usual

    @property
    def lowest(self) -> float | None:
        """The lowest rate of all, None where nothing is ever limited."""
        rates = [rate for rate in (self.usual, *(window.rate for window in self.windows)) if rate is not None]
        return min(rates, default=None)

    def __str__(self) -> str:
        return "; ".join([rate_text(self.usual), *map(str, self.windows)])


def timetable_of(usual: float | None, windows: Mapping[str, float | None]) -> Timetable | None:
    """Return the timetable of what was checked before; None where nothing is ever limited."""
    found = Timetable(usual, tuple(window_of(text, rate) for text, rate in windows.items()))
    return None if found.lowest is None else found


def rate_text(rate: float | None) -> str:
    """Return a rate as people read it: ``50 MB/s``, ``unlimited``."""
    return UNLIMITED if rate is None else f"{size_text(rate)}/s"
