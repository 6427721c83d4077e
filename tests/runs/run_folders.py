"""Small run folders of all instruments, with the quirks of real ones."""

from __future__ import annotations

import os
from pathlib import Path

NOW = 1_700_000_000.0
MINUTE = 60.0

SERIALS = {
    "NovaSeq 6000": "A01295",
    "NovaSeq X": "LH00188",
    "NextSeq 1000/2000": "VH00848",
    "NextSeq 500/550": "NB551051",
    "MiSeq": "M01270",
    "MiSeq i100": "SH01038",
    "iSeq 100": "FS10001773",
    "MiniSeq": "MN00218",
    "HiSeq 1000-2500": "D00450",
    "HiSeq 3000/4000": "K00166",
    "HiSeq X": "ST-E00266",
    "unknown instrument": "Q1",
}


def make_illumina(
    parent: Path,
    serial: str = "A01295",
    *files: str,
    parameters: str | None = None,
    parameters_name: str = "RunParameters.xml",
    name: str = "run",
) -> Path:
    """Write a run folder with RunInfo.xml, ``parameters`` as the inside of RunParameters.xml, and empty ``files``."""
    folder = parent / name
    folder.mkdir()
    write(folder / "RunInfo.xml", f'<RunInfo><Run Id="x"><Instrument>{serial}</Instrument></Run></RunInfo>')
    if parameters is not None:
        write(folder / parameters_name, f"<RunParameters>{parameters}</RunParameters>")
    for file in files:
        write(folder / file, "")
    return folder


def write(path: Path, text: str, *, age_s: float | None = None) -> Path:
    """Write a file, and the folders above it, with an mtime of so many seconds before NOW."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    if age_s is not None:
        os.utime(path, (NOW - age_s, NOW - age_s))
    return path


def status_xml(element: str, status: str, more: str = "") -> str:
    """RunCompletionStatus.xml in either schema."""
    return f'<?xml version="1.0"?>\r\n<RunCompletionStatus><{element}>{status}</{element}>{more}</RunCompletionStatus>'
