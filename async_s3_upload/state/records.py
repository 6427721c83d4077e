"""What is recorded of each file: a million records in some hundred megabytes, and as lines of the run log.

A record is held as one packed value, 36 or 44 bytes for nearly every file, under the name of its folder and its name
in there; ``FileRecord`` is made when it is asked for. What does not pack (a multipart object, an ETag that is no
MD5 sum) is held as it is.
"""

from __future__ import annotations

import struct
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

_DAY_S = 86_400
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_STATE = struct.Struct("<qq")
_PLAIN = struct.Struct("<16sqqI")
_FULL = struct.Struct("<16sqqI8s")
_ETAG_BYTES = 16
_CRC_BYTES = 8
_SHARED_NAMES = 65_536
"""So many different names are held ready for the next folders: those of one folder of any run, and a bound."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file that is in S3. Logs of the replaced tool know the ETag only: the rest is None.

    ``part_size`` is that of a multipart object, None for others and in older logs.
    """

    etag: str
    size: int | None = None
    mtime_ns: int | None = None
    crc64nvme: str | None = None
    uploaded_at: str | None = None
    part_size: int | None = None


Packed = bytes | FileRecord
"""ETag, size, mtime_ns and uploaded_at, with the CRC or without; or the ETag alone; or what does not pack."""


def pack(record: FileRecord) -> Packed:
    """Return the record in the form in which it is held; ``unpack`` gives the same again, to the letter."""
    if record.part_size is not None or len(record.etag) != 2 * _ETAG_BYTES:
        return record
    try:
        etag = bytes.fromhex(record.etag)
        if etag.hex() != record.etag:
            return record
        if record.size is None or record.mtime_ns is None or record.uploaded_at is None:
            return etag if record == FileRecord(record.etag) else record
        if record.crc64nvme is None:
            return _PLAIN.pack(etag, record.size, record.mtime_ns, _seconds(record.uploaded_at))
        return pack_known(etag, record.size, record.mtime_ns, record.crc64nvme, record.uploaded_at)
    except (ValueError, TypeError, struct.error):
        return record


def pack_etag(etag: str) -> Packed:
    """Pack a record of which the ETag alone is known."""
    if len(etag) == 2 * _ETAG_BYTES:
        try:
            packed = bytes.fromhex(etag)
        except ValueError:
            return FileRecord(etag)
        if packed.hex() == etag:
            return packed
    return FileRecord(etag)


def pack_known(etag: bytes, size: Any, mtime_ns: Any, crc64nvme: str, uploaded_at: str) -> bytes:
    """Pack a record of which all is known.

    Raises:
        ValueError, struct.error: it does not pack.
    """
    crc = a2b_base64(crc64nvme)
    if len(crc) != _CRC_BYTES or b2a_base64(crc, newline=False).decode() != crc64nvme:
        raise ValueError(crc64nvme)
    return _FULL.pack(etag, size, mtime_ns, _seconds(uploaded_at), crc)


def unpack(packed: Packed) -> FileRecord:
    """Return the record."""
    if isinstance(packed, FileRecord):
        return packed
    return FileRecord(*unpack_known(packed)) if has_state(packed) else FileRecord(packed.hex())


def has_state(packed: bytes) -> bool:
    """Tell whether more than the ETag is known."""
    return len(packed) > _ETAG_BYTES


def unpack_known(packed: bytes) -> tuple[str, int, int, str | None, str]:
    """Return the fields of a record of which more than the ETag is known."""
    if len(packed) == _FULL.size:
        etag, size, mtime_ns, at, crc = _FULL.unpack(packed)
        return etag.hex(), size, mtime_ns, b2a_base64(crc, newline=False).decode(), time_text(at)
    etag, size, mtime_ns, at = _PLAIN.unpack(packed)
    return etag.hex(), size, mtime_ns, None, time_text(at)


def packed_state(packed: Packed) -> tuple[int | None, int | None]:
    """Return size and mtime_ns of a record."""
    if isinstance(packed, FileRecord):
        return packed.size, packed.mtime_ns
    if len(packed) == _ETAG_BYTES:
        return None, None
    size, mtime_ns = _STATE.unpack_from(packed, _ETAG_BYTES)
    return size, mtime_ns


def _size(packed: Packed) -> int:
    """Return the size, 0 where it is not known: the slice is empty then. Called for each file of a run."""
    if isinstance(packed, bytes):
        return int.from_bytes(packed[_ETAG_BYTES : _ETAG_BYTES + 8], "little", signed=True)
    return packed.size or 0


