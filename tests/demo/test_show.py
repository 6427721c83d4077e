"""Where the demo leaves its report page."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from async_s3_upload.demo.show import PAGE, page_to_write


@pytest.fixture
def current(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, and beside it one for temporary files."""
    temporary, folder = tmp_path / "tmp", tmp_path / "current"
    temporary.mkdir()
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.chdir(folder)
    return folder


def test_it_lies_in_the_current_folder(current: Path) -> None:
    assert page_to_write() == str(current / PAGE)


def test_where_that_cannot_be_written_it_gets_a_folder_of_its_own(
    current: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: path != str(current))
    assert_is_temporary(page_to_write())


def test_a_folder_of_that_name_is_not_in_the_way(current: Path) -> None:
    (current / PAGE).mkdir()
    assert_is_temporary(page_to_write())


def assert_is_temporary(page: str) -> None:
    assert Path(page).name == PAGE
    assert Path(page).parent.parent == Path(tempfile.gettempdir())
    assert Path(page).parent.is_dir()
