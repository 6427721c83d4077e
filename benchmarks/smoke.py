"""A few seconds of benchmark for continuous integration: counts are asserted, times only have to be there."""

import dataclasses
import sys
import tempfile
from collections.abc import Sequence

from async_s3_upload.demo.run_folder import MIB, TINY, make_run_folder
from benchmarks.destination import running_sink
from benchmarks.grid import UPLOAD, Cell, Folder, Grid
from benchmarks.results import Row, table

# One file that is sent in parts, so that both ways of sending are seen.
SHAPE = dataclasses.replace(TINY, big_files=1, big_bytes=17 * MIB)


def run(command: Sequence[str] = UPLOAD) -> int:
    """Upload a tiny folder once; 1 where the counts are wrong, each difference named."""
    with tempfile.TemporaryDirectory(prefix="run-folder-") as parent, running_sink() as sink:
        folder = Folder.read(make_run_folder(parent, SHAPE))
        grid = Grid(folder, [Cell(1, 4)], 1, "benchmark", "smoke", command, warm_up=False, timeout_seconds=60)
        (row,) = grid.run(sink, lambda text: print(text, file=sys.stderr))
    wrong = differences(row, folder)
    print("\n".join(wrong) or table([row]))
    return int(bool(wrong))


def differences(row: Row, folder: Folder) -> list[str]:
    """Return what is not as it has to be."""
    found = [row.failure] if row.failure else []
    if (row.files, row.bytes) != (folder.files, folder.bytes):
        found.append(f"{row.files} files, {row.bytes} bytes arrived, not {folder.files} and {folder.bytes}")
    if row.requests is None or row.requests < folder.files:
        found.append(f"{row.requests} requests for {folder.files} files")
    if not (row.seconds > 0 and row.cpu_seconds > 0):
        found.append("no time was taken")
    return found