@lru_cache(4096)
def _seconds(text: str) -> int:
    """Return the seconds since the epoch of a time as it is written here.

    Raises:
        ValueError: it is written otherwise.
    """
    seconds = _day(text[:10]) * _DAY_S + int(text[11:13]) * 3600 + int(text[14:16]) * 60 + int(text[17:19])
    if not 0 <= seconds < 2**32 or time_text(seconds) != text:
        raise ValueError(text)
    return seconds


@lru_cache(4096)
def time_text(seconds: int) -> str:
    """Return a time, in seconds since the epoch, as it is written here: UTC, ISO 8601, to the second."""
    day, rest = divmod(seconds, _DAY_S)
    minutes, rest = divmod(rest, 60)
    return f"{_date(day)}T{minutes // 60:02}:{minutes % 60:02}:{rest:02}Z"


@lru_cache(1024)
def _day(text: str) -> int:
    return date.fromisoformat(text).toordinal() - _EPOCH_DAY


@lru_cache(1024)
def _date(day: int) -> str:
    return date.fromordinal(day + _EPOCH_DAY).isoformat()


def split_name(name: str) -> tuple[str, str]:
    """Return folder, with the slash at its end, and name in there."""
    cut = name.rfind("/") + 1
    return name[:cut], name[cut:]


class Records(MutableMapping[str, FileRecord]):
    """Records by the name relative to the run folder, in the order of the folders' first files."""

    __slots__ = ("_count", "_folders", "_shared", "_size")

    def __init__(self, records: Mapping[str, FileRecord] | Iterable[tuple[str, FileRecord]] = ()) -> None:
        self._folders: dict[str, dict[str, Packed]] = {}
        self._shared: dict[str, str] = {}
        self._count = 0
        self._size = 0
        self.update(records)

    @property
    def total_bytes(self) -> int:
        """Sum of the sizes that are known."""
        return self._size

    def folder(self, folder: str) -> Mapping[str, Packed]:
        """Return what is recorded in one folder (with the slash at its end), by the names in there; not to be kept."""
        return self._folders.get(folder, {})

    def folders(self) -> list[tuple[str, list[str], list[Packed]]]:
        """Return folders, names in there and their records as they are at this moment; 16 bytes a file."""
        return [(folder, list(bases), list(bases.values())) for folder, bases in self._folders.items()]

    def put(self, folder: str, base: str, packed: Packed) -> None:
        """Record the file ``folder + base``."""
        bases = self._folders.get(folder)
        if bases is None:
            bases = self._folders[folder] = {}
            if len(self._shared) > _SHARED_NAMES:
                self._shared.clear()
        self._size += _size(packed)
        if base in bases:
            self._size -= _size(bases[base])
            bases[base] = packed
        else:
            bases[self._shared.setdefault(base, base)] = packed
            self._count += 1

    def __getitem__(self, name: str) -> FileRecord:
        folder, base = split_name(name)
        try:
            return unpack(self._folders[folder][base])
        except KeyError:
            raise KeyError(name) from None

    def __setitem__(self, name: str, record: FileRecord) -> None:
        self.put(*split_name(name), pack(record))

    def __delitem__(self, name: str) -> None:
        folder, base = split_name(name)
        try:
            self._size -= _size(self._folders[folder].pop(base))
        except KeyError:
            raise KeyError(name) from None
        self._count -= 1

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        folder, base = split_name(name)
        return base in self._folders.get(folder, ())

    def __iter__(self) -> Iterator[str]:
        for folder, bases in self._folders.items():
            for base in bases:
                yield folder + base

    def __len__(self) -> int:
        return self._count

    def update(self, *others: Any, **more: FileRecord) -> None:
        """Take over other records; those of a ``Records`` without unpacking them."""
        if not (others and isinstance(others[0], Records)):
            super().update(*others, **more)
            return
        for folder, bases in others[0]._folders.items():
            mine = self._folders.setdefault(folder, {})
            before = len(mine)
            self._size += sum(map(_size, bases.values()))
            self._size -= sum(_size(mine[base]) for base in bases if base in mine)
            mine.update(bases)
            self._count += len(mine) - before

    def __repr__(self) -> str:
        return f"Records of {len(self):,} files"


def as_records(records: Mapping[str, FileRecord]) -> Records:
    """Return the same records packed; themselves where they are."""
    return records if isinstance(records, Records) else Records(records)
