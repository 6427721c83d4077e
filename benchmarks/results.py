"""What a benchmark found: rows, medians, and the files and the table made from them."""

import importlib.metadata
import json
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

MIB = 1024 * 1024
# The first four are those of the replaced tool's benchmark, so that its files and ours can be read together.
TSV_COLUMNS = (
    "cores",
    "threads",
    "elapsed time (h:m:s)",
    "maximum resident set size (mb)",
    "repeat",
    "seconds",
    "peak_pss_mb",
    "cpu_seconds",
    "files",
    "bytes",
    "requests",
    "mb_per_s",
    "exit_code",
    "failure",
    "part_size_mib",
)
_LIBRARIES = ("async-s3-upload", "aiobotocore", "aiohttp", "awscrt", "uvloop")


@dataclass(frozen=True, slots=True)
class Row:
    """One upload. Memory is in MiB, rates in 10^6 bytes a second; ``repeat`` 0 is the warm-up.

    ``failure`` says why an upload is not a time, empty where it is one; ``seconds`` then says only how long
    it took to fail and goes into no median. ``files`` and ``bytes`` are what the destination received.
    """

    cores: int
    concurrency: int
    repeat: int
    seconds: float
    peak_rss_mb: float
    peak_pss_mb: float
    cpu_seconds: float
    files: int
    bytes: int
    requests: int | None
    exit_code: int
    failure: str = ""
    sink_cpu_seconds: float | None = None
    part_size_mib: int | None = None

    @property
    def mb_per_s(self) -> float:
        """How many 10^6 bytes went up a second."""
        return self.bytes / self.seconds / 1e6


@dataclass(frozen=True, slots=True)
class Median:
    """One cell of the grid: medians over its uploads that are times, None where there is none."""

    cores: int
    concurrency: int
    times: int
    failed: int
    seconds: float | None
    peak_rss_mb: float | None
    peak_pss_mb: float | None
    cpu_seconds: float | None
    mb_per_s: float | None
    part_size_mib: int | None = None


def medians(rows: Iterable[Row]) -> list[Median]:
    """Return one median for each cell, in the order of their first rows; warm-ups are left out."""
    cells: dict[tuple[int, int, int | None], list[Row]] = {}
    for row in rows:
        if row.repeat:
            cells.setdefault((row.cores, row.concurrency, row.part_size_mib), []).append(row)
    return [_median(*setting, cell) for setting, cell in cells.items()]


def _median(cores: int, concurrency: int, part_size_mib: int | None, cell: Sequence[Row]) -> Median:
    times = [row for row in cell if not row.failure]

    def middle(name: str) -> float | None:
        return round(statistics.median(getattr(row, name) for row in times), 3) if times else None

    return Median(
        cores=cores,
        concurrency=concurrency,
        times=len(times),
        failed=len(cell) - len(times),
        seconds=middle("seconds"),
        peak_rss_mb=middle("peak_rss_mb"),
        peak_pss_mb=middle("peak_pss_mb"),
        cpu_seconds=middle("cpu_seconds"),
        mb_per_s=middle("mb_per_s"),
        part_size_mib=part_size_mib,
    )


def write_tsv(path: str, rows: Iterable[Row]) -> None:
    """Write one line a row, without good warm-ups; what is not a time has ``failed`` in its place."""
    lines = ["\t".join(TSV_COLUMNS), *("\t".join(_cells(row)) for row in rows if row.repeat or row.failure)]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def write_json(path: str, about: dict[str, Any], rows: Sequence[Row]) -> None:
    """Write the same rows with what is needed to judge and repeat them."""
    document = about | {
        "machine": machine(),
        "versions": versions(),
        "rows": [asdict(row) | {"mb_per_s": round(row.mb_per_s, 3)} for row in rows],
        "medians": [asdict(median) for median in medians(rows)],
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)
        file.write("\n")


def table(rows: Iterable[Row]) -> str:
    """Return the medians as a table for people."""
    lines: list[tuple[str, ...]] = [
        ("cores", "concurrency", "seconds", "MB/s", "CPU s", "PSS MiB", "RSS MiB", "times", "failed", "part MiB")
    ]
    for cell in medians(rows):
        figures = (cell.seconds, cell.mb_per_s, cell.cpu_seconds, cell.peak_pss_mb, cell.peak_rss_mb)
        shown = tuple("-" if figure is None else f"{figure:.2f}" for figure in figures)
        lines.append(
            (
                str(cell.cores),
                str(cell.concurrency),
                *shown,
                str(cell.times),
                str(cell.failed),
                str(cell.part_size_mib or "-"),
            )
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)) for line in lines)


def machine() -> dict[str, Any]:
    """Return what of the machine matters for a time; no names of hosts or users."""
    return {
        "platform": platform.platform(),
        "cpu": _first_field("/proc/cpuinfo", "model name") or platform.processor(),
        "cpus": os.cpu_count(),
        "cpus_usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory": _first_field("/proc/meminfo", "MemTotal"),
        "load_average": os.getloadavg(),
    }


def versions() -> dict[str, str | None]:
    """Return the versions of Python and of the libraries that carry the bytes, None where one is missing."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def _cells(row: Row) -> tuple[str, ...]:
    good = not row.failure
    return (
        str(row.cores),
        str(row.concurrency),
        _clock(row.seconds) if good else "failed",
        f"{row.peak_rss_mb:.2f}",
        str(row.repeat),
        f"{row.seconds:.3f}" if good else "",
        f"{row.peak_pss_mb:.2f}",
        f"{row.cpu_seconds:.3f}",
        str(row.files),
        str(row.bytes),
        "" if row.requests is None else str(row.requests),
        f"{row.mb_per_s:.2f}" if good else "",
        str(row.exit_code),
        " ".join(row.failure.split()),
        "" if row.part_size_mib is None else str(row.part_size_mib),
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}"


def _first_field(path: str, name: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return next((line.partition(":")[2].strip() for line in file if line.startswith(name)), "")
    except OSError:
        return ""
