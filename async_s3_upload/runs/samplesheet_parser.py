"""Sample IDs of a run: Illumina sample sheets v1 and v2, bare CASAVA tables, Element run manifests.

Real sheets come from instruments, LIMS, spreadsheets and hands. The reading is lenient about form (encoding,
line ends, separator, padding, order of sections). What could be read in two ways is refused with its place:
the IDs decide where a run goes.
"""

from __future__ import annotations

import codecs
import csv
import re
import string
from collections.abc import Iterator
from itertools import islice, pairwise

MAX_SHEET_BYTES = 16 * 1024 * 1024
MAX_LINES = 200_000  # ten times what the biggest flow cell needs; bounds time and memory
_MAX_SECTIONS = 1000
_MAX_HEADER = 100_000  # characters; less than the csv module takes in a cell
_ENCODINGS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_ID_TITLES = frozenset({"sample_id", "sampleid", "sample id", "sample-id"})
_NAME_TITLES = frozenset({"samplename"})  # the ID in Element's manifests; Illumina's Sample_Name is no ID
_TITLE_CELL = re.compile(r'(?:^|([,;\t]))[ \xa0"]*sample(?:[-_ ]?id|name)[ \xa0"]*(?:$|([,;\t]))', re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_COMMENT = re.compile(r'[ \t"]*#')
_TITLES = _ID_TITLES | _NAME_TITLES
_RANKS = {"bclconvert_data": 0, "data": 1, "samples": 3}
_OTHER_DATA, _NOT_FOR_SAMPLES = 2, 4


class SampleSheetError(Exception):
    """An unusable sheet; the text is one sentence: file, line, column, reason, remedy.

    Lines and columns count from 1; columns are those of a spreadsheet: cells, not characters. What is wrong with
    the sheet as a whole (empty, too big, no table) has no line.
    """


def parse_samples(content: bytes, name: str = "SampleSheet.csv") -> list[str]:
    """Return the sample IDs in order, each once, without outer blanks; `name` is for error messages only.

    The first of [BCLConvert_Data], [Data], other *_Data sections and [Samples] that holds samples decides; a
    table elsewhere counts only where the sheet has none of these. Lines starting with `#`, blank lines and
    rows without an ID are passed over. Any bytes give a non-empty list or SampleSheetError, in linear time.
    """
    return samples_in(sheet_lines(content, name), name)


def sheet_lines(content: bytes, name: str) -> list[str]:
    """Return the lines without their ends and without blank lines at the end, or raise SampleSheetError."""
    if len(content) > MAX_SHEET_BYTES:
        raise SampleSheetError(f"{name}: over {MAX_SHEET_BYTES >> 20} MiB, so no sample sheet; replace it")
    encoding = next((encoding for mark, encoding in _ENCODINGS if content.startswith(mark)), "utf-8")
    try:
        text = _plain(content.decode(encoding))
    except UnicodeDecodeError as err:
        if encoding == "utf-16":
            place = _place(name, _plain(content[: err.start].decode(encoding, "ignore")))
            raise SampleSheetError(f"{place}: broken UTF-16 ({err.reason}); save it again as UTF-8") from err
        text = _plain(content.removeprefix(codecs.BOM_UTF8).decode("latin-1"))
    if (nul := text.find("\0")) >= 0:  # UTF-16 without its mark, or a file whose end was never written
        raise SampleSheetError(f"{_place(name, text[:nul])}: a NUL, so no plain text; save it again as UTF-8")
    text = text.rstrip("\x1a" + string.whitespace)  # DOS ended text with a Ctrl-Z
    if text.count("\n") >= MAX_LINES:
        place = f"{name}, line {MAX_LINES + 1}, column 1"
        raise SampleSheetError(f"{place}: over {MAX_LINES} lines, so no sample sheet; replace it")
    return text.split("\n")  # not splitlines(): that also splits at characters found inside cells


def _plain(text: str) -> str:
    r"""Return the text with `\n` as line end, without byte order marks (joined files have some inside)."""
    return text.replace("\ufeff", "").replace("\r\n", "\n").replace("\r", "\n")


def _place(name: str, before: str) -> str:
    """Return file, line and column of what comes after the text `before`, by its likely separator."""
    row = before[before.rfind("\n") + 1 :]
    column = max(row.count(separator) for separator in ",;\t") + 1
    return f"{name}, line {before.count(chr(10)) + 1}, column {column}"


def samples_in(lines: list[str], name: str) -> list[str]:
    """Return what parse_samples does, for the lines of a sheet."""
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
        place = f"{name}, line {found[_MAX_SECTIONS + 1][0] + 1}, column 1"
        raise SampleSheetError(f"{place}: over {_MAX_SECTIONS} sections, so no sample sheet; replace it")
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
        start = index + 1 + rows.line_num  # where the row begins: a quoted cell may go on over several lines
        try:
            row = next(rows, None)
        except csv.Error as err:
            cell = _broken_cell("\n".join(lines[start : index + 1 + rows.line_num]), separator)
            place = f"{name}, line {start + 1}, column {cell}"
            raise SampleSheetError(f"{place}: broken row ({err}); correct its quotes") from err
        if row is None:
            return
        sample = row[column].strip() if column < len(row) else ""
        if _CONTROL.search(sample):
            what = "a line break" if "\n" in sample else "a control character"
            raise SampleSheetError(
                f"{name}, line {start + 1}, column {column + 1}: {what} in the sample ID; correct it"
            )
        if sample.lower() not in _TITLES:  # sheets that were joined repeat the header row
            yield sample


def _broken_cell(row: str, separator: str) -> int:
    """Return the number of the first cell, from 1, with broken quotes or too long for the csv module."""
    whole = re.compile(rf' *+(?:"[^"]*+(?:""[^"]*+)*+"|(?!")[^{separator}]*+)(?={separator}|\Z)')
    number, at = 1, 0
    while (cell := whole.match(row, at)) and cell.end() < len(row) and cell.end() - at <= csv.field_size_limit():
        number, at = number + 1, cell.end() + 1
    return number


def _find_header(lines: list[str], part: range, name: str) -> tuple[int, int, str] | None:
    """Return line index, column index and separator of the first row that names a column of sample IDs."""
    hopeful = (i for i in part if "sample" in lines[i].lower())  # ten times as fast as the pattern
    likely = [(i, at) for i in hopeful if (at := _TITLE_CELL.search(lines[i])) and not _COMMENT.match(lines[i])]
    element = part.start > 0 and _section(lines[part.start - 1]) == "samples"
    for wanted in (_NAME_TITLES, _ID_TITLES) if element else (_ID_TITLES, _NAME_TITLES):
        header: tuple[int, int, str] | None = None
        for index, cell in likely:
            separator = cell[1] or cell[2] or ","
            line = lines[index][:_MAX_HEADER]
            titles = next(csv.reader([line], delimiter=separator, skipinitialspace=True))
            columns = [at for at, title in enumerate(titles) if title.strip().lower() in wanted]
            is_open = line.count('"') % 2 == 1  # the row goes on or began on another line: its columns are unknown
            if not columns or (header and is_open):
                continue
            if is_open:
                opened = len(next(csv.reader([line[: line.rfind('"')]], delimiter=separator), [])) or 1
                raise SampleSheetError(
                    f"{name}, line {index + 1}, column {opened}: an open quote in the titles; close it"
                )
            place = f"{name}, line {index + 1}, column {columns[-1] + 1}"
            if len(columns) > 1:
                raise SampleSheetError(f"{place}: a second column of sample IDs; remove one")
            if header and header[1:] != (columns[0], separator):
                raise SampleSheetError(f"{place}: the sample IDs change their column or separator here; make it one")
            header = header or (index, columns[0], separator)
        if header:
            return header
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
        return SampleSheetError(f"{name}, line {parts[0].start}, column 1: a section without Sample_ID column; add it")
    return SampleSheetError(f"{name}: no table of samples; add a [Data] section with a Sample_ID column")
