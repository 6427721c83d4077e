"""Sample sheets written here, with the oddities seen in real ones."""

from __future__ import annotations

import codecs
import contextlib
import os
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from async_s3_upload.runs.samplesheet import (
    MAX_SHEET_BYTES,
    SampleSheetError,
    find_sample_sheets,
    first_mismatch,
    parse_samples,
    read_samples,
)
from async_s3_upload.runs.samplesheet_parser import MAX_LINES
from tests.fuzz.samplesheet import check

from .sheets import BARE_TABLE, RUN_MANIFEST, V1, V2


def refusal(content: bytes | str, name: str = "SampleSheet.csv") -> str:
    """Return the text of the error that the sheet gives."""
    with pytest.raises(SampleSheetError) as caught:
        parse_samples(content.encode() if isinstance(content, str) else content, name)
    return str(caught.value)


def samples(sheet: str) -> list[str]:
    return parse_samples(sheet.encode())


# What is read


def test_a_v1_sheet_gives_the_ids_of_its_data_section() -> None:
    assert samples(V1) == ["T1", "T2"]


def test_a_v2_sheet_gives_each_id_of_bclconvert_data_once_and_in_order() -> None:
    assert samples(V2) == ["T1", "T2"]


def test_an_element_manifest_gives_its_sample_names_phix_included() -> None:
    assert samples(RUN_MANIFEST) == ["PhiX", "T1"]


def test_a_table_without_any_section_line_is_read() -> None:
    assert samples(BARE_TABLE) == ["T1", "T2"]


@pytest.mark.parametrize("line_end", ["\r\n", "\r", "\n", "\r\r\n"])
@pytest.mark.parametrize("sheet", [V1, V2, RUN_MANIFEST], ids=["v1", "v2", "manifest"])
def test_line_ends_do_not_matter(sheet: str, line_end: str) -> None:
    assert samples(sheet.replace("\n", line_end)) == samples(sheet)


def test_line_ends_may_be_mixed_and_the_last_one_missing() -> None:
    assert samples("[Data]\r\nSample_ID,index\nT1,A\rT2,C\r\nT3,G") == ["T1", "T2", "T3"]


