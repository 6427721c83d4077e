"""Compares what lies in a run folder with what is recorded: which files are still to be sent."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from async_s3_upload.runs.file_table import CUT_OFF, FileTable, LocalFile, Selection
from async_s3_upload.runs.scan import Scan
from async_s3_upload.state.records import Packed, Records, as_records, packed_state, unpack
from async_s3_upload.state.run_log import RunLog
from async_s3_upload.state.run_logs import changed_since


def left_to_send(found: Scan, known: RunLog, resend: Collection[str] = ()) -> Selection:
    """Return the files that are not recorded, or changed since they were, or are to be sent again by their names."""
    return Selection(found.files, _rows_to_send(found.files, as_records(known.files), resend))


def _rows_to_send(files: FileTable, records: Records, resend: Collection[str]) -> Iterator[int]:
    for block in files.blocks():
        recorded, folder = records.folder(block.folder), block.folder
        row = block.first
        for base, size, mtime_ns in zip(block.bases, block.sizes, block.mtimes_ns, strict=True):
            record = recorded.get(base)
            if (
                record is None
                or (_differs(record, size, mtime_ns) and _changed_since(record, files[row]))
                or (resend and folder + base in resend)
            ):
                yield row
            row += 1


def _differs(record: Packed, size: int, mtime_ns: int) -> bool:
    return packed_state(record) != (size, mtime_ns) or mtime_ns == CUT_OFF


def _changed_since(record: Packed, file: LocalFile) -> bool:
    return changed_since(unpack(record), file.size, file.mtime_ns)
