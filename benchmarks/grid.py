"""Time ``upload`` over a grid of worker processes and requests in flight, several times each.

An upload is a time only where the command ended with 0 and every file and byte of the folder arrived.
Repeats go around the whole grid, so that a machine that becomes slower does so for all cells.
"""

import argparse
import contextlib
import os
import secrets
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import IO, Any

from async_s3_upload.demo.run_folder import BIG, SMALL, TINY, make_run_folder
from benchmarks.destination import Destination, EndpointDestination, Received, running_sink
from benchmarks.grid_plots import plot_grid
from benchmarks.process_tree import Usage, measure
from benchmarks.results import MIB, Row, medians, table, write_json, write_tsv

SHAPES = {"small": SMALL, "big": BIG, "tiny": TINY}
UPLOAD = (sys.executable, "-m", "async_s3_upload")


@dataclass(frozen=True, slots=True)
class Folder:
    """The run folder that goes up, and what it holds."""

    path: str
    files: int
    bytes: int

    @classmethod
    def read(cls, path: str) -> "Folder":
        """Count the regular files below ``path``."""
        sizes = [
            os.path.getsize(file)
            for parent, _, names in os.walk(path)
            for file in (os.path.join(parent, name) for name in names)
            if os.path.isfile(file)
        ]
        return cls(path, len(sizes), sum(sizes))


@dataclass(frozen=True, slots=True)
class Cell:
    """One setting of the command."""

    cores: int
    concurrency: int
    part_size_mib: int | None = None  # the uploader's own choice where it is not said

    def arguments(self) -> list[str]:
        """Return the options that choose this setting."""
        parts = ["--part-size", str(self.part_size_mib)] if self.part_size_mib else []
        return ["--cores", str(self.cores), "--concurrency", str(self.concurrency), *parts]

    def __str__(self) -> str:
        """Name it so that it can be part of a key."""
        return f"{self.cores}x{self.concurrency}" + (f"x{self.part_size_mib}" if self.part_size_mib else "")


@dataclass(frozen=True, slots=True)
class Grid:
    """What to run; ``command`` is the uploader, to which ``upload ...`` is added."""

    folder: Folder
    cells: Sequence[Cell]
    repeats: int
    bucket: str
    remote_path: str
    command: Sequence[str] = UPLOAD
    warm_up: bool = True
    timeout_seconds: float = 3600.0

    def run(self, destination: Destination, say: Callable[[str], None]) -> list[Row]:
        """Upload once to warm up, then every cell ``repeats`` times; a failed warm-up stays alone."""
        rows = []
        if self.warm_up:
            rows.append(self._upload(destination, self.cells[0], 0))
            say(_line(rows[-1]))
            if rows[-1].failure:
                return rows
        for repeat, cell in product(range(1, self.repeats + 1), self.cells):
            rows.append(self._upload(destination, cell, repeat))
            say(_line(rows[-1]))
        return rows

    def _upload(self, destination: Destination, cell: Cell, repeat: int) -> Row:
        """Upload with a fresh log folder to a fresh remote path, which is empty again afterwards."""
        prefix = f"{self.remote_path.strip('/')}/{cell}-{repeat}".lstrip("/")
        with tempfile.TemporaryDirectory(prefix="upload-log-") as log_dir, tempfile.TemporaryFile() as said:
            command = [*self.command, "upload", *self._arguments(prefix, log_dir), *cell.arguments()]
            destination.mark()
            try:
                usage = measure(
                    command,
                    env=destination.environment(),
                    stderr=said,
                    timeout_seconds=self.timeout_seconds,
                )
            finally:
                received = destination.received(self.bucket, prefix)
            failure = failure_of(usage, received, self.folder)
            if usage.exit_code:
                failure = f"{failure}: {tail(said)}"
        return Row(
            cores=cell.cores,
            concurrency=cell.concurrency,
            repeat=repeat,
            seconds=round(usage.seconds, 4),
            peak_rss_mb=round(usage.peak_rss_bytes / MIB, 2),
            peak_pss_mb=round(usage.peak_pss_bytes / MIB, 2),
            cpu_seconds=round(usage.cpu_seconds, 3),
            files=received.objects,
            bytes=received.bytes,
            requests=received.requests,
            exit_code=usage.exit_code,
            failure=failure,
            sink_cpu_seconds=received.sink_cpu_seconds,
            part_size_mib=cell.part_size_mib,
        )

    def _arguments(self, prefix: str, log_dir: str) -> list[str]:
        where = ["--local-path", self.folder.path, "--bucket", self.bucket, "--remote-path", prefix]
        return [*where, "--skip-check", "--log-dir", log_dir, "--json"]


