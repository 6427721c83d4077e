"""The table of a run's files gives back what was put in, whatever the order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3_upload.runs import file_table
from async_s3_upload.runs.file_table import FileTable, LocalFile, Selection

FILES = st.lists(
    st.builds(
        LocalFile,
        st.text("ab/é", min_size=1, max_size=6),
        st.integers(0, 2**63 - 1),
        st.integers(-5, 2**63 + 5) | st.integers(2**63 - 2, 2**64),
        st.integers(0, 2**64 - 1),
    ),
    max_size=12,
)


@given(FILES, st.integers(-13, 13), st.slices(12))
def test_a_table_is_a_sequence_of_its_files(files: list[LocalFile], row: int, some: slice) -> None:
    table = FileTable(files)
    assert list(table) == files
    assert table == files
    assert table[some] == files[some]
    assert list(table.names()) == [file.name for file in files]
    assert table.total_bytes == sum(file.size for file in files)
    if -len(files) <= row < len(files):
        assert table[row] == files[row]
    else:
        with pytest.raises(IndexError):
            table[row]


@given(FILES)
def test_the_blocks_are_the_table_folder_by_folder(files: list[LocalFile]) -> None:
    row = 0
    for block in FileTable(files).blocks():
        assert (block.first, block.folder == "" or block.folder.endswith("/")) == (row, True)
        for base, size in zip(block.bases, block.sizes, strict=True):
            assert (block.folder + base, size) == (files[row].name, files[row].size)
            row += 1
    assert row == len(files)


def test_names_that_come_in_many_folders_are_held_once_and_no_more_than_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(file_table, "_SHARED_NAMES", 3)
    table = FileTable()
    for folder in ("a/", "b/", "c/"):
        for number in range(3):
            table.add(folder, f"s_{number}", 1, 1, 1)
    bases = [block.bases for block in table.blocks()]
    assert all(one is other for one, other in zip(bases[0], bases[2], strict=True))
    for number in range(3, 6):
        table.add("d/", f"s_{number}", 1, 1, 1)
    table.add("e/", "s_9", 1, 1, 1)
    assert len(table._shared) == 1


@given(FILES, st.data())
def test_a_selection_holds_some_of_the_files_in_its_order(files: list[LocalFile], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, len(files) - 1))) if files else []
    chosen = Selection(FileTable(files), rows)
    assert list(chosen) == [files[row] for row in rows]
    assert list(chosen[1:]) == [files[row] for row in rows[1:]]
    assert repr(chosen) == f"Selection of {len(rows)} of {len(files)} files"


def test_a_table_is_like_a_list_and_nothing_else() -> None:
    file = LocalFile("a", 1, 2, 3)
    assert FileTable([file]) != [file, file]
    assert FileTable([file]) != 5
    assert repr(FileTable([file] * 4)).endswith("...)")
