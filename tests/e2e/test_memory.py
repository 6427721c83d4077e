"""All processes together stay small: with many small files, and with big ones, whatever their number."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from async_s3_upload.demo.run_folder import MIB, TINY, RunShape, make_run_folder
from benchmarks.destination import running_sink
from benchmarks.process_tree import Usage, measure

from .lab import read_json

FILES = 20_000
SMALL_LIMIT_BYTES = 260_000_000
BIG_LIMIT_BYTES = 260_000_000

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc"),
    pytest.mark.alone,
]


def upload(folder: Path, shape: RunShape, *, tls: bool) -> Usage:
    """Upload a run with two workers, see that it arrived as a whole, and return what it took."""
    run = make_run_folder(str(folder), shape)
    options = ["--local-path", run, "--bucket", "sink", "--cores", "2", "--log-dir", str(folder / "log")]
    with running_sink(tls=tls) as sink, open(folder / "stderr", "wb") as stderr:
        sink.mark()
        usage = measure(
            [sys.executable, "-m", "async_s3_upload", "upload", *options],
            env={"PATH": os.environ["PATH"], "HOME": str(folder), **sink.environment()},
            stderr=stderr,
            timeout_seconds=120,
        )
        received = sink.received("sink", "")
    assert usage.exit_code == 0, (folder / "stderr").read_text()[-4000:]
    assert "a worker process died" not in (folder / "stderr").read_text()
    assert usage.peak_processes >= 3
    log = read_json(folder / "log" / "uploads" / f"{shape.run_id}.upload.log.json")
    assert log["completed"]
    assert log["total_uploaded_files"] == received.objects == log["total_local_files"]
    return usage


def test_peak_memory_of_many_small_files(tmp_path: Path) -> None:
    usage = upload(tmp_path, replace(TINY, small_files=FILES, small_mean_bytes=1024), tls=False)
    assert usage.peak_pss_bytes < SMALL_LIMIT_BYTES


def test_peak_memory_of_big_files_does_not_grow_with_their_number(tmp_path: Path) -> None:
    """16 MiB files, which are PUT as a whole, and as many again; with 64 MiB of bodies in flight in each worker."""
    peaks = []
    for number in (24, 72):
        (tmp_path / str(number)).mkdir()
        shape = replace(TINY, big_files=number, big_bytes=16 * MIB)
        peaks.append(upload(tmp_path / str(number), shape, tls=True).peak_pss_bytes)
    assert max(peaks) < BIG_LIMIT_BYTES
    assert peaks[1] < 1.25 * peaks[0]
