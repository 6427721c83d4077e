"""Makes records of the two big sections of a run log: ETags by path, and what else is known by name."""

from __future__ import annotations

import os
import struct
from binascii import Error as NotBase64
from typing import Any, TypeVar

from async_s3_upload.state.records import FileRecord, Packed, Records, pack, pack_etag, pack_known, split_name

T = TypeVar("T")


class Entries:
    """Takes the entries in pieces, those of ``uploaded_files`` before those of ``files``.

    Every method raises TypeError where something of a wrong type stands.
    """

    def __init__(self) -> None:
        self.records = Records()
        self._run_path: str | None = None
        self._folders: dict[str, str] = {}

    def begin(self, run_path: str) -> None:
        """Take the run folder, as it stands in the log, that the paths lie in."""
        self._run_path = usable_path(run_path)
        self._folders = {}

    def is_in(self, run_path: str) -> bool:
        """Tell whether that is the folder the entries were taken for; without entries any is."""
        return self._run_path in (None, run_path)

    def uploaded(self, entries: dict[str, Any]) -> None:
        """Take some entries of ``uploaded_files``."""
        put, folders, run_path = self.records.put, self._folders, self._run_path
        assert run_path is not None
        for path, etag in entries.items():
            folder, base = split_name(path)
            if base in ("", ".", ".."):
                folder, base = split_name(relative(path, run_path))
            else:
                known = folders.get(folder)
                if known is None:  # what is done to the folder's name is done once
                    known = folders[folder] = relative(f"{folder}x", run_path)[:-1]
                folder = known
            put(folder, base, pack_etag(typed(etag, str).strip('"')))

    def details(self, entries: dict[str, Any]) -> None:
        """Take some entries of ``files``; those of files that are not uploaded do not count."""
        put, folder_of = self.records.put, self.records.folder
        for name, detail in entries.items():
            folder, base = split_name(name)
            before = folder_of(folder).get(base)
            if before is not None:
                put(folder, base, _with_details(before, typed(detail, dict)))


def _with_details(before: Packed, detail: dict[str, Any]) -> Packed:
    crc, at = detail.get("crc64nvme"), detail.get("uploaded_at")
    if isinstance(before, bytes) and isinstance(at, str) and isinstance(crc, str) and detail.get("part_size") is None:
        try:
            return pack_known(before[:16], detail.get("size"), detail.get("mtime_ns"), crc, at)
        except (ValueError, NotBase64, struct.error):
            pass
    etag = before.etag if isinstance(before, FileRecord) else before[:16].hex()
    return pack(
        FileRecord(
            etag,
            optional(detail.get("size"), int),
            optional(detail.get("mtime_ns"), int),
            optional(crc, str),
            optional(at, str),
            optional(detail.get("part_size"), int),
        )
    )


def typed(value: Any, kind: type[T]) -> T:
    """Return the value.

    Raises:
        TypeError: it is of another type.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{value!r:.40} stands where {kind.__name__} is due")
    return value


def optional(value: Any, kind: type[T]) -> T | None:
    """Do the same where None may stand too."""
    return None if value is None else typed(value, kind)


def seconds(value: Any) -> float | None:
    """Return the value where it can be a duration, else None: that is no reason to distrust the rest."""
    return float(value) if type(value) in (int, float) and 0 <= value < 1e12 else None


def usable_path(path: Any) -> str:
    """Return the path of a run folder, normalised.

    Raises:
        ValueError: it is no path that could be on a disk.
        TypeError: it is no text.
    """
    found = os.path.normpath(typed(path, str))
    os.fsencode(found)
    if "\0" in found:
        raise ValueError("run_path holds a NUL character")
    return found


def relative(path: str, run_path: str) -> str:
    """Name of a file relative to its run folder; paths outside of it stay as they are."""
    if os.path.isabs(path):
        path = os.path.normpath(path)
        if path.startswith(run_path.rstrip("/") + "/"):
            return path[len(run_path.rstrip("/")) + 1 :]
        return path
    return os.path.normpath(path)
