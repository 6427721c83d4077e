"""All runs that a log folder remembers, found by the names of their run logs and journals."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass

from async_s3_upload.errors import LogDirError
from async_s3_upload.state.journal import SUFFIX as JOURNAL_SUFFIX
from async_s3_upload.state.journal import CorruptJournal, replay
from async_s3_upload.state.journal_writer import read_lines
from async_s3_upload.state.run_log import UnreadableRunLog, read_run_log
from async_s3_upload.state.run_logs import SUFFIX, UPLOADS, Remembered

_SECOND = re.compile(r"\.[0-9a-f]{8}$")


@dataclass(frozen=True, slots=True)
class KnownRun:
    """A run log and its journal, of which one may be missing. ``touched`` is in seconds since the epoch.

    ``run_ids`` are the names that the run may have: a name may itself end like that of a second log.
    """

    path: str
    run_ids: tuple[str, ...]
    touched: float

    def remembered(self) -> Remembered:
        """Read the run log; a torn one is the ``problem``."""
        try:
            return Remembered(self.path, read_run_log(self.path))
        except UnreadableRunLog as error:
            return Remembered(self.path, None, str(error))


def known_runs(log_dir: str) -> list[KnownRun]:
    """Return the runs in the order of their names; none where there is no such folder.

    Raises:
        LogDirError: the folder of run logs cannot be listed.
    """
    folder = os.path.join(log_dir, UPLOADS)
    touched: dict[str, float] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                for suffix in (SUFFIX, JOURNAL_SUFFIX):
                    if entry.name.endswith(suffix) and len(entry.name) > len(suffix):
                        stem = entry.name.removesuffix(suffix)
                        touched[stem] = max(touched.get(stem, 0.0), _mtime(entry))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise LogDirError(f"run logs in {folder} cannot be listed: {error.strerror or error}") from error
    return [KnownRun(os.path.join(folder, stem + SUFFIX), _run_ids(stem), touched[stem]) for stem in sorted(touched)]


def _mtime(entry: os.DirEntry[str]) -> float:
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:  # an upload that ended just now removed its journal
        return 0.0


def _run_ids(stem: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((stem, _SECOND.sub("", stem))))


@dataclass(frozen=True, slots=True)
class Protection:
    """Multipart uploads that a next start will go on with, or clear away by itself.

    ``upload_ids`` and ``keys`` are those in the journals, ``run_ids`` those of runs whose journal nobody can read;
    ``problems`` names these.
    """

    upload_ids: Collection[str]
    keys: Collection[str]
    run_ids: Collection[str]
    problems: tuple[str, ...]


def protection(runs: Collection[KnownRun]) -> Protection:
    """Read the journals of all these runs."""
    upload_ids: set[str] = set()
    keys: set[str] = set()
    run_ids: set[str] = set()
    problems = []
    for run in runs:
        journal = Remembered(run.path, None).journal
        try:
            replayed = replay(read_lines(journal), journal)
        except (CorruptJournal, OSError) as error:
            run_ids.update(run.run_ids)
            why = f"{journal} cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
            problems.append(f"{why}; no upload of its run is aborted")
            continue
        upload_ids.update(upload.upload_id for upload in replayed.uploads.values())
        # of these an upload may exist whose id has not reached the journal
        keys.update(replayed.planned.values())
    return Protection(upload_ids, keys, run_ids, tuple(problems))
