"""A few seconds of benchmark for continuous integration: counts are asserted, times only have to be there."""

import dataclasses
import sys
import tempfile
from collections.abc import Sequence

from async_s3_upload.demo.run_folder import MIB, TINY, make_run_folder
from benchmarks.comparison import Run, Setup
from benchmarks.destination import running_sink
from benchmarks.grid import UPLOAD, Cell, Folder, Grid
from benchmarks.peers import Comparison
from benchmarks.programs import FLOOR, OURS, programs
from benchmarks.results import Row, table

# One file that is sent in parts, so that both ways of sending are seen.
SHAPE = dataclasses.replace(TINY, big_files=1, big_bytes=17 * MIB)


def run(command: Sequence[str] = UPLOAD) -> int:
    """Upload a tiny folder once; 1 where the counts are wrong, each difference named."""
    with tempfile.TemporaryDirectory(prefix="run-folder-") as parent, running_sink() as sink:
        folder = Folder.read(make_run_folder(parent, SHAPE))
        grid = Grid(folder, [Cell(1, 4)], 1, "benchmark", "smoke", command, warm_up=False, timeout_seconds=60)
        (row,) = grid.run(sink, _say)
    wrong = differences(row, folder)
    print("\n".join(wrong) or table([row]))
    return int(bool(wrong))


def compare(names: Sequence[str] = (OURS, FLOOR)) -> int:
    """Upload a tiny folder once with each program over TLS, as the comparison does; 1 where the counts are wrong."""
    with tempfile.TemporaryDirectory(prefix="run-folder-") as parent, running_sink(tls=True, latency_ms=1) as sink:
        folder = Folder.read(make_run_folder(parent, SHAPE))
        setup = Setup("tiny", "https", 1)
        runs = Comparison(setup, folder, programs(names, ""), 0, 0, "benchmark", 60).run(sink, _say)
    wrong = [f"{found.program}: {text}" for found in runs for text in differences(found, folder)]
    print("\n".join(wrong) or f"{', '.join(names)}: {folder.files} files, {folder.bytes} bytes each over TLS")
    return int(bool(wrong))


def differences(row: Row | Run, folder: Folder) -> list[str]:
    """Return what is not as it has to be."""
    found = [row.failure] if row.failure else []
    if (row.files, row.bytes) != (folder.files, folder.bytes):
        found.append(f"{row.files} files, {row.bytes} bytes arrived, not {folder.files} and {folder.bytes}")
    if row.requests is None or row.requests < folder.files:
        found.append(f"{row.requests} requests for {folder.files} files")
    if not (row.seconds > 0 and row.cpu_seconds > 0):
        found.append("no time was taken")
    return found


def _say(text: str) -> None:
    print(text, file=sys.stderr)
