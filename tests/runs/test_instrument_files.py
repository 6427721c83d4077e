"""What is read from the small files of instruments, however broken they are."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from async_s3_upload.runs import instrument_files
from async_s3_upload.runs.completion import CompletionRules, look_at
from async_s3_upload.runs.instrument_files import json_object, xml_values

NAMES = ("instrument", "flowcell")


def values(tmp_path: Path, content: bytes, last: str | None = None) -> dict[str, str]:
    path = tmp_path / "file.xml"
    path.write_bytes(content)
    return xml_values(str(path), NAMES, last)


def test_the_first_of_each_wanted_element_counts_with_its_blanks_made_one(tmp_path: Path) -> None:
    content = (
        b'<a><Run Id=" r1 "/><x:Instrument> A 1\r\n 2 </x:Instrument><INSTRUMENT>B</INSTRUMENT><other>c</other></a>'
    )
    assert values(tmp_path, content) == {"@run": " r1 ", "instrument": "A 1 2"}


@pytest.mark.parametrize(
    "content",
    [
        b"<a><Instrument>A01295</Instrument><Flowcell>HT7W",
        b"<a><Instrument>A01295</Instrument></b>",
        b"<a><Instrument>A01295</Instrument>\x00\x01",
        b"<a><Instrument>A01295</Instrument><Flowcell>\xff\xfe</Flowcell></a>",
    ],
)
def test_what_stands_before_the_break_counts_and_half_a_value_does_not(tmp_path: Path, content: bytes) -> None:
    assert values(tmp_path, content) == {"instrument": "A01295"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_files_say_their_encoding(tmp_path: Path, encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?><a><Instrument>Gerät</Instrument></a>'
    assert values(tmp_path, text.encode(encoding)) == {"instrument": "Gerät"}


@pytest.mark.parametrize("encoding", ["no-such", "shift_jis", "utf-7", "idna", "zlib", ""])
def test_an_encoding_that_cannot_be_read_holds_nothing(tmp_path: Path, encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?><a><Instrument>x</Instrument></a>'
    assert values(tmp_path, text.encode()) in ({}, {"instrument": "x"})


def test_a_document_type_is_never_read_so_no_entity_is_expanded(tmp_path: Path) -> None:
    entities = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(9))
    bomb = f'<!DOCTYPE a [<!ENTITY e0 "x">{entities}]><a><Instrument>&e9;</Instrument></a>'
    assert values(tmp_path, bomb.encode()) == {}
    small = b'<!DOCTYPE a [<!ENTITY e "A01295">]><a><Instrument>&e;</Instrument></a>'
    assert values(tmp_path, small) == {}
    outside = b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a><Instrument>&e;</Instrument></a>'
    assert values(tmp_path, outside) == {}


def test_reading_ends_with_the_last_wanted_element_and_at_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"<a><Reads></Reads><Instrument>late</Instrument></a>"
    assert values(tmp_path, content, "reads") == {}
    assert values(tmp_path, content) == {"instrument": "late"}
    monkeypatch.setattr(instrument_files, "LIMIT", len(content) - 30)
    assert values(tmp_path, content) == {}


def test_a_long_value_is_cut(tmp_path: Path) -> None:
    found = values(tmp_path, b"<a><Instrument>" + b"x" * 100_000 + b"</Instrument></a>")
    assert found == {"instrument": "x" * 1000}


def test_a_file_that_cannot_be_opened_holds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "there").touch()
    monkeypatch.setattr(builtins, "open", denied)
    assert xml_values(str(tmp_path / "there"), NAMES) == {}
    assert json_object(str(tmp_path / "there")) is None


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"a": ', b"[1]", b"\xff", b"1" * 5000, b"[" * 100_000, b'{"a": 1} x', b"null"]
)
def test_json_that_is_no_whole_object_holds_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.json").write_bytes(content)
    assert json_object(str(tmp_path / "file.json")) is None


FRAGMENTS = [
    b'<?xml version="1.0"?>',
    b'<?xml version="1.0" encoding="utf-16"?>',
    b"<!DOCTYPE a>",
    b"<RunInfo>",
    b'<Run Id="240101_A01295_0001_AHV7TDRXY">',
    b"<Instrument>",
    b"A01295",
    b"</Instrument>",
    b"<Application>NovaSeq",
    b"<ApplicationVersion>4.\xd9\xa3",
    b"<RunStatus>",
    b"RunErrored",
    b"</RunStatus>",
    b"</Run>",
    b'{"outcome": ',
    b'"OutcomeFailed"}',
    b"&amp;&x;",
    b"\x00\xff\xfe",
]
CONTENT = st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(FRAGMENTS), max_size=12).map(b"".join))
FILES = st.dictionaries(
    st.sampled_from(
        [
            "RunInfo.xml",
            "RunParameters.xml",
            "runParameters.xml",
            "RunCompletionStatus.xml",
            "CopyComplete.txt",
            "RTAComplete.txt",
            "RunParameters.json",
            "RunUploaded.json",
            "final_summary_a_b.txt",
        ]
    ),
    CONTENT,
)
RULES = st.builds(
    CompletionRules,
    by=st.sampled_from(["instrument", "any"]),
    completion_markers=st.sampled_from([(), ("*.txt",)]),
    run_markers=st.sampled_from([(), ("*",)]),
    grace_s=st.sampled_from([0.0, 3600.0]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(files=FILES, rules=RULES)
def test_no_content_of_any_file_breaks_the_look(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], rules: CompletionRules
) -> None:
    folder = tmp_path_factory.mktemp("run")
    for name, content in files.items():
        (folder / name).write_bytes(content)
    run = look_at(str(folder), rules)
    if "RunInfo.xml" in files:
        assert run is not None
    if run is not None:
        assert run.verdict.rule
        assert run.verdict.detail.isprintable()
        assert run.verdict.ended or run.verdict.state != "complete"
        assert run.verdict.state != "running" or not run.verdict.ended
        assert all((folder / name).is_file() for name in run.verdict.markers)