def test_characters_that_only_python_takes_for_line_ends_stay_within_their_cell() -> None:
    assert samples("Sample_ID,Description\nT\u20281,a\x85b\x0bc\nT2,\n") == ["T\u20281", "T2"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be-bom", "latin-1"])
def test_the_encoding_does_not_matter(encoding: str) -> None:
    text = "[Data]\nSample_ID,index\nSénégal,A\n"
    marked = codecs.BOM_UTF16_BE + text.encode("utf-16-be")
    assert parse_samples(marked if encoding == "utf-16-be-bom" else text.encode(encoding)) == ["Sénégal"]


def test_a_byte_order_mark_before_text_that_is_no_utf8_is_no_part_of_the_first_title() -> None:
    assert parse_samples(codecs.BOM_UTF8 + b"Sample_ID,index\nS\xe9,A\n") == ["Sé"]


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("sheet", [V1, V2, RUN_MANIFEST], ids=["v1", "v2", "manifest"])
def test_semicolons_and_tabs_separate_as_commas_do(sheet: str, separator: str) -> None:
    assert samples(sheet.replace(",", separator)) == samples(sheet)


@pytest.mark.parametrize("title", ["Sample_ID", "SampleID", "sample_id", "Sample ID", " SAMPLE_ID ", "SampleName"])
@pytest.mark.parametrize("row", ["{0}", "{0},Lane,index", "Lane,{0},index", "Lane,index,{0}", 'Lane,"{0}",index'])
def test_the_id_column_may_have_any_of_its_names_at_any_place(title: str, row: str) -> None:
    assert samples(f"[Data]\n{row.format(title)}\n{row.format('T1')}\n") == ["T1"]


def test_sample_id_wins_over_sample_name_outside_an_element_manifest() -> None:
    assert samples("[Data]\nSampleName,SampleID\nN1,T1\n") == ["T1"]
    assert samples("[Samples]\nSample_ID,SampleName\nN1,T1\n") == ["T1"]


def test_a_sample_id_column_will_do_in_a_samples_section() -> None:
    assert samples("[Samples]\nSample_ID,index\nT1,A\n") == ["T1"]


@pytest.mark.parametrize("padded", ["[Data]", "[Data],,,", "[Data];;", "[data]\t\t", " [ DATA ] ,", '"[Data]",""'])
def test_section_lines_may_be_padded_quoted_and_in_any_case(padded: str) -> None:
    assert samples(f"[Cloud_Data]\nSample_ID\nC1\n{padded}\nSample_ID,index\nT1,A\n") == ["T1"]


def test_rows_may_be_shorter_and_longer_than_the_header_row() -> None:
    assert samples("[Data],\nLane,Sample_ID,index\n1\n1,T1\n1,T2,A,,,\n1,T3,A,B,C,D\n") == ["T1", "T2", "T3"]


def test_blank_and_comma_only_lines_and_rows_without_id_do_not_end_the_table() -> None:
    assert samples("[Data]\n\nSample_ID,index\n\nT1,A\n,,\n\n ,C\n\t\nT2,G\n,\n") == ["T1", "T2"]


def test_quoted_cells_may_hold_separators_quotes_and_line_breaks() -> None:
    sheet = '[Data]\n"a,b","Sample_ID",note\n"x,y","T1","say ""hi"""\nx, "T,2", "two\nlines"\nx,T3,5" tube\n'
    assert samples(sheet) == ["T1", "T,2", "T3"]


def test_a_header_row_may_hold_quoted_separators_before_the_id_column() -> None:
    assert samples('"index, i7; forward",Sample_ID\nACGT,T1\n') == ["T1"]


def test_ids_keep_their_inner_blanks_and_odd_characters() -> None:
    odd = ["a/b\\c", "d+e?*[(", "it's `f`", "두 데이터", "[T1]x"]
    assert samples("Sample_ID,index\n" + "".join(f" {sample} ,A\n" for sample in odd)) == odd


def test_text_may_stand_before_the_first_section_and_between_data_and_its_header_row() -> None:
    assert samples(f"# PI,Someone\nmade by hand\n{V1}") == ["T1", "T2"]
    assert samples(V1.replace("[Data]\n", "[Data]\nThe sample id is the tube's,really\n\n")) == ["T1", "T2"]


def test_sections_after_the_data_give_no_samples() -> None:
    assert samples(f"{V1}[Contact]\nEmail,Sample_ID\nx@example.org,y\n") == ["T1", "T2"]


def test_lines_starting_with_a_hash_are_comments_even_where_they_look_like_a_header_row() -> None:
    assert samples('[Data]\n# now,without,Sample_ID\nindex,Sample_ID\n#A,T0\n"# a, b"\n# "odd\nA,T1\n') == ["T1"]


def test_an_id_in_square_brackets_starts_no_section_where_its_row_goes_on() -> None:
    assert samples("[Data]\nSample_ID,index\n[T1],A\nT2,C\n") == ["[T1]", "T2"]


def test_sections_of_the_same_name_are_read_as_one_and_repeated_header_rows_are_no_samples() -> None:
    sheet = "[Data]\nSample_ID,x\nT1,A\nSample_ID,x\nT2,A\n[Other]\n[DATA]\nx,Sample_ID\nA,T3\n"
    assert samples(sheet) == ["T1", "T2", "T3"]


@pytest.mark.parametrize("best", ["BCLConvert_Data", "Data", "TSO500_Data", "Samples"])
@pytest.mark.parametrize("order", [1, -1])
def test_the_best_section_decides_wherever_it_stands(best: str, order: int) -> None:
    names = ["BCLConvert_Data", "Data", "TSO500_Data", "Samples", "Notes"]
    chosen = names[names.index(best) :][::order]
    assert samples("".join(f"[{name}]\nSample_ID,x\nof {name},A\n" for name in chosen)) == [f"of {best}"]


def test_of_several_other_data_sections_the_first_with_samples_decides() -> None:
    sheet = "[A_Data]\nLane\n1\n[B_Data]\nSample_ID\n[C_Data]\nSample_ID\nT1\n[D_Data]\nSample_ID\nT2\n"
    assert samples(sheet) == ["T1"]


def test_a_missing_data_line_is_forgiven_where_a_sample_id_column_is_there_all_the_same() -> None:
    # Real sheets have lost the line; the header row leaves no doubt about what the table is.
    assert samples("[Header]\nDate,2020-01-24\n[Reads]\n151\n\nSample_ID,index\nT1,A\nT2,C\n") == ["T1", "T2"]


def test_marks_of_the_byte_order_within_joined_files_are_no_part_of_a_line() -> None:
    assert samples("\ufeff[Data]\nSample_ID\nT1\n\ufeff[Data]\nSample_ID\n\ufeffT2\n") == ["T1", "T2"]


def test_the_end_of_file_mark_of_dos_is_no_sample() -> None:
    assert samples("[Data]\r\nSample_ID\r\nT1\r\n\x1a") == samples("[Data]\nSample_ID\nT1\n\x1a\x1a\n") == ["T1"]


def test_a_title_may_be_padded_with_blanks_that_do_not_break() -> None:
    assert samples("[Data]\nLane,\xa0Sample_ID \xa0,x\n1,\xa0T1,A\n") == ["T1"]


# What is refused


def test_a_blank_title_over_the_ids_is_refused_rather_than_guessed_at() -> None:
    # Real sheets have lost the title too; Sample_Name often equals the ID, but not always.
    assert "line 1, column 1: a section without Sample_ID column" in refusal("[Data]\n,Sample_Name,index\nT1,T1,A\n")


def test_a_barcode_table_with_another_title_is_refused() -> None:
    # "sample" is the title in tables which are no sample sheets.
    assert "no table of samples" in refusal("sample\tbarcode_1\rT1\tACGT\r")


@pytest.mark.parametrize("content", ["", "\n\r\n", " \n\t", "\ufeff"])
def test_an_empty_sheet_is_called_empty(content: str) -> None:
    assert refusal(content) == "SampleSheet.csv: the sheet is empty; put the run's sample sheet there"


@pytest.mark.parametrize("content", ["DUMMY", "this is text\nno sheet\n", "[Header]\nDate,today\n", "[]\n"])
def test_text_without_a_table_is_refused(content: str) -> None:
    assert "SampleSheet.csv: no table of samples; add a [Data] section" in refusal(content)


def test_a_header_row_without_samples_is_named_with_line_and_column() -> None:
    assert "line 3, column 2: no sample ID below this title; add a row" in refusal("[Data]\n\nLane,Sample_ID\n1,\n\n")


def test_a_data_section_hides_a_table_elsewhere_even_where_it_gives_nothing() -> None:
    assert "line 3, column 1: a section without Sample_ID" in refusal("Sample_ID\nT1\n[Data]\nLane\n1\n")


@pytest.mark.parametrize(
    ("rows", "column"),
    [
        ('T1,"open\nT2,x\n', 2),
        ('T1,"a" b\nT2,x\n', 2),
        ('T1,"open\nT2,"x"\n', 2),
        ('"T1",5" tube,"a, ""b""\nand c", "d",x,"y" z\nT2,x\n', 6),
        (f'T1,,{"x" * 150_000},"y"\n', 3),
        (f'"T1",,"{"x" * 150_000}","y"\n', 3),
    ],
    ids=["open", "text after", "both", "over lines", "too long", "too long in quotes"],
)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_row_that_cannot_be_told_apart_is_refused_with_its_line_and_cell_as_it_could_hide_samples(
    rows: str, column: int, separator: str
) -> None:
    text = refusal(f"[Data]\nSample_ID,x\n\nT0,A\n{rows}".replace(",", separator), "/runs/one/sheet.csv")
    assert text.startswith(f"/runs/one/sheet.csv, line 5, column {column}: broken row")


@pytest.mark.parametrize(
    ("odd", "what"), [("T\n1", "a line break"), ("T\t1", "a control character"), ("T\x1b[1m", "a control character")]
)
def test_an_id_with_a_control_character_is_refused_with_the_place_where_it_begins(odd: str, what: str) -> None:
    assert f"line 3, column 2: {what} in the sample ID; correct it" in refusal(f'[Data]\nx,Sample_ID\nA,"{odd}"\n')


def test_two_columns_of_ids_are_refused_rather_than_one_of_them_chosen() -> None:
    assert "line 2, column 3: a second column of sample IDs; remove" in refusal("[Data]\nSampleID,x,Sample_ID\nA,B,C\n")
    assert samples("[Data]\nSample_ID,x,SampleName\nT1,A,N1\n") == ["T1"]


@pytest.mark.parametrize("joined", ["x,Sample_ID\nA,T2\n", "Sample_ID;x\nT2;A\n"])
def test_joined_tables_whose_ids_stand_in_different_columns_are_refused(joined: str) -> None:
    assert "change their column or separator here; make it one" in refusal(f"[Data]\nSample_ID,x\nT1,A\n{joined}")


def test_free_text_over_lines_that_looks_like_a_title_is_no_header_row() -> None:
    assert samples('[Data]\nSample_ID,x\nT1,"see\nz,Sample_ID,"\nT2,A\n') == ["T1", "T2"]


@pytest.mark.parametrize(
    ("titles", "place"),
    [
        ('Sample_ID,"index\n(i7)",x', "2, column 2"),
        ('Sample_ID,"a, b","index\n(i7)",x', "2, column 3"),
        ('Lane,"index\n(i7)",Sample_ID', "3, column 1"),
        ('"Sample_ID', "2, column 1"),
    ],
)
def test_a_header_row_broken_over_lines_is_refused_as_its_columns_are_not_known(titles: str, place: str) -> None:
    assert f"line {place}: an open quote in the titles; close it" in refusal(f"[Data]\n{titles}\nT1,T2,T3\n")


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("[Data]\nSample_ID\nT1\n\0\0\0", "4, column 1"),
        ("[Data]\r\nSample_ID,x\r\nT1,A\rT2,A\0", "4, column 2"),
        ("Lane;Sample_ID\n1, 2;T1;\0", "2, column 3"),
        ("\0" * 512, "1, column 1"),
    ],
)
def test_nul_characters_are_refused_with_their_place(content: str, place: str) -> None:
    assert f"line {place}: a NUL" in refusal(content)


