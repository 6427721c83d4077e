"""What is read from both ends of a run log is what reading all of it gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from async_s3_upload.state import run_log_head
from async_s3_upload.state.run_log import FileRecord, RunLog, UnreadableRunLog, write_run_log
from async_s3_upload.state.run_log_head import _from_whole, read_run_log_head

MD5 = "0123456789abcdef" * 2
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ['\n    "uploaded_files": {', '\n    "bucket": "x', '"}\n}\n', "}", '\\"', '"uploaded_bytes": 5']
)
NAMES = st.text('ab cé"\\{}\n', min_size=1, max_size=6)
FILES = st.dictionaries(NAMES, st.builds(FileRecord, st.just(MD5), st.none() | st.integers(0, 2**40), st.just(1)))


@settings(max_examples=200, deadline=None)
@given(
    run_id=TEXT,
    files=FILES,
    failures=st.dictionaries(NAMES, TEXT, max_size=5),
    places=st.tuples(st.none() | TEXT, st.none() | TEXT),
    texts=st.tuples(*[st.none() | TEXT] * 5),
    completed=st.booleans(),
    block=st.sampled_from([1, 7, 64, 4096]),
)
def test_both_ways_of_reading_agree(
    tmp_path_factory: pytest.TempPathFactory,
    run_id: str,
    files: dict[str, FileRecord],
    failures: dict[str, str],
    places: tuple[str | None, str | None],
    texts: tuple[str | None, ...],
    completed: bool,
    block: int,
) -> None:
    started, updated, ended, instrument, rule = texts
    log = RunLog(run_id, "/seq/run", *places, completed, 7, files, failures, started, updated, ended)
    path = str(tmp_path_factory.getbasetemp() / "head.upload.log.json")
    write_run_log(replace(log, instrument=instrument, rule=rule, upload_seconds=1.5), path)
    expected = _from_whole(path)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(run_log_head, "_HEAD_BYTES", block)
        patched.setattr(run_log_head, "_TAIL_BYTES", max(block, 128))
        patched.setattr(run_log_head, "_from_whole", None)
        found = read_run_log_head(path)
    assert replace(found, uploaded_bytes=None) == replace(expected, uploaded_bytes=None)
    assert found.uploaded_bytes == sum(record.size or 0 for record in files.values())


def test_a_log_cut_off_anywhere_is_torn(tmp_path: Path) -> None:
    path = tmp_path / "run.upload.log.json"
    files = {f"Data/{number}": FileRecord(MD5, 5, 1) for number in range(3)}
    write_run_log(RunLog("run", "/seq/run", "b", "/", files=files, failures={"x": "why"}), str(path))
    whole = path.read_bytes()
    for length in range(len(whole.rstrip())):
        path.write_bytes(whole[:length])
        with pytest.raises(UnreadableRunLog):
            read_run_log_head(str(path))
