"""Sample IDs of a run: Illumina sample sheets v1 and v2, bare CASAVA tables, Element run manifests.

Real sheets come from instruments, LIMS, spreadsheets and hands. The reading is lenient about form (encoding,
line ends, separator, padding, order of sections). What could be read in two ways is refused with its place:
the IDs decide where a run goes.
"""

from __future__ import annotations

import codecs
import csv
import os
import re
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise

MAX_SHEET_BYTES = 16 * 1024 * 1024
_MAX_SECTIONS = 1000
_MAX_HEADER = 100_000  # characters; less than the csv module takes in a cell
_ENCODINGS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_SHEET_NAME = re.compile(r".*sample[-_ ]?sheet.*\.csv$", re.IGNORECASE)
_OTHER_NAMES = frozenset({"uploadlist.csv", "runmanifest.csv"})
_ID_TITLES = frozenset({"sample_id", "sampleid", "sample id", "sample-id"})
_NAME_TITLES = frozenset({"samplename"})  # the ID in Element's manifests; Illumina's Sample_Name is no ID
_TITLE_CELL = re.compile(r'(?:^|([,;\t]))[ "]*sample(?:[-_ ]?id|name)[ "]*(?:$|([,;\t]))', re.IGNORECASE)
_COMMENT = re.compile(r'[ \t"]*#')
_RANKS = {"bclconvert_data": 0, "data": 1, "samples": 3}
_OTHER_DATA, _NOT_FOR_SAMPLES = 2, 4


class SampleSheetError(Exception):
    """An unusable sheet; the text is one sentence: file, line, column (from 1, if known), reason, remedy."""


def parse_samples(content: bytes, name: str = "SampleSheet.csv") -> list[str]:
    """Return the sample IDs in order, each once, without outer blanks; `name` is for error messages only.

    The first of [BCLConvert_Data], [Data], other *_Data sections and [Samples] that holds samples decides; a
    table elsewhere counts only where the sheet has none of these. Lines starting with `#`, blank lines and
    rows without an ID are passed over. Any bytes give a non-empty list or SampleSheetError, in linear time.
    """
    return _parse(_lines(content, name), name)


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
    return _parse(first, _shown(paths[0]))


def first_mismatch(samples: Sequence[str], pattern: re.Pattern[str]) -> str | None:
    """Return the first sample in which `pattern.search` finds nothing, or None where all match."""
    return next((sample for sample in samples if not pattern.search(sample)), None)


