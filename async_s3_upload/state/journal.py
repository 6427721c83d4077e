"""The journal: what happened to a run since its run log was last written, one JSON line an event.

It lies beside the run log (``<name>.journal.jsonl``), is only ever appended to by the coordinator, and holds
what the run log has no field for: multipart uploads that are begun and their finished parts. Each line ends
with the CRC32 of what stands before it, so that a torn or overwritten line is recognised. Reading it is
pure: the same lines over the same run log give the same state, also when they are read twice.

Lines (short keys, a run has a million files):

- ``{"t":"file","n":name,"e":etag,"s":size,"m":mtime_ns,"c":crc64nvme,"at":time}``: the file is in S3; with
  ``"p":part_size`` where it went up in parts.
- ``{"t":"drop","n":name}``: what was recorded of the file holds no more, it changed.
- ``{"t":"plan","n":name,"k":key}``: a multipart upload of the key may begin from now on.
- ``{"t":"open","n":name,"k":key,"u":upload_id,"s":size,"m":mtime_ns,"i":inode,"p":part_size,"x":checksum}``.
- ``{"t":"part","n":name,"u":upload_id,"p":number,"s":size,"e":etag,"c":crc64nvme}``.
- ``{"t":"gone","n":name,"u":upload_id}``: that upload is completed or aborted.
- ``{"t":"ask"}``: something that was remembered is lost; S3 has to be asked until the run is completed.
- ``{"t":"note","text":sentence}``: for people, e.g. that a worker died.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from async_s3_upload.state.records import FileRecord, Records

_decoder = json.JSONDecoder()
SUFFIX = ".journal.jsonl"
"""Follows the run log's name without its own suffix."""


class CorruptJournal(Exception):
    """A line before the last one is damaged; the text names file and line. What S3 holds has to be asked."""


@dataclass(frozen=True, slots=True)
class PartRecord:
    """A part that S3 accepted: ``size`` in bytes, ``crc64nvme`` in base64 or None."""

    number: int
    size: int
    etag: str
    crc64nvme: str | None


@dataclass(slots=True)
class OpenUpload:
    """A multipart upload that was begun: of which state of the file, in parts of which size."""

    key: str
    upload_id: str
    size: int
    mtime_ns: int
    inode: int
    part_size: int
    with_checksum: bool
    parts: dict[int, PartRecord] = field(default_factory=dict)


@dataclass(slots=True)
class Replayed:
    """What the journal adds to the run log.

    ``files`` are those in S3, ``dropped`` those whose record in the run log holds no more, ``uploads`` the open
    multipart uploads by file name, ``planned`` maps names to keys of which an upload may exist with an unknown
    id. ``torn`` tells that the last line was damaged and left out, ``ask`` that S3 has to be asked what it holds.
    """

    files: Records = field(default_factory=Records)
    dropped: set[str] = field(default_factory=set)
    uploads: dict[str, OpenUpload] = field(default_factory=dict)
    planned: dict[str, str] = field(default_factory=dict)
    torn: bool = False
    ask: bool = False


def encode_line(event: dict[str, Any]) -> bytes:
    """Return the line of an event, its CRC32 as the last member ``"z"``."""
    body = json.dumps(event, separators=(",", ":"))[:-1]
    return f'{body},"z":"{zlib.crc32(body.encode()):08x}"}}\n'.encode()


def file_line(name: str, file: FileRecord) -> bytes:
    """Return the line of a file that is in S3, as ``encode_line`` would: there is one for each file of a run."""
    part = "" if file.part_size is None else f',"p":{file.part_size}'
    body = (
        f'{{"t":"file","n":{quoted(name)},"e":{quoted(file.etag)},"s":{_json(file.size)},"m":{_json(file.mtime_ns)}'
        f',"c":{_json(file.crc64nvme)},"at":{_json(file.uploaded_at)}{part}'
    ).encode()
    return b'%b,"z":"%08x"}\n' % (body, zlib.crc32(body))


def _json(value: str | int | None) -> str:
    if value is None:
        return "null"
    return quoted(value) if isinstance(value, str) else str(value)


def decode_line(line: bytes) -> dict[str, Any]:
    """Return the event of a line.

    Raises:
        ValueError: the line is damaged.
    """
    body, mark, check = line.rstrip(b"\n").rpartition(b',"z":"')
    if not mark or not line.endswith(b"\n") or check != b'%08x"}' % zlib.crc32(body):
        raise ValueError("the line is damaged")
    text = (body + b"}").decode()
    event, end = _decoder.raw_decode(text)
    if end != len(text) or not isinstance(event, dict):
        raise ValueError("the line is no object")
    return event


def replay(lines: Iterable[bytes], name: str = "journal") -> Replayed:
    """Read the lines of a journal.

    Raises:
        CorruptJournal: a line that is not the last one is damaged.
    """
    state = Replayed()
    damaged: int | None = None
    for number, line in enumerate(lines, 1):
        if damaged is not None:
            raise CorruptJournal(f"{name}, line {damaged}: the line is damaged")
        try:
            _apply(state, decode_line(line))
        except (ValueError, KeyError, TypeError):
            damaged = number
    state.torn = damaged is not None
    return state


def _apply(state: Replayed, event: dict[str, Any]) -> None:
    kind = event["t"]
    if kind == "file":
        name = event["n"]
        state.files[name] = FileRecord(event["e"], event["s"], event["m"], event["c"], event["at"], event.get("p"))
        state.dropped.discard(name)
        state.uploads.pop(name, None)
        state.planned.pop(name, None)
    elif kind == "drop":
        state.dropped.add(event["n"])
        state.files.pop(event["n"], None)
    elif kind == "plan":
        state.planned[event["n"]] = event["k"]
    elif kind == "open":
        state.uploads[event["n"]] = OpenUpload(
            event["k"], event["u"], event["s"], event["m"], event["i"], event["p"], event["x"]
        )
    elif kind == "part":
        upload = state.uploads.get(event["n"])
        if upload is not None and upload.upload_id == event["u"]:
            upload.parts[event["p"]] = PartRecord(event["p"], event["s"], event["e"], event["c"])
    elif kind == "gone":
        upload = state.uploads.get(event["n"])
        if upload is not None and upload.upload_id == event["u"]:
            del state.uploads[event["n"]]
    elif kind in ("ask", "note"):
        state.ask |= kind == "ask"
    else:
        raise ValueError(f"unknown kind of line {kind!r}")
