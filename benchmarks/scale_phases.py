"""The phases of ``scale`` that run in a process of their own: ``python -m benchmarks.scale_phases PHASE RUN LOG_DIR``.

Each imports what it needs when it runs, as the command does.
"""

from __future__ import annotations

import base64
import hashlib
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import closing
from itertools import product
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from async_s3_upload.state.records import FileRecord
    from async_s3_upload.transfer.stores.store import ObjectInfo, ObjectStore

RUN_ID = "240101_D00001_0001_AHISEQXX"
BUCKET = "benchmark"
TILES = [1000 * surface + 100 * swath + tile for surface in (1, 2) for swath in (1, 2, 3) for tile in range(1, 17)]


def make_run(parent: str, files: int) -> str:
    """Make a run folder of so many files, of 1,000 to 6,000 bytes without a block on the disk; returns its path."""
    root = os.path.join(parent, RUN_ID)
    os.makedirs(root)
    for name in ("RunInfo.xml", "RTAComplete.txt"):
        with open(os.path.join(root, name), "w", encoding="ascii") as file:
            file.write("x")
    left = iter(range(files - 2))
    for cycle in range(1, files):
        for lane in range(1, 9):
            if not _fill(os.path.join(root, f"Data/Intensities/BaseCalls/L00{lane}/C{cycle}.1"), lane, left):
                return root
    return root


def _fill(folder: str, lane: int, left: Iterator[int]) -> bool:
    """Make the files of one lane and cycle, as many as are left; returns whether there are more."""
    os.makedirs(folder)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        for tile, kind in product(TILES, ("bcl", "stats")):
            if next(left, None) is None:
                return False
            file = os.open(f"s_{lane}_{tile}.{kind}", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=descriptor)
            os.ftruncate(file, 1000 + tile * 7 % 5000)
            os.close(file)
    finally:
        os.close(descriptor)
    return True


def _prepare(root: str, log_dir: str) -> None:
    """Write the log of a run that is recorded whole."""
    from async_s3_upload.runs.scan import scan
    from async_s3_upload.state.run_log import FileRecord, RunLog, write_run_log
    from async_s3_upload.state.run_logs import Identity, RunLogs

    found = scan(root)
    log = RunLog(RUN_ID, root, BUCKET, "runs", True, len(found.files), exclude_patterns=[])
    for number, file in enumerate(found.files):
        digest = hashlib.md5(file.name.encode()).digest()
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_700_000_000 + number // 500))
        crc = base64.b64encode(digest[:8]).decode()
        log.files[file.name] = FileRecord(digest.hex(), file.size, file.mtime_ns, crc, at)
    path = RunLogs(log_dir).find(Identity(root, BUCKET, "runs")).path
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write_run_log(log, path)


def _plan(root: str, _log_dir: str) -> None:
    from async_s3_upload.delivery.remaining import left_to_send
    from async_s3_upload.runs.scan import scan
    from async_s3_upload.state.run_log import RunLog
    from async_s3_upload.transfer.plan import plan_job

    found = scan(root)
    plan_job(BUCKET, f"runs/{RUN_ID}", root, left_to_send(found, RunLog(RUN_ID, root)))


def _verify(root: str, log_dir: str) -> None:
    import asyncio

    from async_s3_upload.delivery.reconcile import Reconciler
    from async_s3_upload.runs.scan import scan
    from async_s3_upload.state.run_logs import Identity, RunLogs
    from async_s3_upload.state.run_state import RunState, recall

    identity = Identity(root, BUCKET, "runs")
    remembered = RunLogs(log_dir).find(identity)
    recalled = recall(identity, remembered)
    prefix = f"runs/{RUN_ID}"
    store = cast("ObjectStore", _Listed(prefix, recalled.log.files))
    state = RunState(recalled, remembered, identity, "now")
    again, doubts = asyncio.run(Reconciler(store, BUCKET, prefix, state, scan(root)).differences())
    assert (again, doubts) == ([], [])


class _Listed:
    """Lists what is recorded."""

    def __init__(self, prefix: str, records: Mapping[str, FileRecord]) -> None:
        self._prefix = prefix
        self._records = records

    async def refresh(self) -> None:
        """Nothing expires here."""

    async def list_objects(self, _bucket: str, _prefix: str) -> AsyncIterator[ObjectInfo]:
        """Yield all objects."""
        from async_s3_upload.transfer.stores.store import ObjectInfo

        for name, record in self._records.items():
            yield ObjectInfo(f"{self._prefix}/{name}", record.size or 0, record.etag)


def _runlog(root: str, log_dir: str) -> None:
    from async_s3_upload.state.run_log import write_run_log
    from async_s3_upload.state.run_logs import Identity, RunLogs

    remembered = RunLogs(log_dir).find(Identity(root, BUCKET, "runs"))
    assert remembered.log is not None
    write_run_log(remembered.log, remembered.path)


def _record(root: str, log_dir: str) -> None:
    """Take the results of a job as they come from the workers, as fast as the process can."""
    from async_s3_upload.delivery.recording import Recorder, now_text
    from async_s3_upload.delivery.remaining import left_to_send
    from async_s3_upload.runs.scan import scan
    from async_s3_upload.state.run_logs import Identity, RunLogs
    from async_s3_upload.state.run_state import RunState, recall
    from async_s3_upload.transfer.messages import FileDone
    from async_s3_upload.transfer.plan import plan_job

    identity = Identity(root, BUCKET, "runs")
    remembered = RunLogs(log_dir).find(identity)
    os.makedirs(os.path.dirname(remembered.path), exist_ok=True)
    recalled = recall(identity, remembered)
    job = plan_job(BUCKET, f"runs/{RUN_ID}", root, left_to_send(scan(root), recalled.log))
    recorder = Recorder(RunState(recalled, remembered, identity, now_text()), {})
    recorder.begin(job)
    for item in job.items:
        digest = hashlib.md5(item.key.encode()).digest()
        crc = base64.b64encode(digest[:8]).decode()
        recorder.take(FileDone(item.number, digest.hex(), item.size, item.mtime_ns, crc, item.size))
        # one in the middle in any case: what is left behind is then of the same kind for each size
        if recorder.snapshot_due() or item.number == len(job.items) // 2:
            began = time.monotonic()
            with closing(recorder.state.snapshot(now_text())) as steps:
                for _ in steps:
                    pass
            recorder.snapshot_taken(began)


def _replay(root: str, log_dir: str) -> None:
    from async_s3_upload.state.run_logs import Identity, RunLogs
    from async_s3_upload.state.run_state import recall

    identity = Identity(root, BUCKET, "runs")
    recall(identity, RunLogs(log_dir).find(identity))


IN_PROCESS: Mapping[str, Callable[[str, str], None]] = {
    "prepare": _prepare,
    "plan": _plan,
    "verify": _verify,
    "runlog": _runlog,
    "record": _record,
    "replay": _replay,
}


if __name__ == "__main__":
    IN_PROCESS[sys.argv[1]](*sys.argv[2:])