def test_utf16_without_its_mark_is_refused() -> None:
    assert "line 1, column 1: a NUL, so no plain text" in refusal("Sample_ID\nT1\n".encode("utf-16-be"))


@pytest.mark.parametrize("mark", ["utf-16-le", "utf-16-be"])
def test_utf16_that_stops_within_a_character_is_refused_with_its_place(mark: str) -> None:
    content = "\ufeff[Data]\r\nSample_ID,x\r\nT1,A".encode(mark)
    assert "line 3, column 2: broken UTF-16" in refusal(content[:-1])


def test_a_header_row_of_excessive_length_is_read_as_far_as_it_makes_sense() -> None:
    assert samples(f"Sample_ID,{'x' * 200_000}\nT1,A\n") == ["T1"]
    assert "no table of samples" in refusal(f"{'x' * 200_000},Sample_ID\nT1,A\n")


def test_a_file_over_the_size_limit_is_refused_and_one_at_the_limit_is_read() -> None:
    sheet = b"Sample_ID\nT1\n" + b"#" * (MAX_SHEET_BYTES - 13)
    assert parse_samples(sheet) == ["T1"]
    assert refusal(sheet + b"#") == "SampleSheet.csv: over 16 MiB, so no sample sheet; replace it"


def test_a_sheet_of_too_many_lines_is_refused_before_they_are_read_and_one_at_the_limit_is_read() -> None:
    sheet = "Sample_ID\nT1\n" + "\n" * (MAX_LINES - 3) + "T2"
    assert samples(sheet) == ["T1", "T2"]
    assert samples(sheet + "\n" * 100) == ["T1", "T2"]
    assert "line 200001, column 1: over 200000 lines, so no sample sheet" in refusal(f"{sheet}\nT3")


