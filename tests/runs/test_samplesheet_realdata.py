"""Sheets of real runs, which are other people's: read in place where REALDATA names their folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from async_s3_upload.runs.samplesheet import SampleSheetError, parse_samples

FOLDER = os.environ.get("REALDATA", "")


def expected() -> dict[str, list[str] | None]:
    if not FOLDER:
        return {}
    listed: dict[str, list[str] | None] = json.loads((Path(FOLDER) / "expected_samples.json").read_text("utf-8"))
    return listed


@pytest.mark.skipif(not FOLDER, reason="REALDATA names no folder")
@pytest.mark.parametrize(("name", "samples"), expected().items() or [("", None)], ids=[*expected()] or ["all"])
def test_a_real_sheet_gives_exactly_the_samples_listed_for_it(name: str, samples: list[str] | None) -> None:
    content = (Path(FOLDER) / "samplesheets" / name).read_bytes()
    if samples is None:
        with pytest.raises(SampleSheetError):
            parse_samples(content, name)
    else:
        assert parse_samples(content, name) == samples


@pytest.mark.skipif(not FOLDER, reason="REALDATA names no folder")
def test_real_sheets_whose_samples_are_in_doubt_are_read_or_refused() -> None:
    # A lost [Data] line is forgiven; a lost Sample_ID title and a table that is no sample sheet are refused.
    doubtful: dict[str, list[str] | None] = {}
    for sheet in sorted((Path(FOLDER) / "samplesheets").iterdir()):
        if sheet.name in expected():
            continue
        try:
            doubtful[sheet.name] = parse_samples(sheet.read_bytes())
        except SampleSheetError:
            doubtful[sheet.name] = None
    assert doubtful.get("iseq100_v1_data_section_line_missing_01.csv") is not None
    assert doubtful.get("nextseq500_v1_blank_sample_id_header_01.csv") is None
    assert doubtful.get("nosection_tsv_lone_cr_01.txt") is None
