"""Fixtures of the tests of the engine."""

from pathlib import Path

import pytest

from async_s3_upload.transfer import parts
from tests.contract.memory_store import MemoryStore
from tests.transfer.sending import BUCKET, PART, THRESHOLD, Files


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of 1,000 bytes, for files of more than 2,000."""
    monkeypatch.setattr(parts, "PART_SIZE", PART)
    monkeypatch.setattr(parts, "MULTIPART_THRESHOLD", THRESHOLD)


@pytest.fixture
def memory() -> MemoryStore:
    """A store that takes small parts."""
    return MemoryStore(BUCKET, min_part_size=PART)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A folder for files to send."""
    return Files(tmp_path)
