"""The small files that instruments write about a run: whatever is in them, a run folder is told."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from async_s3_upload.runs.completion import look_at

from .target import Target

ILLUMINA = ("RunInfo.xml", "RunParameters.xml", "RunCompletionStatus.xml")
ELEMENT = ("RunParameters.json", "RunUploaded.json")
DOCUMENTS = (*ILLUMINA, *ELEMENT)
"""Which of them the rest of the bytes are is told by the first one."""
RUN_INFO = (
    b'<RunInfo Version="6"><Run Id="a"><Flowcell>22F52TLT3</Flowcell><Instrument>LH00188</Instrument></Run></RunInfo>'
)
GOOD = (
    RUN_INFO,
    b"<RunParameters><Setup><ApplicationName>MiSeq Control Software</ApplicationName>"
    b"<ApplicationVersion>4.0.0.1769</ApplicationVersion></Setup><RunID>a</RunID></RunParameters>",
    b"<RunCompletionStatus><RunStatus>RunErrored</RunStatus></RunCompletionStatus>",
    b'{"RunType": "Sequencing", "InstrumentName": "AV244103", "PlatformVersion": "3.3.0"}',
    b'{"outcome": "OutcomeFailed"}',
)
FOLDERS = {"runinfo": (0,), "runparameters": (1, 3), "completion": (2, 4)}
WORDS = (
    *(b"<Instrument>", b"</Instrument>", b"<Flowcell>", b"<ApplicationName>", b"</ApplicationName>", b"<Application>"),
    *(
        b"<ApplicationVersion>",
        b"<RunStatus>",
        b"<CompletionStatus>",
        b"<Run Id=",
        b"<![CDATA[",
        b"]]>",
        b"&amp;",
        b"&#0;",
    ),
    *(
        b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
        b"<?xml version='1.0' encoding='",
        b"utf-16",
        b"latin-1",
        b"?>",
        b"<!--",
        b"-->",
    ),
    *(b"NovaSeqXPlus", b"control-software", b"HD 3.4.0", b"RunCompleted", b"UserEndedEarly", b"CompletedAsPlanned"),
    *(
        b'"outcome"',
        b"OutcomeCompleted",
        b"null",
        b"[[[[",
        b"1e999",
        b"\\ud800",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\0",
        b"\n",
    ),
)

_FOLDER = tempfile.TemporaryDirectory(prefix="fuzz-run-")


def check(content: bytes) -> str:
    """Write the document into a run folder of its kind, and look at that."""
    number = content[0] % len(DOCUMENTS) if content else 0
    name, text = DOCUMENTS[number], content[1:]
    names = ILLUMINA if name in ILLUMINA else ELEMENT
    folder = Path(_FOLDER.name, names[0])
    folder.mkdir(exist_ok=True)
    for other in names:
        (folder / other).write_bytes(text if other == name else GOOD[DOCUMENTS.index(other)])
    (folder / "CopyComplete.txt").touch()
    found = look_at(str(folder))
    assert found is not None, "no run folder"
    verdict = found.verdict
    assert verdict.state in ("running", "complete", "failed")
    for said in (verdict.rule, verdict.detail, found.instrument.name):
        assert said, "nothing is said"
        assert len(said) < 4000, f"{len(said)} characters are said"
    return f"{name}: {verdict.state}, {found.instrument.platform}, {found.instrument.software is None}"


def seeds() -> list[bytes]:
    """Return good documents, and real ones where REALDATA names their folder."""
    found = [bytes([number]) + text for number, text in enumerate(GOOD)]
    real = os.environ.get("REALDATA", "")
    for folder, numbers in FOLDERS.items() if real else ():
        for path in sorted((Path(real) / folder).iterdir()):
            found += [bytes([number]) + path.read_bytes()[:20_000] for number in numbers]
    return found


RUN_DOCUMENTS = Target("run_documents", check, seeds, WORDS, 16 * 1024 * 1024)
