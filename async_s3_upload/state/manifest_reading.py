"""Reads a manifest, table or JSON, a line at a time: a million entries in some two hundred megabytes."""

from __future__ import annotations

import json
import re
from binascii import Error as NotBase64
from binascii import a2b_base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from os.path import commonprefix
from typing import Any, BinaryIO

from async_s3_upload.destination import is_utf8
from async_s3_upload.state.manifest import COLUMNS, ENTRIES_START, JSON_START, TABLE_START, VERSION
from async_s3_upload.state.records import FileRecord, Records, pack, split_name, time_text

MOST_LINE_BYTES = 1 << 20
_STARTS = (TABLE_START.encode(), JSON_START.encode())
_ESCAPED = re.compile(r"\\(.?)")
_UNESCAPED = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}
_NO_TIME = time_text(0)
"""Times are not read; a record packs with any."""


class NotAManifest(ValueError):
    """It is no manifest, or a damaged one; the text says why, and in which line."""


@dataclass(slots=True)
class Manifest:
    """What a manifest says. ``records`` and ``markers`` are keys; of a record size, CRC64NVME and ETag count.

    All keys lie below ``prefix`` (no slash at either end), or anywhere where it is empty. ``bucket`` is None in a
    table, which does not name it.
    """

    bucket: str | None
    prefix: str
    markers: list[str] = field(default_factory=list)
    records: Records = field(default_factory=Records)
    bytes: int = 0
    without_crc: int = 0

    def add(self, key: str, size: int | None, crc64nvme: str | None, etag: str) -> None:
        """Take an entry.

        Raises:
            ValueError: it makes no sense.
        """
        if not (key.isascii() or is_utf8(key)):
            raise ValueError(f"{key!r:.200} cannot be a key")
        if crc64nvme is not None and not _is_crc(crc64nvme):
            raise ValueError(f"{crc64nvme!r:.40} is no CRC64NVME")
        known = len(self.records)
        at = None if size is None else _NO_TIME
        time = None if size is None else 0
        self.records.put(*split_name(key), pack(FileRecord(etag, size, time, crc64nvme, at)))
        if len(self.records) == known:
            raise ValueError(f"{key!r:.200} is there twice")
        self.bytes += size or 0
        self.without_crc += crc64nvme is None


def may_begin(start: bytes) -> bool:
    """Tell whether a manifest can begin so; ``start`` may be short."""
    return any(known.startswith(start[: len(known)]) for known in _STARTS)


def read_manifest(file: BinaryIO) -> Manifest:
    """Read a manifest from where the file stands.

    Raises:
        NotAManifest: it is none, torn, or of a later version.
        OSError: it cannot be read.
    """
    lines = _lines(file)
    number, first = next(lines, (1, ""))
    if first + "\n" == TABLE_START:
        return _read_table(lines)
    if first == "{" and f"{{\n{next(lines, (2, ''))[1]}\n" == JSON_START:
        return _read_json(lines)
    raise NotAManifest(f"line {number}: it does not begin as a manifest does")


def _lines(file: BinaryIO) -> Iterator[tuple[int, str]]:
    number = 0
    while line := file.readline(MOST_LINE_BYTES):
        number += 1
        if not line.endswith(b"\n"):
            what = "it is too long" if len(line) == MOST_LINE_BYTES else "it is cut off, the rest is missing"
            raise NotAManifest(f"line {number}: {what}")
        try:
            yield number, line[:-1].decode()
        except UnicodeDecodeError:
            raise NotAManifest(f"line {number}: it is no UTF-8") from None


def _read_table(lines: Iterable[tuple[int, str]]) -> Manifest:
    found = Manifest(None, "")
    for number, line in lines:
        try:
            key, size, _, crc, etag = _fields(line)
            if not key:
                raise ValueError("the key is empty")
            if size or crc or etag:
                found.add(key, _size(int(size)) if size else None, crc or None, etag)
            else:
                found.markers.append(key)
        except ValueError as error:
            raise NotAManifest(f"line {number}: {error}") from None
    folders = [folder for folder, _, _ in found.records.folders()] + [split_name(key)[0] for key in found.markers]
    # keys are no paths: a//b is another one than a/b
    found.prefix = split_name(commonprefix(folders))[0][:-1]  # noqa: RUF071
    return found


def _fields(line: str) -> list[str]:
    fields = line.split("\t")
    if len(fields) != len(COLUMNS):
        raise ValueError(f"it has {len(fields)} columns instead of {len(COLUMNS)}")
    if "\r" in line:
        raise ValueError("it ends as on Windows: some program rewrote it")
    return [_ESCAPED.sub(_unescaped, text) for text in fields] if "\\" in line else fields


def _unescaped(found: re.Match[str]) -> str:
    try:
        return _UNESCAPED[found[1]]
    except KeyError:
        raise ValueError(f"{found[0]} stands for nothing") from None


def _read_json(lines: Iterator[tuple[int, str]]) -> Manifest:
    try:
        found, files = _head(lines)
        start = found.prefix + "/"
        for number, line in lines:
            if line == "]":
                break
            try:
                _take(found, start, json.loads(line.removesuffix(",")))
            except (ValueError, TypeError, KeyError, RecursionError) as error:
                raise NotAManifest(f"line {number}: it is no entry: {_why(error)}") from None
        if next(lines, (0, ""))[1] != "}" or next(lines, None) is not None:
            raise NotAManifest("it is cut off, the rest is missing")
        if len(found.records) != files:
            raise NotAManifest(f"it says that it has {files:,} entries, but has {len(found.records):,}")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise error if isinstance(error, NotAManifest) else NotAManifest(_why(error)) from None
    return found


def _why(error: Exception) -> str:
    return f"it lacks {error}" if isinstance(error, KeyError) else f"{error}"


def _head(lines: Iterator[tuple[int, str]]) -> tuple[Manifest, int]:
    """Return what stands before the entries, and how many they are."""
    text = JSON_START
    for _, line in lines:
        if line == ENTRIES_START:
            break
        if len(text) > MOST_LINE_BYTES:
            raise NotAManifest("there are no entries in it")
        text += line + "\n"
    head = json.loads(text.rstrip().removesuffix(",") + "}")
    version = _typed(head["version"], int)
    if version > VERSION:
        raise NotAManifest(f"it is of version {version}, this program knows version {VERSION}")
    prefix = _typed(head["prefix"], str)
    if not prefix or prefix != prefix.strip("/"):
        raise NotAManifest(f"{prefix!r:.200} cannot be the prefix of a run")
    markers = [f"{prefix}/{_typed(name, str)}" for name in _typed(head["markers"], list)]
    return Manifest(_typed(head["bucket"], str), prefix, markers), _typed(head["files"], int)


def _take(found: Manifest, start: str, entry: Any) -> None:
    key, size, crc = _typed(_typed(entry, dict)["key"], str), entry["size"], entry["crc64nvme"]
    if not key.startswith(start) or len(key) == len(start):
        raise ValueError(f"{key!r:.200} does not lie below the prefix")
    found.add(
        key,
        None if size is None else _size(_typed(size, int)),
        None if crc is None else _typed(crc, str),
        _typed(entry["etag"], str),
    )


def _typed(value: Any, kind: type) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{value!r:.40} stands where {kind.__name__} is due")
    return value


def _size(size: int) -> int:
    if size < 0:
        raise ValueError(f"{size} is no size")
    return size


def _is_crc(text: str) -> bool:
    try:
        return len(a2b_base64(text, strict_mode=True)) == 8
    except (NotBase64, ValueError):
        return False
