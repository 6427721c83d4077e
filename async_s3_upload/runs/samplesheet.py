"""The sample sheets in a run folder: which files they are, and the sample IDs they give."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from async_s3_upload.runs.samplesheet_parser import (
    MAX_SHEET_BYTES,
    SampleSheetError,
    parse_samples,
    samples_in,
    sheet_lines,
)
from async_s3_upload.text import one_line, printable

__all__ = [
    "MAX_SHEET_BYTES",
    "SampleSheetError",
    "find_sample_sheets",
    "first_mismatch",
    "parse_samples",
    "read_samples",
]

_SHEET_NAME = re.compile(r"(?!\._).*sample[-_ ]?sheet.*\.csv$", re.IGNORECASE)  # `._x` is what macOS keeps about x
_OTHER_NAMES = frozenset({"uploadlist.csv", "runmanifest.csv"})


def find_sample_sheets(run_dir: str) -> list[str]:
    """Return the sorted absolute paths of the regular files (links followed) in the folder named like sheets.

    `UploadList.csv` and `RunManifest.csv` count only where there is no file named like a sample sheet. Raises
    SampleSheetError where the folder cannot be read.
    """
    try:
        with os.scandir(run_dir) as entries:
            named = [e for e in entries if _SHEET_NAME.match(e.name) or e.name.lower() in _OTHER_NAMES]
            names = [entry.name for entry in named if entry.is_file()]
    except OSError as err:
        raise SampleSheetError(f"{_shown(run_dir)}: cannot be read ({err.strerror}); make it readable") from err
    names = [name for name in names if _SHEET_NAME.match(name)] or names
    return sorted(os.path.abspath(os.path.join(run_dir, name)) for name in names)


def read_samples(run_dir: str) -> list[str]:
    """Return the sample IDs of a run folder, as parse_samples does.

    Several sheets are fine where their texts are the same, line ends and trailing blank lines aside. Raises
    SampleSheetError where there is no sheet, where sheets differ, and where one cannot be read or used.
    """
    if not (paths := find_sample_sheets(run_dir)):
        raise SampleSheetError(f"{_shown(run_dir)}: no sample sheet in the folder; put the run's there")
    first = _read_lines(paths[0])
    if any(_read_lines(path) != first for path in paths[1:]):
        names = ", ".join(_shown(os.path.basename(path)) for path in paths)
        raise SampleSheetError(f"{_shown(run_dir)}: the sample sheets {names} differ; keep the right one")
    return samples_in(first, _shown(paths[0]))


def first_mismatch(samples: Sequence[str], pattern: re.Pattern[str]) -> str | None:
    """Return the first sample in which `pattern.search` finds nothing, or None where all match."""
    return next((sample for sample in samples if not pattern.search(sample)), None)


def _read_lines(path: str) -> list[str]:
    try:
        with open(path, "rb") as sheet:
            return sheet_lines(sheet.read(MAX_SHEET_BYTES + 1), _shown(path))
    except OSError as err:
        raise SampleSheetError(f"{_shown(path)}: cannot be read ({err.strerror}); make it readable") from err


def _shown(path: str) -> str:
    """Return the path so that it can be printed on one line, whatever bytes it is made of."""
    return one_line(printable(path))