def failure_of(usage: Usage, received: Received, folder: Folder) -> str:
    """Return why an upload is not a time, or an empty string where it is one."""
    if usage.timed_out:
        return "timed out"
    if usage.exit_code:
        return f"exit code {usage.exit_code}"
    if received.bytes < folder.bytes:
        return f"{received.bytes} of {folder.bytes} bytes arrived"
    if received.objects < folder.files:
        return f"{received.objects} of {folder.files} files arrived"
    return ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``grid``."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--local-path", "--local_path", help="a run folder to upload")
    source.add_argument("--shape", choices=SHAPES, default="small", help="or make one up (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the made-up folder (default: %(default)s)")
    parser.add_argument("--cores", type=positive, nargs="+", default=[1, 2], metavar="N")
    parser.add_argument("--concurrency", "--threads", type=positive, nargs="+", default=[4, 16], metavar="M")
    parser.add_argument("--part-sizes", type=positive, nargs="+", metavar="MIB", help="default: the uploader's own")
    parser.add_argument("--repeats", type=positive, default=3, help="uploads a cell (default: %(default)s)")
    parser.add_argument("--endpoint-url", help="a real endpoint, with the AWS_* environment, in place of a sink")
    parser.add_argument("--bucket", default="benchmark", help="has to exist at a real endpoint")
    parser.add_argument("--remote-path", "--remote_path", default="async-s3-upload-benchmark")
    parser.add_argument("--out", default=".", help="folder for the TSV and the JSON (default: this one)")
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds for one upload (default: %(default)s)")
    parser.add_argument("--command", type=shlex.split, default=UPLOAD, help="another build of the uploader")


def run(options: argparse.Namespace) -> int:
    """Run the grid, write the results and print the medians; 1 where any upload was not a time."""
    if options.part_sizes and not _knows_part_sizes(options.command):
        print("this build of the uploader has no option --part-size", file=sys.stderr)
        return 2
    date, started = time.strftime("%Y-%m-%dT%H:%M:%S%z"), time.strftime("%Y%m%d_%H%M%S")
    with _folder(options) as folder, _destination(options) as destination:
        grid = Grid(
            folder=folder,
            cells=[Cell(*parts) for parts in product(options.cores, options.concurrency, options.part_sizes or [None])],
            repeats=options.repeats,
            bucket=options.bucket,
            # Nobody else's: what lies below it is deleted afterwards.
            remote_path=f"{options.remote_path.strip('/')}/{started}-{secrets.token_hex(4)}",
            command=options.command,
            timeout_seconds=options.timeout,
        )
        print(f"{folder.files} files, {folder.bytes} bytes, to {destination.name}", file=sys.stderr)
        rows = grid.run(destination, lambda text: print(text, file=sys.stderr))
        about = {"date": date} | describe(options, folder, destination)
    os.makedirs(options.out, exist_ok=True)
    base = os.path.join(options.out, f"s3_upload_benchmark_{started}")
    write_tsv(f"{base}.tsv", rows)
    write_json(f"{base}.json", about, rows)
    plot_grid(base, medians(rows))
    print(f"{table(rows)}\n\nmedians; written to {base}.tsv and .json, plots to {base}_heat.* and _lines.*")
    return int(any(row.failure for row in rows))


def describe(options: argparse.Namespace, folder: Folder, destination: Destination) -> dict[str, Any]:
    """Return what was run, for the JSON."""
    return {
        "destination": destination.name,
        "shape": None if options.local_path else options.shape,
        "seed": None if options.local_path else options.seed,
        "folder": {"name": os.path.basename(folder.path), "files": folder.files, "bytes": folder.bytes},
        "cores": options.cores,
        "concurrency": options.concurrency,
        "part_sizes_mib": options.part_sizes,
        "repeats": options.repeats,
    }


@contextlib.contextmanager
def _folder(options: argparse.Namespace) -> Iterator[Folder]:
    if options.local_path:
        yield Folder.read(os.path.abspath(options.local_path))
        return
    with tempfile.TemporaryDirectory(prefix="run-folder-") as parent:
        yield Folder.read(make_run_folder(parent, SHAPES[options.shape], options.seed))


@contextlib.contextmanager
def _destination(options: argparse.Namespace) -> Iterator[Destination]:
    if options.endpoint_url:
        yield EndpointDestination(options.endpoint_url)
        return
    with running_sink() as sink:
        yield sink


def _knows_part_sizes(command: Sequence[str]) -> bool:
    environment = dict(os.environ) | {"COLUMNS": "200", "NO_COLOR": "1"}
    help_text = subprocess.run([*command, "upload", "--help"], env=environment, capture_output=True, text=True)
    return "--part-size" in help_text.stdout


def _line(row: Row) -> str:
    name = f"repeat {row.repeat}" if row.repeat else "warm-up"
    figures = f"{row.seconds:.2f} s, {row.cpu_seconds:.2f} s of CPU, {row.peak_pss_mb:.0f} MiB"
    return f"{name}: cores {row.cores}, concurrency {row.concurrency}: {row.failure or figures}"


def tail(file: IO[bytes], size: int = 500) -> str:
    """Return the end of what a program said."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - size))
    return file.read().decode(errors="replace").strip()


def positive(text: str) -> int:
    """Read a whole number of 1 or more; ValueError otherwise."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number
