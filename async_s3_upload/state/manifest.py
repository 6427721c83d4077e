r"""The manifest of a run: every object with size, time and checksum, as a table and as JSON, to check it by anywhere.

``<run_id>.manifest.tsv`` has the columns of ``COLUMNS`` and a row a file, without quotes; backslash, tab, newline and
carriage return in a field are written ``\\``, ``\t``, ``\n``, ``\r``; what is not known is empty. ``key`` is the whole
key, ``size`` in bytes, ``mtime`` that of the file in UTC (ISO 8601, nanoseconds), ``crc64nvme`` in base64 as S3 shows
it, ``etag`` without quotes. Rows with nothing but a key come last: markers, which go to S3 after the manifest.

``<run_id>.manifest.json`` has the same under ``entries``, an object a line, null where nothing is known; before them
``format``, ``version``, ``run_id``, ``bucket``, ``prefix``, ``created_at``, ``instrument`` where it is known,
``files`` and ``bytes`` (of those whose size is known) and ``markers`` (names relative to ``prefix``).

Both are UTF-8, ordered by folder and then by name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as quoted
from operator import itemgetter
from typing import Any

from async_s3_upload.destination import is_utf8
from async_s3_upload.state.records import Packed, has_state, time_text, unpack, unpack_known
from async_s3_upload.state.run_log_lines import Folders

FORMAT = "async-s3-upload manifest"
VERSION = 1
COLUMNS = ("key", "size", "mtime", "crc64nvme", "etag")
TABLE_START = "\t".join(COLUMNS) + "\n"
JSON_START = f'{{\n"format": {json.dumps(FORMAT)},\n'
ENTRIES_START = '"entries": ['
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_ESCAPE = str.maketrans(_ESCAPES)
_NS = 1_000_000_000

Entry = tuple[str, int | None, str | None, str | None, str]
"""What a row says, in the order of COLUMNS."""


@dataclass(frozen=True, slots=True)
class Head:
    """Which run it is. ``markers`` are names relative to the run folder, which the entries leave out."""

    run_id: str
    bucket: str
    prefix: str
    created_at: str
    markers: Sequence[str] = ()
    instrument: str | None = None


def manifest_names(run_id: str) -> tuple[str, str]:
    """Return the names of table and JSON, relative to the run's prefix."""
    return f"{run_id}.manifest.tsv", f"{run_id}.manifest.json"


def write_manifest(folder: str, head: Head, folders: Folders) -> None:
    """Write both files into a folder, which is there; what they replace is lost. Takes no memory per file.

    Raises:
        OSError: they cannot be written.
    """
    table, document = (os.path.join(folder, name) for name in manifest_names(head.run_id))
    files = size = 0
    with open(table, "w", encoding="utf-8", newline="\n") as file:
        file.write(TABLE_START)
        for entry in _entries(head, folders):
            files += 1
            size += entry[1] or 0
            file.write(_row(entry))
        for name in head.markers:
            file.write(_row((f"{head.prefix}/{name}", None, None, None, "")))
    with open(document, "w", encoding="utf-8", newline="\n") as file:
        file.write(JSON_START + _members(head, files, size) + ENTRIES_START)
        separator = "\n"
        for entry in _entries(head, folders):
            file.write(separator + _object(entry))
            separator = ",\n"
        file.write("\n]\n}\n")


def _entries(head: Head, folders: Folders) -> Iterator[Entry]:
    """Yield what is recorded of every file below the prefix that S3 can have."""
    markers = frozenset(head.markers)
    for folder, bases, records in sorted(folders, key=itemgetter(0)):
        # the replaced tool could record a path outside of the run folder: no key below the prefix stands for it
        if not folder.startswith("/"):
            yield from _of_folder(f"{head.prefix}/{folder}", _without(markers, folder), bases, records)


def _without(markers: Collection[str], folder: str) -> frozenset[str]:
    return frozenset(name[len(folder) :] for name in markers if name.startswith(folder))


def _of_folder(
    start: str, left_out: Collection[str], bases: Sequence[str], records: Sequence[Packed]
) -> Iterator[Entry]:
    for base, packed in sorted(zip(bases, records, strict=True), key=itemgetter(0)):
        key = start + base
        if base in left_out or not (key.isascii() or is_utf8(key)):
            continue
        if isinstance(packed, bytes) and has_state(packed):
            etag, size, mtime_ns, crc, _ = unpack_known(packed)
            yield key, size, mtime_text(mtime_ns), crc, etag
        else:
            record = unpack(packed)
            mtime = None if record.mtime_ns is None else mtime_text(record.mtime_ns)
            yield key, record.size, mtime, record.crc64nvme, record.etag


def mtime_text(mtime_ns: int) -> str | None:
    """Return a time, in nanoseconds since the epoch, as ``2024-02-01T12:34:56.123456789Z``; None beyond year 9999."""
    seconds, rest = divmod(mtime_ns, _NS)
    try:
        return f"{time_text(seconds)[:-1]}.{rest:09}Z"
    except (ValueError, OverflowError):
        return None


def escaped(text: str) -> str:
    """Return a field as it stands in the table."""
    return text if text.isprintable() and "\\" not in text else text.translate(_ESCAPE)


def _row(entry: Entry) -> str:
    key, size, mtime, crc, etag = entry
    return f"{escaped(key)}\t{'' if size is None else size}\t{mtime or ''}\t{crc or ''}\t{escaped(etag)}\n"


def _object(entry: Entry) -> str:
    key, size, mtime, crc, etag = entry
    return (
        f'{{"key": {quoted(key)}, "size": {"null" if size is None else size}, "mtime": {_or_null(mtime)}, '
        f'"crc64nvme": {_or_null(crc)}, "etag": {quoted(etag)}}}'
    )


def _or_null(text: str | None) -> str:
    return "null" if text is None else quoted(text)


def _members(head: Head, files: int, size: int) -> str:
    members: dict[str, Any] = {
        "version": VERSION,
        "run_id": head.run_id,
        "bucket": head.bucket,
        "prefix": head.prefix,
        "created_at": head.created_at,
        "instrument": head.instrument,
        "files": files,
        "bytes": size,
        "markers": list(head.markers),
    }
    known = {name: value for name, value in members.items() if value is not None}
    return "".join(f"{quoted(name)}: {json.dumps(value)},\n" for name, value in known.items())
