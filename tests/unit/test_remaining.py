"""What is still to be sent of a run, file by file."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from async_s3_upload.delivery.remaining import left_to_send
from async_s3_upload.runs.file_table import FileTable, LocalFile
from async_s3_upload.runs.scan import Scan
from async_s3_upload.state.records import FileRecord
from async_s3_upload.state.run_log import RunLog
from async_s3_upload.state.run_logs import changed_since

MD5 = "0123456789abcdef" * 2
NAMES = st.sampled_from(["a", "b", "Data/a", "Data/b", "Data/c/a"])
STATES = st.tuples(st.integers(0, 2), st.integers(0, 2) | st.integers(2**63 - 1, 2**63 + 1))
AT = "2024-01-01T10:00:00Z"


def record(state: tuple[int, int] | None, etag: str) -> FileRecord:
    return FileRecord(etag) if state is None else FileRecord(etag, *state, None, AT)


@given(
    st.dictionaries(NAMES, STATES),
    st.dictionaries(NAMES, st.builds(record, st.none() | STATES, st.sampled_from([MD5, "ab-2"]))),
    st.sets(NAMES),
)
@example({"a": (1, 2**63)}, {"a": FileRecord(MD5, 1, 2**63, None, AT)}, set())
@example({"a": (1, 2**63)}, {"a": FileRecord(MD5, 1, 2**63 - 1, None, AT)}, set())
def test_what_is_not_recorded_or_changed_or_asked_for_is_left_to_send(
    there: dict[str, tuple[int, int]], recorded: dict[str, FileRecord], resend: set[str]
) -> None:
    files = [LocalFile(name, size, mtime_ns, 7) for name, (size, mtime_ns) in there.items()]
    left = left_to_send(Scan("/seq/run", FileTable(files)), RunLog("run", "/seq/run", files=recorded), resend)
    assert list(left) == [
        file
        for file in files
        if file.name not in recorded
        or changed_since(recorded[file.name], file.size, file.mtime_ns)
        or file.name in resend
    ]