def _lines(content: bytes, name: str) -> list[str]:
    """Return the lines without their ends and without blank lines at the end."""
    if len(content) > MAX_SHEET_BYTES:
        raise SampleSheetError(f"{name}: over {MAX_SHEET_BYTES >> 20} MiB, so no sample sheet; replace it")
    encoding = next((encoding for mark, encoding in _ENCODINGS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as err:
        if encoding == "utf-16":
            raise SampleSheetError(f"{name}: broken UTF-16 ({err.reason}); save it again as UTF-8") from err
        text = content.removeprefix(codecs.BOM_UTF8).decode("latin-1")
    text = text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if (nul := text.find("\0")) >= 0:  # UTF-16 without its mark, or a file whose end was never written
        line = text.count("\n", 0, nul) + 1
        raise SampleSheetError(f"{name}, line {line}: a NUL, so no plain text; save it again as UTF-8")
    return text.rstrip().split("\n")  # not splitlines(): that also splits at characters found inside cells


def _parse(lines: list[str], name: str) -> list[str]:
    tables = _tables(lines, name)
    for _, parts in tables:
        samples = dict.fromkeys(sample for part in parts for sample in _samples(lines, part, name) if sample)
        if samples:
            return list(samples)
    raise _refusal(lines, tables, name)


def _tables(lines: list[str], name: str) -> list[tuple[int, list[range]]]:
    """Return (rank, line indices of each section of a name), best first; others if none is for samples."""
    titles = ((index, title) for index, line in enumerate(lines) if (title := _section(line)) is not None)
    found = [(-1, ""), *islice(titles, _MAX_SECTIONS + 1), (len(lines), "")]
    if len(found) > _MAX_SECTIONS + 2:
        raise SampleSheetError(f"{name}: over {_MAX_SECTIONS} sections, so no sample sheet; replace the file")
    sections: dict[str, list[range]] = {}
    for (index, title), (stop, _) in pairwise(found):
        sections.setdefault(title, []).append(range(index + 1, stop))
    others = {title: _OTHER_DATA for title in sections if title.endswith("_data")} | _RANKS
    ranked = [(others.get(title, _NOT_FOR_SAMPLES), parts) for title, parts in sections.items()]
    ranked.sort(key=lambda table: table[0])
    return [table for table in ranked if table[0] < _NOT_FOR_SAMPLES] or ranked


def _section(line: str) -> str | None:
    """Return `data` for `[Data]`, however padded or quoted; None for any other line, `[S1],ACGT` included."""
    bare = line.strip(' \t,;"')
    return bare[1:-1].strip().lower() if bare.startswith("[") and bare.find("]") == len(bare) - 1 else None


def _samples(lines: list[str], part: range, name: str) -> Iterator[str]:
    """Yield the ID of each row below the section's header row, "" for a row without."""
    if (header := _find_header(lines, part, name)) is None:
        return
    index, column, separator = header
    body = ("\n" if _COMMENT.match(lines[i]) else lines[i] + "\n" for i in range(index + 1, part.stop))
    rows = csv.reader(body, delimiter=separator, skipinitialspace=True, strict=True)
    while True:
        line = index + rows.line_num + 2  # where the row begins: a quoted cell may go on over several lines
        try:
            row = next(rows, None)
        except csv.Error as err:
            raise SampleSheetError(f"{name}, line {line}: broken row ({err}); correct its quotes") from err
        if row is None:
            return
        sample = row[column].strip() if column < len(row) else ""
        if "\n" in sample:
            raise SampleSheetError(f"{name}, line {line}: a line break in the sample ID; correct its quotes")
        if sample.lower() not in _ID_TITLES | _NAME_TITLES:  # sheets that were joined repeat the header row
            yield sample


def _find_header(lines: list[str], part: range, name: str) -> tuple[int, int, str] | None:
    """Return line index, column index and separator of the first row that names a column of sample IDs."""
    likely = [(i, at) for i in part if (at := _TITLE_CELL.search(lines[i])) and not _COMMENT.match(lines[i])]
    element = part.start > 0 and _section(lines[part.start - 1]) == "samples"
    for wanted in (_NAME_TITLES, _ID_TITLES) if element else (_ID_TITLES, _NAME_TITLES):
        for index, cell in likely:
            separator = cell[1] or cell[2] or ","
            line = lines[index][:_MAX_HEADER]
            titles = next(csv.reader([line], delimiter=separator, skipinitialspace=True))
            column = next((at for at, title in enumerate(titles) if title.strip().lower() in wanted), -1)
            if column >= 0:
                if line.count('"') % 2:  # the row goes on or began on another line: its columns are unknown
                    raise SampleSheetError(f"{name}, line {index + 1}: an open quote in the titles; close it")
                return index, column, separator
    return None


def _refusal(lines: list[str], tables: list[tuple[int, list[range]]], name: str) -> SampleSheetError:
    """Say why no section gave a sample."""
    if lines == [""]:
        return SampleSheetError(f"{name}: the sheet is empty; put the run's sample sheet there")
    for header in (_find_header(lines, part, name) for _, parts in tables for part in parts):
        if header:
            place = f"{name}, line {header[0] + 1}, column {header[1] + 1}"
            return SampleSheetError(f"{place}: no sample ID below this title; add a row for each sample")
    rank, parts = tables[0]
    if rank < _NOT_FOR_SAMPLES:
        return SampleSheetError(f"{name}, line {parts[0].start}: a section without Sample_ID column; add it")
    return SampleSheetError(f"{name}: no table of samples; add a [Data] section with a Sample_ID column")


def _read_lines(path: str) -> list[str]:
    try:
        with open(path, "rb") as sheet:
            return _lines(sheet.read(MAX_SHEET_BYTES + 1), _shown(path))
    except OSError as err:
        raise SampleSheetError(f"{_shown(path)}: cannot be read ({err.strerror}); make it readable") from err


def _shown(path: str) -> str:
    """Return the path with bytes that are not UTF-8 as backslash escapes, so that it can be printed."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
