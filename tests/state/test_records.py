"""Records are held packed, and come out as they went in."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from async_s3_upload.state.records import FileRecord, Records, as_records, pack, packed_state, unpack

MD5 = "0123456789abcdef" * 2
PLAIN = FileRecord(MD5, 12, 1_700_000_000_123_456_789, "AAAAAAAAAAA=", "2024-01-01T10:00:00Z")

ETAGS = st.sampled_from([MD5, MD5.upper(), MD5 + "-2", "ab", "", " " + MD5[:-1]]) | st.text(
    "0123456789abcdef", max_size=32
)
TIMES = st.sampled_from(
    [
        "2024-02-29T23:59:59Z",
        "1970-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "2107-01-01T00:00:00Z",
        "20240101T000000Z",
        "2024-01-01T00:00:00+00:00",
        "2024-01-01 00:00:00Z",
        "2024-01-01T+1:00:00Z",
        "2024-01-01T00:00:00.5Z",
        "now",
    ]
)
CRCS = st.sampled_from(["AAAAAAAAAAA=", "//////////8=", "AAAAAAAAAAB=", "AAAA", "", "é"])
NUMBERS = st.integers(-3, 3) | st.integers(2**63 - 2, 2**63 + 2)
RECORDS = st.builds(
    FileRecord,
    ETAGS,
    st.none() | NUMBERS,
    st.none() | NUMBERS,
    st.none() | CRCS,
    st.none() | TIMES,
    st.none() | NUMBERS,
)


@given(RECORDS)
@example(PLAIN)
@example(FileRecord(MD5, 0, 0, None, "2024-01-01T10:00:00Z"))
@example(FileRecord(MD5))
def test_a_packed_record_comes_out_to_the_letter(record: FileRecord) -> None:
    assert unpack(pack(record)) == record
    assert packed_state(pack(record)) == (record.size, record.mtime_ns)


@pytest.mark.parametrize(
    ("record", "size"),
    [(PLAIN, 44), (FileRecord(MD5, 1, 2, None, "2024-01-01T10:00:00Z"), 36), (FileRecord(MD5), 16)],
)
def test_the_record_of_nearly_every_file_takes_some_dozen_bytes(record: FileRecord, size: int) -> None:
    packed = pack(record)
    assert isinstance(packed, bytes)
    assert len(packed) == size


NAMES = st.text("ab/", min_size=1, max_size=5)
CHANGES = st.lists(st.tuples(NAMES, st.none() | st.sampled_from([PLAIN, FileRecord(MD5), FileRecord("e-2", 1)])))


@given(CHANGES, CHANGES)
def test_records_are_a_mapping_like_any_other(
    changes: list[tuple[str, FileRecord | None]], more: list[tuple[str, FileRecord | None]]
) -> None:
    found, plain = Records(), dict[str, FileRecord]()
    for name, record in changes:
        if record is None:
            assert found.pop(name, None) == plain.pop(name, None)
        else:
            found[name] = plain[name] = record
        assert len(found) == len(plain)
    assert found == plain
    assert sorted(found) == sorted(plain)
    assert all(name in found for name in plain)
    others = {name: record for name, record in more if record is not None}
    found.update(Records(others))
    plain.update(others)
    assert found == plain
    assert len(found) == len(plain)


def test_what_is_not_recorded_is_named() -> None:
    found = Records({"Data/a": PLAIN})
    for name in ("a", "Data/", "Data/b", "Other/a"):
        assert name not in found
        with pytest.raises(KeyError, match=name):
            found[name]
        with pytest.raises(KeyError, match=name):
            del found[name]
    assert not found.__contains__(5)
    assert len(found) == 1


def test_the_folders_are_those_of_the_moment() -> None:
    found = Records({"Data/a": FileRecord(MD5), "b": PLAIN})
    before = found.folders()
    found["Data/c"] = PLAIN
    del found["b"]
    assert before == [("Data/", ["a"], [bytes.fromhex(MD5)]), ("", ["b"], [pack(PLAIN)])]


def test_records_that_are_packed_are_not_packed_again() -> None:
    found = Records({"a": PLAIN})
    assert as_records(found) is found
    assert as_records({"a": PLAIN}) == found
    assert "1 files" in repr(found)


@given(CHANGES, CHANGES)
def test_the_sum_of_all_sizes_is_kept(
    changes: list[tuple[str, FileRecord | None]], more: list[tuple[str, FileRecord | None]]
) -> None:
    found, others = Records(), Records()
    for records, steps in ((found, changes), (others, more)):
        for name, record in steps:
            if record is None:
                records.pop(name, None)
            else:
                records[name] = record
        assert records.total_bytes == sum(record.size or 0 for record in records.values())
    found.update(others)
    assert found.total_bytes == sum(record.size or 0 for record in found.values())