def test_a_thousand_sections_are_read_and_more_are_refused() -> None:
    assert samples("[x]\n" * 999 + "[Data]\nSample_ID\nT1\n") == ["T1"]
    assert "line 1001, column 1: over 1000 sections" in refusal("[x]\n" * 1000 + "[Data]\nSample_ID\nT1\n")


# Any input


HOSTILE = [
    "\n",
    "\r",
    "\t",
    " ",
    ",",
    '"',
    ", ",
    ',"',
    "[",
    "[\n",
    '""sampleid\n',
    "a;sample_id,\n",
    "sampleid ",
    "#\n",
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_the_time_is_linear_in_the_length_of_the_sheet(unit: str) -> None:
    # Work that grows with the square takes hours for a million characters, linear work less than a second.
    times = min(1_000_000 // len(unit), MAX_LINES - 10 if set("\r\n") & set(unit) else 1_000_000)
    content = f"[Data]\nSample_ID,x\n{unit * times}x".encode()
    for sheet in (content, content[19:]):
        with contextlib.suppress(SampleSheetError):
            parse_samples(sheet)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE]))
def test_any_bytes_give_samples_or_a_refusal(content: bytes, mark: bytes) -> None:
    check(mark + content)


SECTIONS = ["[Data]", "[BCLConvert_Data]", "[x_Data]", "[Samples]"]
WORDS = [*SECTIONS, "Sample_ID", "SampleName", "sample-id", "T1", "T2"]
PIECES = st.sampled_from([*WORDS, *'[],;\t"#\n\r \ufeff\0é\x85\u2028한', "\n", "\r\n", '""'])


