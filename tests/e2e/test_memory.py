"""20,000 files of 1 KB: all processes together stay below 400 MB."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from async_s3_upload.demo.run_folder import TINY, make_run_folder
from benchmarks.destination import running_sink
from benchmarks.process_tree import measure

from .lab import read_json

FILES = 20_000
LIMIT_BYTES = 400_000_000


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_peak_memory_of_many_small_files(tmp_path: Path) -> None:
    shape = replace(TINY, small_files=FILES, small_mean_bytes=1024)
    run = make_run_folder(str(tmp_path), shape)
    options = ["--local-path", run, "--bucket", "sink", "--cores", "2", "--log-dir", str(tmp_path / "log")]

    with running_sink() as sink, open(tmp_path / "stderr", "wb") as stderr:
        sink.mark()
        usage = measure(
            [sys.executable, "-m", "async_s3_upload", "upload", *options],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **sink.environment()},
            stderr=stderr,
            timeout_seconds=120,
        )
        received = sink.received("sink", "")

    assert usage.exit_code == 0, (tmp_path / "stderr").read_text()[-4000:]
    assert "a worker process died" not in (tmp_path / "stderr").read_text()
    assert received.objects == FILES
    assert usage.peak_processes >= 3
    assert usage.peak_pss_bytes < LIMIT_BYTES
    log = read_json(tmp_path / "log" / "uploads" / f"{shape.run_id}.upload.log.json")
    assert (log["completed"], log["total_uploaded_files"]) == (True, FILES)
