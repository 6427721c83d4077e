"""Names, sizes and times as people and logs read them."""

from __future__ import annotations

import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from async_s3_upload.text import duration_text, one_line, plural, printable, size_text


@pytest.mark.parametrize("name", ["", "plain", "with space", "Ärger", "日本", "back\\slash", "line\nend"])
def test_names_that_are_utf8_stay_as_they_are(name: str) -> None:
    assert printable(name) == name


@pytest.mark.parametrize(
    ("raw", "text"), [(b"a\xff", "a\\xff"), (b"\xe9\xc3\xa9", "\\xe9é"), (b"\xed\xa0\x80", "\\xed\\xa0\\x80")]
)
def test_bytes_that_are_no_utf8_become_backslash_escapes(raw: bytes, text: str) -> None:
    assert printable(os.fsdecode(raw)) == text


def test_half_a_character_that_stands_for_no_byte_is_escaped_too() -> None:
    assert printable("a\ud800é") == "a\\ud800é"


@given(st.text(st.characters()))
@example("\ud800\udcff")
def test_whatever_the_name_it_can_be_written_as_utf8(name: str) -> None:
    written = printable(name)
    written.encode()
    assert printable(written) == written


@given(st.binary())
def test_every_name_the_system_gives_can_be_written(raw: bytes) -> None:
    assert printable(os.fsdecode(raw)) == raw.decode("utf-8", "backslashreplace")


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 files"), (1, "1 file"), (2, "2 files"), (1_000_000, "1,000,000 files")]
)
def test_one_is_no_plural(count: int, text: str) -> None:
    assert plural(count, "file") == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (27_300, "27.3 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (102_000_000_000, "102 GB"),
        (11 * 10**12, "11 TB"),
        (12_345 * 10**12, "12.345 PB"),
        (1_234 * 10**15, "1,234.000 PB"),
        (0.4, "0 B"),
        (-1500, "-1.5 kB"),
    ],
)
def test_sizes_are_written_in_decimal_units(size: float, text: str) -> None:
    assert size_text(size) == text


@given(st.integers(0, 10**18))
def test_any_size_is_written_with_three_digits_right_and_no_exponent(size: int) -> None:
    text = size_text(size)
    number, unit = text.split(" ")
    factor = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15}[unit]
    assert float(number.replace(",", "")) * factor == pytest.approx(size, rel=0.006)
    assert "e" not in number


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (3.21, "3.2 s"),
        (59.94, "59.9 s"),
        (59.99, "1m 00s"),
        (60, "1m 00s"),
        (250, "4m 10s"),
        (3599.4, "59m 59s"),
        (3599.6, "1h 00m"),
        (7500, "2h 05m"),
        (100 * 3600, "100h 00m"),
    ],
)
def test_durations_are_written_in_the_unit_that_fits(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@given(st.floats(0, 1e7))
def test_no_duration_shows_sixty_of_a_unit(seconds: float) -> None:
    assert "60" not in duration_text(seconds).split("h")[-1]


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain ü 한", "plain ü 한"), ("a\nb", "a\\x0ab"), ("\x1b[31m\x7f\x9b", "\\x1b[31m\\x7f\\x9b"), ("a\tb", "a\tb")],
)
def test_control_characters_cannot_forge_lines(text: str, shown: str) -> None:
    assert one_line(text) == shown