@settings(max_examples=500, deadline=None)
@given(st.lists(PIECES, max_size=40).map("".join), st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]))
@example('Sample_ID,x\n"T1,\n', "utf-8")
def test_any_text_made_of_the_parts_of_sheets_gives_samples_or_a_refusal(text: str, encoding: str) -> None:
    check(text.encode(encoding))


def is_ordinary(sample: str) -> bool:
    """Leave out what a sheet cannot give back: comments, titles, section lines, quotes at the ends."""
    title = sample.lower().replace("-", "_").replace(" ", "_") in {"sample_id", "sampleid", "samplename"}
    return (
        bool(sample)
        and sample == sample.strip(' "') == sample.strip()
        and "\ufeff" not in sample
        and sample[0] not in "#["
        and not title
    )


SAMPLE_IDS = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(is_ordinary),
    min_size=1,
    max_size=8,
)
FILLERS = st.text("abc 0/:.", max_size=5)


def quoted(cell: str, separator: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if separator in cell or '"' in cell else cell


@settings(max_examples=300, deadline=None)
@given(data=st.data(), ids=SAMPLE_IDS, separator=st.sampled_from(",;\t"), before=st.integers(0, 3))
def test_a_written_sheet_gives_back_its_ids(data: st.DataObject, ids: list[str], separator: str, before: int) -> None:
    def row(cell: str) -> str:
        after = data.draw(st.lists(FILLERS, max_size=3))
        return separator.join([*(data.draw(FILLERS) for _ in range(before)), quoted(cell, separator), *after])

    section = data.draw(st.sampled_from(["[Data]", "[BCLConvert_Data]"]))
    title = data.draw(st.sampled_from(["Sample_ID", "SampleID", "sample_id"]))
    rows = [separator * 2, f"[Header]{separator}", row("Date"), section]
    rows.append(separator.join([*(f"c{at}" for at in range(before)), title, "index"]))
    for sample in ids:
        rows.append(row(sample))
        rows += data.draw(st.lists(st.sampled_from(["", separator * 3, "# note"]), max_size=2))
    rows += [f"[Cloud_Data]{separator}", "Sample_ID", "never"]
    line_end = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    encoding = data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
    assert parse_samples(line_end.join(rows).encode(encoding)) == list(dict.fromkeys(ids))


# Files in run folders


def write(folder: Path, **sheets: str) -> str:
    for name, content in sheets.items():
        (folder / f"{name}.csv").write_bytes(content.encode())
    return str(folder)


def test_sheets_are_found_by_name_ignoring_case_and_in_order(tmp_path: Path) -> None:
    taken = [
        "SampleSheet.csv",
        "my sample sheet v2.CSV",
        "run_SAMPLE-SHEET.csv",
        "samplesheet.csv",
        "sample_sheet.csv.csv",
    ]
    left = [
        "SampleSheet.txt",
        "._SampleSheet.csv",
        "sample__sheet.csv",
        "samplesheet.csv.bak",
        "Samples.csv",
        "RunInfo.xml",
        "UploadList.csv",
    ]
    for name in taken + left:
        (tmp_path / name).touch()
    assert find_sample_sheets(str(tmp_path)) == sorted(str(tmp_path / name) for name in taken)


@pytest.mark.parametrize("name", ["UploadList.csv", "uploadlist.CSV", "RunManifest.csv"])
def test_upload_list_and_run_manifest_count_where_there_is_no_other_sheet(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    (tmp_path / f"My{name}").touch()
    assert find_sample_sheets(str(tmp_path)) == [str(tmp_path / name)]


def test_paths_are_absolute_for_a_relative_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "SampleSheet.csv").touch()
    monkeypatch.chdir(tmp_path / "run")
    assert find_sample_sheets(".") == find_sample_sheets("../run/") == [str(tmp_path / "run" / "SampleSheet.csv")]


def test_links_to_files_count_and_folders_pipes_and_broken_links_do_not(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(V1)
    (tmp_path / "run" / "a_samplesheet.csv").mkdir(parents=True)
    (tmp_path / "run" / "b_samplesheet.csv").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "run" / "c_samplesheet.csv").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "run" / "d_samplesheet.csv")
    (tmp_path / "run" / "UploadList.csv").touch()
    assert find_sample_sheets(str(tmp_path / "run")) == [str(tmp_path / "run" / "b_samplesheet.csv")]
    assert read_samples(str(tmp_path / "run")) == ["T1", "T2"]


