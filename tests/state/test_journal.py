"""The journal's lines: what they say, and how damage is recognised."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from async_s3_upload.state.journal import (
    CorruptJournal,
    OpenUpload,
    PartRecord,
    Replayed,
    decode_line,
    encode_line,
    replay,
)
from async_s3_upload.state.records import FileRecord, Records

PLAN = {"t": "plan", "n": "big", "k": "run/big"}
OPEN = {"t": "open", "n": "big", "k": "run/big", "u": "id1", "s": 30, "m": 5, "i": 7, "p": 8, "x": True}
PART = {"t": "part", "n": "big", "u": "id1", "p": 2, "s": 8, "e": "etag2", "c": "AAAAAAAAAAA="}
GONE = {"t": "gone", "n": "big", "u": "id1"}
FILE = {"t": "file", "n": "big", "e": "etag", "s": 30, "m": 5, "c": None, "at": "2024-01-01T00:00:00Z", "p": 8}
DROP = {"t": "drop", "n": "big"}
ASK = {"t": "ask"}
NOTE = {"t": "note", "text": "a worker died"}
UPLOAD = OpenUpload("run/big", "id1", 30, 5, 7, 8, True)
RECORD = FileRecord("etag", 30, 5, None, "2024-01-01T00:00:00Z", 8)


def lines(*events: dict[str, Any]) -> list[bytes]:
    return [encode_line(event) for event in events]


def replayed(*events: dict[str, Any]) -> Replayed:
    return replay(lines(*events))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text().filter(lambda name: name != "z"), JSON, min_size=1))
def test_any_event_is_one_line_that_says_the_same(event: dict[str, Any]) -> None:
    line = encode_line(event)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert line.isascii()
    assert decode_line(line) == event
    assert json.loads(line) == event | {"z": json.loads(line)["z"]}  # people may read it with any JSON tool


@pytest.mark.parametrize(
    "name", ["two words", "grün", "日本", 'a","z":"00000000"}', "line\nbreak", "\udcff", "back\\slash"]
)
def test_any_name_comes_back(name: str) -> None:
    assert decode_line(encode_line({"t": "drop", "n": name})) == {"t": "drop", "n": name}


@settings(max_examples=300)
@given(st.sampled_from([PLAN, OPEN, PART, FILE]), st.data())
def test_a_changed_byte_is_recognised(event: dict[str, Any], data: st.DataObject) -> None:
    line = bytearray(encode_line(event))
    place = data.draw(st.integers(0, len(line) - 1))
    line[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match="damaged"):
        decode_line(bytes(line))


@given(st.sampled_from([PLAN, OPEN, PART, FILE]), st.data())
def test_a_torn_line_is_recognised(event: dict[str, Any], data: st.DataObject) -> None:
    line = encode_line(event)
    with pytest.raises(ValueError, match="damaged"):
        decode_line(line[: data.draw(st.integers(0, len(line) - 1))])


@pytest.mark.parametrize("line", [b"", b"\n", b"\0" * 40, b"{}\n", b'{"t":"note"}\n', b"garbage\n", b"\xff\xfe\n"])
def test_what_is_no_line_of_ours_is_damage(line: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        decode_line(line)


# replaying


def test_no_lines_are_no_news() -> None:
    assert replay([]) == Replayed()


def test_a_file_is_recorded_and_its_upload_has_ended() -> None:
    assert replayed(PLAN, OPEN, PART, FILE) == Replayed(files=Records({"big": RECORD}))


def test_a_file_of_one_piece_has_no_part_size() -> None:
    assert replayed({name: value for name, value in FILE.items() if name != "p"}).files["big"].part_size is None


def test_a_dropped_file_is_recorded_no_more_until_it_is_again() -> None:
    assert replayed(FILE, DROP) == Replayed(dropped={"big"})
    assert replayed(FILE, DROP, FILE) == Replayed(files=Records({"big": RECORD}))


def test_the_intention_to_begin_stays_until_the_file_is_done() -> None:
    assert replayed(PLAN).planned == {"big": "run/big"}
    assert replayed(PLAN, OPEN, GONE).planned == {"big": "run/big"}
    assert replayed(PLAN, OPEN, FILE).planned == {}


def test_an_upload_has_the_parts_that_were_accepted() -> None:
    found = replayed(PLAN, OPEN, PART, PART | {"p": 1, "e": "etag1"}).uploads["big"]
    assert found == OpenUpload(
        *(UPLOAD.key, "id1", 30, 5, 7, 8, True),
        parts={2: PartRecord(2, 8, "etag2", "AAAAAAAAAAA="), 1: PartRecord(1, 8, "etag1", "AAAAAAAAAAA=")},
    )


def test_of_a_part_sent_twice_the_last_counts() -> None:
    found = replayed(OPEN, PART, PART | {"e": "newer", "c": None})
    assert found.uploads["big"].parts == {2: PartRecord(2, 8, "newer", None)}


def test_a_new_upload_of_a_file_replaces_the_old_one() -> None:
    found = replayed(OPEN, PART, OPEN | {"u": "id2"})
    assert found.uploads["big"].upload_id == "id2"
    assert found.uploads["big"].parts == {}


def test_an_upload_that_is_gone_is_forgotten() -> None:
    assert replayed(OPEN, PART, GONE).uploads == {}


def test_lines_of_another_upload_change_nothing() -> None:
    assert replayed(OPEN, PART | {"u": "other"}, GONE | {"u": "other"}).uploads == {"big": UPLOAD}
    assert replayed(PART, GONE) == Replayed()


def test_notes_are_for_people() -> None:
    assert replayed(NOTE, OPEN, NOTE).uploads == {"big": UPLOAD}


def test_that_s3_has_to_be_asked_is_remembered() -> None:
    assert replayed(OPEN, ASK, NOTE) == Replayed(uploads={"big": UPLOAD}, ask=True)


@pytest.mark.parametrize("torn", [b"", b'{"t":"file"', encode_line(FILE)[:-1], encode_line(FILE)[:-5]])
def test_a_torn_last_line_is_left_out(torn: bytes) -> None:
    found = replay([*lines(PLAN, OPEN), torn] if torn else lines(PLAN, OPEN))
    assert found == Replayed(uploads={"big": UPLOAD}, planned={"big": "run/big"}, torn=bool(torn))


@pytest.mark.parametrize(
    "garbage",
    [
        b"\0" * 4096,
        b"no line of ours\n",
        *lines({"t": "new kind"}, {"n": "no kind"}, {"t": "file", "n": "big"}, {"t": "drop", "n": ["no", "name"]}),
    ],
)
def test_a_garbage_last_line_is_left_out(garbage: bytes) -> None:
    found = replay([*lines(FILE), garbage])
    assert found == Replayed(files=Records({"big": RECORD}), torn=True)


@pytest.mark.parametrize("garbage", [b"no line of ours\n", b"\0" * 10 + b"\n", encode_line(PART)[3:]])
def test_a_damaged_line_in_the_middle_is_refused_with_its_place(garbage: bytes) -> None:
    with pytest.raises(CorruptJournal, match=r"^x\.journal\.jsonl, line 3: the line is damaged$"):
        replay([*lines(PLAN, OPEN), garbage, *lines(PART)], "x.journal.jsonl")


def test_two_damaged_lines_at_the_end_are_no_torn_write() -> None:
    with pytest.raises(CorruptJournal, match="line 2"):
        replay([*lines(OPEN), b"garbage\n", b"torn"])


def test_a_line_in_the_middle_that_says_nothing_known_is_damage() -> None:
    with pytest.raises(CorruptJournal, match="line 1"):
        replay(lines({"t": "of a later version"}, OPEN))


NAMES = st.sampled_from(["a", "b"])
IDS = st.sampled_from(["id1", "id2", "id3"])
EVENTS = st.one_of(
    st.builds(lambda n: {"t": "plan", "n": n, "k": f"run/{n}"}, NAMES),
    st.builds(lambda n, u: OPEN | {"n": n, "k": f"run/{n}", "u": f"{n}{u}"}, NAMES, IDS),
    st.builds(lambda n, u, p: PART | {"n": n, "u": f"{n}{u}", "p": p}, NAMES, IDS, st.integers(1, 3)),
    st.builds(lambda n, u: GONE | {"n": n, "u": f"{n}{u}"}, NAMES, IDS),
    st.builds(lambda n, s: FILE | {"n": n, "s": s}, NAMES, st.integers(0, 2)),
    st.builds(lambda n: DROP | {"n": n}, NAMES),
    st.sampled_from([NOTE, ASK]),
)


def over(files: dict[str, FileRecord], found: Replayed) -> dict[str, FileRecord]:
    """Return what is recorded by a run log with a journal beside it."""
    return {name: record for name, record in files.items() if name not in found.dropped} | dict(found.files)


@given(st.lists(EVENTS, max_size=20), st.data())
def test_it_may_be_read_over_a_newer_run_log(events: list[dict[str, Any]], data: st.DataObject) -> None:
    """The run log is written while the journal goes on: whatever it holds already, both together say the same."""
    moment = data.draw(st.integers(0, len(events)))
    snapshot = over({}, replayed(*events[:moment]))
    assert over(snapshot, replayed(*events)) == over({}, replayed(*events))


@given(st.lists(EVENTS, max_size=20))
def test_reading_it_twice_says_the_same(events: list[dict[str, Any]]) -> None:
    given_lines = lines(*events)
    first = replay(given_lines)
    assert replay(copy.copy(given_lines)) == first
    assert over(over({}, first), first) == over({}, first)


@given(st.lists(EVENTS, max_size=12), st.data())
def test_wherever_it_is_torn_what_stands_before_counts(events: list[dict[str, Any]], data: st.DataObject) -> None:
    whole = b"".join(lines(*events))
    cut = data.draw(st.integers(0, len(whole)))
    found = replay(whole[:cut].splitlines(keepends=True))
    complete = whole[:cut].count(b"\n")
    expected = replayed(*events[:complete])
    expected.torn = found.torn
    assert found == expected
    assert found.torn == (not whole[:cut].endswith(b"\n") and cut > 0)
