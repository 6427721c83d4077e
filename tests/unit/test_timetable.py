"""Rates and times of the day as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3_upload.timetable import (
    DAY_MIN,
    Timetable,
    Window,
    rate_of,
    timetable_of,
    window_of,
    window_problems,
)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("400MB/s", 400e6),
        ("50 MiB/s", 50 * 1024**2),
        ("1Gbit/s", 125e6),
        ("1.5GB", 1.5e9),
        (" 64kB/s ", 64e3),
        ("64KiB/s", 64 * 1024),
        ("100000B/s", 1e5),
        ("unlimited", None),
        ("Unlimited", None),
    ],
)
def test_a_rate_is_a_number_with_a_unit(text: str, rate: float | None) -> None:
    assert rate_of(text) == rate


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "must be a rate such as"),
        ("400", "must be a rate such as"),
        ("MB/s", "must be a rate such as"),
        ("-1MB/s", "must be a rate such as"),
        ("1e3MB/s", "must be a rate such as"),
        ("nanMB/s", "must be a rate such as"),
        ("5iB/s", "must be a rate such as"),
        ("٣MB/s", "must be a rate such as"),
        ("50MB/min", "must be a rate such as"),
        ("50Mb/s", "b could mean bits or bytes"),
        ("0MB/s", "less than 1 kB/s"),
        ("999B/s", "less than 1 kB/s"),
        ("7kbit/s", "less than 1 kB/s"),
        ("9" * 400 + "GB/s", 'more than any line has; "unlimited" is without a limit'),
    ],
)
def test_what_is_no_rate_is_one_sentence(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        rate_of(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "covered", "free"),
    [
        ("08:00-18:00", ["08:00", "12:30", "17:59"], ["07:59", "18:00", "00:00"]),
        ("22:00-06:00", ["22:00", "23:59", "00:00", "05:59"], ["06:00", "21:59", "12:00"]),
        ("8:30 - 9:15", ["08:30", "09:14"], ["08:29", "09:15"]),
        ("18:00-24:00", ["18:00", "23:59"], ["17:59", "00:00"]),
        ("00:00-24:00", ["00:00", "23:59"], []),
        ("23:00-00:00", ["23:00", "23:59"], ["00:00", "22:59"]),
    ],
)
def test_a_window_ends_before_its_last_minute(text: str, covered: list[str], free: list[str]) -> None:
    window = window_of(text, 1e6)
    assert [time for time in covered + free if window.covers(minute(time))] == covered


def minute(text: str) -> int:
    hours, minutes = text.split(":")
    return 60 * int(hours) + int(minutes)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "must be a time of the day"),
        ("8-18", "must be a time of the day"),
        ("08:00", "must be a time of the day"),
        ("08:00-18:00-20:00", "must be a time of the day"),
        ("mon 08:00-18:00", "must be a time of the day"),
        ("24:00-06:00", "a time that no day has"),
        ("08:60-18:00", "a time that no day has"),
        ("08:00-24:01", "a time that no day has"),
        ("08:00-99:00", "a time that no day has"),
        ("08:00-08:00", 'ends where it begins; the whole day is "00:00-24:00"'),
    ],
)
def test_what_is_no_window_is_one_sentence(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        window_of(text, None)


def test_windows_that_overlap_are_named() -> None:
    windows = {"08:00-18:00": 1e6, "22:00-09:00": 2e6, "18:00-22:00": None, "17:00-17:30": 3e6, "noon": 1e6}
    assert list(window_problems(windows)) == [
        'must be a time of the day such as "08:00-18:00" or "22:00-06:00", not "noon"',
        '"08:00-18:00" and "22:00-09:00" overlap',
        '"08:00-18:00" and "17:00-17:30" overlap',
    ]


MINUTES = st.integers(0, DAY_MIN - 1)
WINDOWS = st.tuples(MINUTES, MINUTES).filter(lambda ends: ends[0] != ends[1]).map(lambda ends: Window(*ends, None))


@given(WINDOWS, WINDOWS)
def test_two_windows_overlap_where_they_share_a_minute(one: Window, other: Window) -> None:
    shared = [minute for minute in range(DAY_MIN) if one.covers(minute) and other.covers(minute)]
    assert one.overlaps(other) == other.overlaps(one) == bool(shared)


def test_inside_a_window_its_rate_counts_and_the_usual_one_elsewhere() -> None:
    found = timetable_of(400e6, {"08:00-18:00": 50e6, "22:00-06:00": None})
    assert found is not None
    assert [found.rate_at(minute(time)) for time in ("07:59", "08:00", "18:00", "23:00", "05:59")] == [
        400e6,
        50e6,
        400e6,
        None,
        None,
    ]
    assert found.lowest == 50e6
    assert str(found) == "400 MB/s; 08:00-18:00 50 MB/s; 22:00-06:00 unlimited"


def test_what_never_limits_is_no_timetable() -> None:
    assert timetable_of(None, {}) is None
    assert timetable_of(None, {"08:00-18:00": None}) is None
    assert timetable_of(None, {"08:00-18:00": 1e6}) == Timetable(None, (Window(480, 1080, 1e6),))