def test_a_folder_named_like_a_sheet_does_not_hide_the_upload_list(tmp_path: Path) -> None:
    (tmp_path / "SampleSheet.csv").mkdir()
    (tmp_path / "UploadList.csv").touch()
    assert find_sample_sheets(str(tmp_path)) == [str(tmp_path / "UploadList.csv")]


def test_sheets_in_sub_folders_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "Data").mkdir()
    (tmp_path / "Data" / "SampleSheet.csv").write_text(V1)
    with pytest.raises(SampleSheetError, match=r"no sample sheet in the folder; put"):
        read_samples(str(tmp_path))


def test_the_samples_of_a_run_folder_are_read(tmp_path: Path) -> None:
    assert read_samples(write(tmp_path, SampleSheet=V2)) == ["T1", "T2"]


def test_sheets_that_differ_in_line_ends_and_trailing_blank_lines_only_are_one_sheet(tmp_path: Path) -> None:
    crlf = V1.replace("\n", "\r\n")
    assert read_samples(write(tmp_path, SampleSheet=V1, samplesheet_2=f"{crlf}\r\n \r\n", sample_sheet=V1.rstrip()))


@pytest.mark.parametrize("other", [V2, V1.replace("T2", "T3"), V1.replace("[Data]", "\n[Data]"), ""])
def test_sheets_that_differ_are_refused_by_name(tmp_path: Path, other: str) -> None:
    folder = write(tmp_path, SampleSheet=V1, samplesheet_new=other, sample_sheet=V1)
    with pytest.raises(SampleSheetError) as caught:
        read_samples(folder)
    named = "SampleSheet.csv, sample_sheet.csv, samplesheet_new.csv"
    assert str(caught.value) == f"{folder}: the sample sheets {named} differ; keep the right one"


def test_a_sheet_without_samples_is_named_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(SampleSheetError, match=re.escape(f"{tmp_path}/SampleSheet.csv, line 2, column 1: no sample")):
        read_samples(write(tmp_path, SampleSheet="[Data]\nSample_ID\n"))


def test_a_sheet_far_over_the_limit_is_refused(tmp_path: Path) -> None:
    with open(tmp_path / "SampleSheet.csv", "wb") as sheet:
        sheet.truncate(100 * MAX_SHEET_BYTES)  # a hole: takes no room on the disk
    with pytest.raises(SampleSheetError, match="over 16 MiB"):
        read_samples(str(tmp_path))


def test_a_folder_that_is_not_there_is_named_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(SampleSheetError, match=r"/gone: cannot be read \(No such file or directory\)"):
        read_samples(str(tmp_path / "gone"))


def test_a_sheet_that_cannot_be_opened_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It goes away between listing and reading; permissions would not stop a test that runs as root.
    gone = str(tmp_path / "SampleSheet.csv")
    monkeypatch.setattr("async_s3_upload.runs.samplesheet.find_sample_sheets", lambda _: [gone])
    with pytest.raises(SampleSheetError, match=r"SampleSheet\.csv: cannot be read \(No such file or directory\)"):
        read_samples(str(tmp_path))


def test_a_folder_with_a_line_break_in_its_name_is_named_on_one_line(tmp_path: Path) -> None:
    (tmp_path / "a\nb").mkdir()
    with pytest.raises(SampleSheetError, match=r"/a\\x0ab: no sample sheet in the folder"):
        read_samples(str(tmp_path / "a\nb"))


def test_a_name_that_is_not_utf8_can_be_printed(tmp_path: Path) -> None:
    try:
        (tmp_path / os.fsdecode(b"\xff_SampleSheet.csv")).touch()
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    with pytest.raises(SampleSheetError) as caught:
        read_samples(str(tmp_path))
    assert f"{tmp_path}/\\xff_SampleSheet.csv: the sheet is empty" in str(caught.value).encode().decode()


# Matching


@pytest.mark.parametrize(
    ("pattern", "mismatch"), [("T", None), ("^T[12]$", None), ("1", "T2"), ("^t", "T1"), ("(?i)^t", None)]
)
def test_the_first_sample_in_which_the_pattern_is_not_found_is_returned(pattern: str, mismatch: str | None) -> None:
    assert first_mismatch(["T1", "T2"], re.compile(pattern)) == mismatch
