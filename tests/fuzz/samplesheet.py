"""The sample sheet parser: any bytes give clean sample IDs, or a refusal in one line."""

from __future__ import annotations

import codecs
import os
import re
from pathlib import Path

from async_s3_upload.runs.samplesheet_parser import MAX_SHEET_BYTES, SampleSheetError, parse_samples
from tests.runs.sheets import BARE_TABLE, RUN_MANIFEST, V1, V2

from .target import Target

NAME = "x.csv"
SHORT = 64 * 1024
REFUSAL = re.compile(r"x\.csv(, line [1-9]\d*, column [1-9]\d*)?: .+; .+")
UNCLEAN = re.compile(r"[\x00-\x1f\x7f\ufeff]")
MARKS_OF_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
WORDS = (
    *(
        b"[Header]",
        b"[Data]",
        b"[data],,",
        b"[BCLConvert_Data]",
        b"[Cloud_Data]",
        b"[x_Data]",
        b"[SAMPLES]",
        b"[Settings]",
    ),
    *(b"Sample_ID", b"SampleID", b"sample_id", b"sample id", b"SampleName", b"Sample_Name", b"Lane", b"index", b"FCID"),
    *(
        b"FileFormatVersion,2",
        b"3+4",
        b"PhiX",
        b"T1",
        b"\xed\x95\x9c",
        b"\xe9",
        b"\xc2\xa0",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
    ),
    *(
        b",",
        b";",
        b"\t",
        b'"',
        b'""',
        b'","',
        b"#",
        b"\n",
        b"\r",
        b"\r\n",
        b" ",
        b"\0",
        b"\x1a",
        b"\x1b",
        b"/\\+?*[('`",
    ),
)


def check(content: bytes) -> str:
    """Give the bytes to the parser; a short sheet also with other line ends, which must not matter."""
    outcome = _outcome(content)
    if len(content) < SHORT and b"\r" not in content and not content.startswith(MARKS_OF_UTF16):
        other = b"\r\n" if len(content) % 2 else b"\r"
        assert _outcome(content.replace(b"\n", other)) == outcome, f"{other!r} makes a difference"
    return f"{min(len(outcome), 3)} samples" if isinstance(outcome, list) else re.sub(r"\d+", "#", outcome)


def _outcome(content: bytes) -> list[str] | str:
    try:
        samples = parse_samples(content, NAME)
    except SampleSheetError as error:
        assert REFUSAL.fullmatch(str(error)), f"no sentence with its place: {error!s:.300}"  # noqa: PT017
        return str(error)
    assert samples, "an empty list"
    assert len(set(samples)) == len(samples), "a sample twice"
    for sample in samples:
        assert isinstance(sample, str), f"{sample!r:.300} is no string"
        assert sample, "an empty sample"
        assert sample == sample.strip(), f"outer blanks: {sample!r:.300}"
        assert not UNCLEAN.search(sample), f"a control character: {sample!r:.300}"
        sample.encode()
    return samples


def seeds() -> list[bytes]:
    """Return the sheets of the tests, and real ones where REALDATA names their folder."""
    own = [sheet.encode() for sheet in (V1, V2, RUN_MANIFEST, BARE_TABLE)]
    folder = os.environ.get("REALDATA", "")
    real = sorted((Path(folder) / "samplesheets").iterdir()) if folder else []
    return own + [content for path in real if 0 < len(content := path.read_bytes()) <= SHORT]


SAMPLESHEET = Target("samplesheet", check, seeds, WORDS, MAX_SHEET_BYTES)
