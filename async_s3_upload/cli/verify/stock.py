"""What should be in S3 of a run: its local files and what its run log says was sent."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from async_s3_upload.runs.scan import LocalFile, Scan, scan
from async_s3_upload.state.run_log import FileRecord, RunLog
from async_s3_upload.state.run_logs import Identity, changed_since
from async_s3_upload.transfer.parts import Unplannable
from async_s3_upload.transfer.plan import key_for
from async_s3_upload.transfer.stores.inspect import Expected


@dataclass(slots=True)
class Stock:
    """Names are relative to the run folder.

    ``expected`` is keyed by key, ``names`` maps keys to names. ``local`` holds the files that are there to be read
    and belong to the run; ``gone`` the names that were sent and are not there any more. ``changed`` maps names to
    how the local file differs from what was sent; ``unsendable`` names to why they cannot be in S3.
    """

    records: Mapping[str, FileRecord]
    expected: dict[str, Expected] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    local: dict[str, LocalFile] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    changed: dict[str, str] = field(default_factory=dict)
    unsendable: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    folder_gone: bool = False

    @property
    def total_bytes(self) -> int:
        """Sum of the sizes that are known."""
        return sum(expected.size or 0 for expected in self.expected.values())


def take_stock(
    identity: Identity, prefix: str, log: RunLog, exclude: Sequence[re.Pattern[str]] | None, *, deep: bool
) -> Stock:
    """Look through folder and log. Without ``exclude`` nobody knows what was left out: then the log alone counts.

    ``deep`` says that the bytes will be compared: then times alone are no difference.

    Raises:
        OSError: the folder is there, but cannot be listed.
    """
    stock = Stock(log.files)
    found = _scanned(identity.run_path, exclude or ())
    if found is None:
        stock.notes.append("the run folder is not there any more: S3 is compared with the run log alone")
        found, stock.folder_gone = Scan(identity.run_path), True
    stock.local = {file.name: file for file in found.files}
    stock.unsendable = {item.name: item.reason for item in found.unsendable}
    if exclude is None:
        stock.notes.append("its run log does not tell what was left out: only files that it names are looked for")
        stock.local = {name: file for name, file in stock.local.items() if name in log.files}
        stock.unsendable = {}
    if log.in_progress:
        stock.notes.append("the instrument still writes it: only what was sent of it already is looked at")
        stock.local = {name: file for name, file in stock.local.items() if _is_as_sent(log, file)}
        stock.unsendable = {}
    for name in log.files:
        if name not in stock.local and not os.path.isabs(name) and not log.in_progress:
            _add_left_out(stock, identity.run_path, name)
    for name in {**stock.local, **log.files}:
        _expect(stock, prefix, name, deep=deep)
    return stock


def _is_as_sent(log: RunLog, file: LocalFile) -> bool:
    record = log.files.get(file.name)
    return record is not None and not changed_since(record, file.size, file.mtime_ns)


def _scanned(path: str, exclude: Sequence[re.Pattern[str]]) -> Scan | None:
    try:
        return scan(path, exclude)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _add_left_out(stock: Stock, root: str, name: str) -> None:
    """A file that was sent, but is excluded now, is compared all the same as long as it is there."""
    stock.unsendable.pop(name, None)
    try:
        found = os.stat(os.path.join(root, name))
    except OSError:
        stock.gone.add(name)
        return
    if stat.S_ISREG(found.st_mode):
        stock.local[name] = LocalFile(name, found.st_size, found.st_mtime_ns, found.st_ino)
    else:
        stock.gone.add(name)


def _expect(stock: Stock, prefix: str, name: str, *, deep: bool) -> None:
    file, record = stock.local.get(name), stock.records.get(name)
    try:
        key = key_for(prefix, name)
    except Unplannable as error:
        stock.unsendable[name] = str(error)
        return
    stock.names[key] = name
    size = file.size if file is not None else None
    if record is None:
        stock.expected[key] = Expected(size, "")
        return
    stock.expected[key] = Expected(size if record.size is None else record.size, record.etag)
    if deep or file is None or not changed_since(record, file.size, file.mtime_ns):
        return
    if file.size != record.size:
        stock.changed[name] = f"the local file has {file.size:,} bytes now, {record.size or 0:,} were sent"
    else:
        stock.changed[name] = "the local file was modified after it was sent; --deep compares the bytes"
