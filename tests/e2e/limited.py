"""An upload with a limit of bandwidth, and what may arrive meanwhile."""

import time
from pathlib import Path

from benchmarks.destination import SinkDestination
from tests.support.command import start_command

from .lab import read_json

MB = 10**6


def upload_with_a_limit(folder: Path, sink: SinkDestination, *options: str) -> None:
    """Upload 60 files of 100 kB to a sink, by two workers and at 2 MB/s; no more arrives at any time."""
    run = folder / "run"
    run.mkdir()
    for number in range(60):
        (run / str(number)).write_bytes(bytes(100_000))
    arguments = ["--local-path", str(run), "--bucket", "sink", "--skip-check", *options]
    arguments += ["--max-bandwidth", "2MB/s", "--log-dir", str(folder / "log")]

    with start_command("upload", *arguments, env=sink.environment()) as command:
        while not (first := sink.counts().bytes):
            time.sleep(0.01)
        began = time.monotonic()
        while (last := sink.counts().bytes) < first + 4 * MB:
            time.sleep(0.01)
        seconds = time.monotonic() - began
        done = command.wait(60)

    assert done.exit_code == 0, done.stderr
    assert "bandwidth is limited: 2 MB/s" in done.stderr
    # what may come early: the bucket, what was lent just before, and a file in each of the hands
    assert last - first <= 2 * MB * (seconds + 0.5) + 2 * 100_000
    assert read_json(folder / "log" / "uploads" / "run.upload.log.json")["total_uploaded_files"] == 60
