"""What a manifest says is read back as it was written, whatever the names; what is damaged is said with its line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3_upload.state.manifest import Head, manifest_names, mtime_text, write_manifest
from async_s3_upload.state.manifest_reading import Manifest, NotAManifest, may_begin, read_manifest
from async_s3_upload.state.records import FileRecord, Records

MD5 = "0123456789abcdef" * 2
CRC = "AAAAAAAAAAE="
AT = "2024-01-01T10:00:00Z"
FULL = FileRecord(MD5, 5, 1_706_790_896_123_456_789, CRC, AT)
RUN = "240119_A01"
HEAD = Head(RUN, "bucket", f"novaseq/{RUN}", AT, ("CopyComplete.txt",))


def written(
    folder: Path, files: Mapping[str, FileRecord], head: Head = HEAD, names: Callable[[str], Any] = manifest_names
) -> tuple[bytes, bytes]:
    """Return table and JSON."""
    write_manifest(str(folder), head, Records(files).folders())
    table, document = ((folder / name).read_bytes() for name in names(head.run_id))
    return table, document


def read(content: bytes) -> Manifest:
    return read_manifest(io.BytesIO(content))


def said(manifest: Manifest) -> dict[str, tuple[int | None, str | None, str]]:
    return {key: (record.size, record.crc64nvme, record.etag) for key, record in manifest.records.items()}


def test_a_table_has_a_header_and_a_row_a_file_ordered_by_folder_and_name(tmp_path: Path) -> None:
    files = {
        "b": FULL,
        "Data/z\ty\\n\n\r.bcl": FileRecord(MD5 + "-3", 17, 5, CRC, AT, 8),
        "CopyComplete.txt": FULL,
        "Data/of the old tool": FileRecord(MD5),
        "a": FULL,
    }
    table, _ = written(tmp_path, files)
    start = f"novaseq/{RUN}"
    row = f"5\t2024-02-01T12:34:56.123456789Z\t{CRC}\t{MD5}"
    assert table.decode().split("\n") == [
        "key\tsize\tmtime\tcrc64nvme\tetag",
        f"{start}/a\t{row}",
        f"{start}/b\t{row}",
        f"{start}/Data/of the old tool\t\t\t\t{MD5}",
        f"{start}/Data/z\\ty\\\\n\\n\\r.bcl\t17\t1970-01-01T00:00:00.000000005Z\t{CRC}\t{MD5}-3",
        f"{start}/CopyComplete.txt\t\t\t\t",
        "",
    ]


def test_the_json_is_one_document_with_an_entry_a_line(tmp_path: Path) -> None:
    head = Head(RUN, "bucket", f"novaseq/{RUN}", AT, ("CopyComplete.txt", "ü"), "NovaSeq 6000")
    _, document = written(tmp_path, {"b": FULL, "a": FileRecord(MD5), "CopyComplete.txt": FULL}, head)
    start = f"novaseq/{RUN}"
    assert json.loads(document) == {
        "format": "async-s3-upload manifest",
        "version": 1,
        "run_id": RUN,
        "bucket": "bucket",
        "prefix": start,
        "created_at": AT,
        "instrument": "NovaSeq 6000",
        "files": 2,
        "bytes": 5,
        "markers": ["CopyComplete.txt", "ü"],
        "entries": [
            {"key": f"{start}/a", "size": None, "mtime": None, "crc64nvme": None, "etag": MD5},
            {
                "key": f"{start}/b",
                "size": 5,
                "mtime": "2024-02-01T12:34:56.123456789Z",
                "crc64nvme": CRC,
                "etag": MD5,
            },
        ],
    }
    lines = document.decode().split("\n")
    assert sum(line.startswith('{"key"') for line in lines) == 2
    assert "instrument" not in json.loads(written(tmp_path, {"a": FULL})[1])


def test_the_order_does_not_depend_on_that_of_the_upload(tmp_path: Path) -> None:
    files = {f"Data/{lane}/{tile}.bcl": FULL for lane in range(3) for tile in range(20)}
    assert written(tmp_path, files) == written(tmp_path, dict(reversed(files.items())))


def test_what_cannot_be_below_the_prefix_is_left_out(tmp_path: Path) -> None:
    files = {"/somewhere/else": FULL, "a\udcff": FULL, "a": FULL}
    for content in written(tmp_path, files):
        assert list(read(content).records) == [f"novaseq/{RUN}/a"]


@pytest.mark.parametrize(
    ("mtime_ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000000000Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (253_402_300_799 * 10**9, "9999-12-31T23:59:59.000000000Z"),
        (253_402_300_800 * 10**9, None),
        (2**90, None),
        (-(2**90), None),
    ],
)
def test_times_are_exact_to_the_nanosecond(mtime_ns: int, text: str | None) -> None:
    assert mtime_text(mtime_ns) == text


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
names = st.lists(texts, min_size=1, max_size=3).map(lambda parts: "/".join(part.replace("/", "_") for part in parts))
odd = st.text(st.sampled_from("\t\n\r\\ab \u2028\x85\x0b\"'#,é"), min_size=1, max_size=8)
crcs = st.none() | st.integers(0, 9).map(lambda digit: f"AAAAAAAAA{digit}A=")
records = st.builds(
    FileRecord,
    st.sampled_from([MD5, MD5 + "-12", "opaque\tetag", "E" * 32]),
    st.integers(0, 2**45),
    st.integers(-(2**62), 2**62),
    crcs,
    st.just(AT),
) | st.just(FileRecord(MD5))


@given(files=st.dictionaries(names | odd, records, max_size=12), markers=st.lists(odd, max_size=2, unique=True))
def test_any_names_are_read_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, FileRecord], markers: list[str]
) -> None:
    head = Head(RUN, "bucket", f"novaseq/{RUN}", AT, tuple(markers))
    start = f"novaseq/{RUN}/"
    table, document = written(tmp_path_factory.mktemp("manifest"), files, head)
    expected = {
        start + name: (record.size, record.crc64nvme, record.etag)
        for name, record in files.items()
        if name not in markers
    }
    for content in (table, document):
        manifest = read(content)
        assert said(manifest) == expected
        assert manifest.markers == [start + name for name in markers]
        assert manifest.bytes == sum(size or 0 for size, _, _ in expected.values())
        assert manifest.without_crc == sum(crc is None for _, crc, _ in expected.values())
        assert may_begin(content[:5])
        assert may_begin(content)
    assert read(document).prefix == f"novaseq/{RUN}"
    assert read(document).bucket == "bucket"
    assert f"novaseq/{RUN}".startswith(read(table).prefix) or read(table).prefix.startswith(f"novaseq/{RUN}/")


def test_the_csv_module_reads_a_table_of_plain_names(tmp_path: Path) -> None:
    table, _ = written(tmp_path, {'Data/"quoted, and all".bcl': FULL})
    (row, marker) = csv.DictReader(io.StringIO(table.decode()), delimiter="\t", quoting=csv.QUOTE_NONE)
    assert (row["key"], row["size"]) == (f'novaseq/{RUN}/Data/"quoted, and all".bcl', "5")
    assert marker["key"] == f"novaseq/{RUN}/CopyComplete.txt"


@pytest.mark.parametrize(
    ("names_of_files", "prefix"),
    [(["a", "Data/b"], f"novaseq/{RUN}"), (["Data/a", "Data/b/c"], f"novaseq/{RUN}/Data"), (["D1/a", "D2/b"], "same")],
)
def test_the_prefix_of_a_table_is_the_folder_of_all_its_keys(
    tmp_path: Path, names_of_files: list[str], prefix: str
) -> None:
    head = Head(RUN, "bucket", f"novaseq/{RUN}", AT)
    table, _ = written(tmp_path, dict.fromkeys(names_of_files, FULL), head)
    assert read(table).prefix == prefix.replace("same", f"novaseq/{RUN}")


def cut(content: bytes) -> bytes:
    return content[:-5]


def test_a_torn_manifest_is_said_with_its_line(tmp_path: Path) -> None:
    table, document = written(tmp_path, {"a": FULL, "b": FULL}, Head(RUN, "bucket", RUN, AT))
    with pytest.raises(NotAManifest, match="line 3: it is cut off, the rest is missing"):
        read(table[:-5])
    cut_entry = document[: document.index(b'b", "size"')]
    with pytest.raises(NotAManifest, match="line 13: it is cut off"):
        read(cut_entry)
    for lines in range(1, document.count(b"\n")):
        with pytest.raises(NotAManifest):
            read(b"".join(line + b"\n" for line in document.split(b"\n")[:lines]))


@given(st.data())
def test_no_damage_crashes_the_reader(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    pair = written(tmp_path_factory.mktemp("manifest"), {"a": FULL, "b\t": FileRecord(MD5 + "-2", 5, 5, None, AT)})
    content = data.draw(st.sampled_from(pair))
    at = data.draw(st.integers(0, len(content)))
    length = data.draw(st.integers(0, 40))
    damaged = content[:at] + data.draw(st.binary(max_size=20)) + content[at + length :]
    with suppress(NotAManifest):
        read(damaged)


GOOD = f"k\t5\t\t{CRC}\t{MD5}\n"
TABLE = "key\tsize\tmtime\tcrc64nvme\tetag\n"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "line 1: it does not begin as a manifest does"),
        ("{}\n", "does not begin"),
        ("{\n}\n", "does not begin"),
        ("\n", "does not begin"),
        (TABLE + GOOD + GOOD, "line 3: 'k' is there twice"),
        (TABLE + GOOD.replace("5", "-5"), "line 2: -5 is no size"),
        (TABLE + GOOD.replace("5", "five", 1), "line 2: .*five"),
        (TABLE + GOOD.replace(CRC, "AAAA"), "line 2: 'AAAA' is no CRC64NVME"),
        (TABLE + "k\t5\n", "line 2: it has 2 columns instead of 5"),
        (TABLE + "\t5\t\t\t\n", "line 2: the key is empty"),
        (TABLE + GOOD.replace("\n", "\r\n"), "line 2: it ends as on Windows: some program rewrote it"),
        (TABLE + GOOD.replace("k", "k\\x"), r"line 2: \\x stands for nothing"),
        (TABLE + GOOD.replace("k", "k\\"), r"stands for nothing"),
    ],
)
def test_what_is_no_manifest_is_said(content: str, why: str) -> None:
    with pytest.raises(NotAManifest, match=why):
        read(content.encode())


def test_bytes_that_are_no_text_and_endless_lines_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotAManifest, match="line 2: it is no UTF-8"):
        read(TABLE.encode() + b"\xff\n")
    with pytest.raises(NotAManifest, match="line 2: it is too long"):
        read(TABLE.encode() + b"x" * (1 << 21))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"version": 1', '"version": 2', "it is of version 2, this program knows version 1"),
        ('"files": 1', '"files": 2', "says that it has 2 entries, but has 1"),
        (f'"prefix": "novaseq/{RUN}"', '"prefix": "other"', "line 12: it is no entry: .*does not lie below"),
        (f'"prefix": "novaseq/{RUN}"', '"prefix": ""', "cannot be the prefix"),
        ('"bucket": "bucket",\n', "", "it lacks 'bucket'"),
        ('"size": 5', '"size": "5"', "line 12: it is no entry: '5' stands where int is due"),
        ('"size": 5, ', "", "line 12: it is no entry: it lacks 'size'"),
        ('"markers": [', '"markers": 5, "other": [', "stands where list is due"),
        ('"entries": [', '"entries": [[', "there|cut off|Expecting"),
        ('"entries": [', f'"x": "{"x" * (1 << 21)}"', "line 11: it is too long"),
        ('"entries": [', '"x": [\n' + '"x",\n' * 500_000, "there are no entries in it"),
        ('"key": "', '"key": "\\udcff', "line 12: it is no entry: .*does not lie below"),
        (f'"key": "novaseq/{RUN}/', f'"key": "novaseq/{RUN}/\\udcff', "line 12: it is no entry: .*cannot be a key"),
    ],
)
def test_a_json_that_does_not_fit_is_said(tmp_path: Path, old: str, new: str, why: str) -> None:
    _, document = written(tmp_path, {"a": FULL})
    assert old in document.decode()
    with pytest.raises(NotAManifest, match=why):
        read(document.decode().replace(old, new).encode())


@pytest.mark.parametrize(("start", "expected"), [(b"", True), (b"key\tsi", True), (b"{", True), (b"\x1f\x8b", False)])
def test_a_few_bytes_tell_what_cannot_be_a_manifest(start: bytes, expected: bool) -> None:
    assert may_begin(start) is expected
