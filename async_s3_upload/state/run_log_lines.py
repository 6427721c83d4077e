"""The lines of a run log: one entry a line, written and read in pieces, so that a big one is never held as text.

The replaced tool writes the same layout, with an indent of four.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, BinaryIO, Protocol

from async_s3_upload.state.records import Packed, has_state, unpack, unpack_known
from async_s3_upload.text import printable

Folders = Sequence[tuple[str, Sequence[str], Sequence[Packed]]]
"""Folders, names in there and their records."""

PIECE_BYTES = 1 << 18
PIECE_FILES = 1000
SECTIONS = {b'    "uploaded_files": {\n': "uploaded_files", b'    "files": {\n': "files"}
_ENDS = (b"    },\n", b"    }\n")
_RUN_PATH = b'    "run_path": '
_TAKEN = {"taken": True}
"""Stands in a section whose entries were taken."""
_TAIL_BYTES = 64


def section(key: str, lines: Iterable[str]) -> Iterator[str]:
    """Yield a member of the document: an object with an entry a line. Empty ``lines`` are left out."""
    yield f'    "{key}": {{'
    separator = "\n"
    for text in lines:
        if text:
            yield separator + text
            separator = ",\n"
    yield "\n    }" if separator != "\n" else "}"


def etag_lines(folders: Folders, run_path: str) -> Iterator[str]:
    """Yield the entries of ``uploaded_files``, some of a folder as one text: absolute path -> ETag."""
    for folder, bases, records in _pieces(folders):
        start = os.path.join(run_path, folder)
        begin = "        " + quoted(printable(start))[:-1]
        plain = start.isascii()
        yield ",\n".join(
            [
                f'{begin}{quoted(base)[1:]}: "{record[:16].hex()}"'
                if plain and base.isascii() and isinstance(record, bytes)
                else f"        {quoted(printable(start + base))}: {quoted(unpack(record).etag)}"
                for base, record in zip(bases, records, strict=True)
            ]
        )


def detail_lines(folders: Folders) -> Iterator[str]:
    """Yield the entries of ``files``, some of a folder as one text; of files without a known size there is none."""
    for folder, bases, records in _pieces(folders):
        begin = "        " + quoted(folder)[:-1]
        yield ",\n".join(
            [
                f"{begin}{quoted(base)[1:]}: {details}"
                for base, record in zip(bases, records, strict=True)
                if (details := _details(record))
            ]
        )


def _pieces(folders: Folders) -> Iterator[tuple[str, Sequence[str], Sequence[Packed]]]:
    for folder, bases, records in folders:
        for first in range(0, len(bases), PIECE_FILES):
            yield folder, bases[first : first + PIECE_FILES], records[first : first + PIECE_FILES]


def _details(packed: Packed) -> str:
    if isinstance(packed, bytes):
        if not has_state(packed):
            return ""
        _, size, mtime_ns, crc, at = unpack_known(packed)
        crc = "null" if crc is None else f'"{crc}"'
        return f'{{"size": {size}, "mtime_ns": {mtime_ns}, "crc64nvme": {crc}, "uploaded_at": "{at}"}}'
    record = packed
    if record.size is None:
        return ""
    details: dict[str, Any] = {
        "size": record.size,
        "mtime_ns": record.mtime_ns,
        "crc64nvme": record.crc64nvme,
        "uploaded_at": record.uploaded_at,
    }
    if record.part_size is not None:
        details["part_size"] = record.part_size
    return json.dumps(details)


class TakesEntries(Protocol):
    """Takes the entries of the two big sections, in the order of the document."""

    def begin(self, run_path: str) -> None:
        """Take the run folder before all entries."""
        ...

    def uploaded(self, entries: dict[str, Any]) -> None:
        """Take some entries of ``uploaded_files``."""
        ...

    def details(self, entries: dict[str, Any]) -> None:
        """Take some entries of ``files``; all of ``uploaded_files`` were taken before."""
        ...


def is_cut_off(file: BinaryIO) -> bool:
    """Tell whether a document, which is an object, lacks its end; the file is at its start afterwards."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TAIL_BYTES))
    tail = file.read().rstrip(b" \t\r\n")
    file.seek(0)
    return not tail.endswith(b"}") and (bool(tail) or not size)


def read_by_lines(file: BinaryIO, takes: TakesEntries) -> dict[str, Any]:
    """Read a document laid out as above, and return it with the big sections empty.

    Where it raises, what was taken is to be thrown away; reading the document as a whole tells more.

    Raises:
        ValueError: it is laid out otherwise, or damaged.
    """
    rest: list[bytes] = []
    entered: list[str] = []
    within = False
    kept: list[bytes] = []
    while lines := kept + file.readlines(PIECE_BYTES):
        if kept and len(lines) == len(kept):
            raise ValueError("a section has no end")
        kept = []
        while lines:
            if within:
                end = _end_of(lines)
                if end is None:  # the last entry has no comma: which one it is comes out with the next piece
                    kept = lines[-1:]
                _take(takes, entered[-1], lines[:-1] if end is None else lines[:end], last=end is not None)
                within = end is None
                lines = [] if end is None else lines[end:]
            else:
                within, lines = _up_to_section(lines, rest, entered)
                if within and len(entered) == 1:
                    takes.begin(_run_path(rest))
    document = json.loads(b"".join(rest).decode())
    # the sections have to be members of the document itself, and not of something inside of it
    if within or not isinstance(document, dict) or any(document.get(key) != _TAKEN for key in entered):
        raise ValueError("a section is not where it should be")
    return document | {key: {} for key in entered}


def _run_path(head: list[bytes]) -> Any:
    found = next((line for line in head if line.startswith(_RUN_PATH)), b"")
    return json.loads(found[len(_RUN_PATH) :].rstrip().removesuffix(b",").decode())


def _up_to_section(lines: list[bytes], rest: list[bytes], entered: list[str]) -> tuple[bool, list[bytes]]:
    """Move lines to ``rest`` up to the next section; returns whether it begins there, and the lines after that."""
    for number, line in enumerate(lines):
        rest.append(line)
        key = SECTIONS.get(line)
        if key is not None:
            if key in entered or "files" in entered:
                raise ValueError("the sections come in another order")
            entered.append(key)
            rest.append(json.dumps(_TAKEN)[1:-1].encode())
            return True, lines[number + 1 :]
    return False, []


def _end_of(lines: list[bytes]) -> int | None:
    """Return the number of the line that ends a section."""
    found = [lines.index(end) for end in _ENDS if end in lines]
    return min(found, default=None)


def _take(takes: TakesEntries, key: str, lines: list[bytes], *, last: bool) -> None:
    if not lines:
        return
    text = b"".join(lines)
    if not last and not text.endswith(b",\n"):
        raise ValueError("an entry has no comma at its end")
    entries = json.loads((b"{" + (text if last else text[:-2]) + b"}").decode())
    (takes.uploaded if key == "uploaded_files" else takes.details)(entries)
