"""The units are taken by systemd, and the documents and the units speak of the same files."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from async_s3_upload.config import DEFAULT_LOG_DIR

UNITS = Path(__file__).parents[2] / "packaging" / "systemd"
SERVICE, TIMER = "async-s3-upload.service", "async-s3-upload.timer"
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="no systemd-analyze here")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units with a command that is there."""
    text = (UNITS / SERVICE).read_text()
    there = re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", text, flags=re.MULTILINE)
    (tmp_path / SERVICE).write_text(there)
    shutil.copy(UNITS / TIMER, tmp_path)
    return tmp_path


def analyze(*args: str) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    return subprocess.run([ANALYZE, *args], capture_output=True, text=True, check=False, timeout=60)


@needs_systemd
def test_systemd_takes_the_units(units: Path) -> None:
    done = analyze("verify", "--man=no", str(units / SERVICE), str(units / TIMER))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_systemd
def test_a_word_that_systemd_does_not_know_would_be_noticed(units: Path) -> None:
    with (units / SERVICE).open("a") as service:
        service.write("ProtectEverything=true\n")
    assert "ProtectEverything" in analyze("verify", "--man=no", str(units / SERVICE)).stderr


@needs_systemd
def test_the_service_is_hardened(units: Path) -> None:
    done = analyze("security", "--offline=true", "--threshold=25", str(units / SERVICE))
    assert done.returncode == 0, done.stdout[-300:]


def test_the_service_writes_where_the_log_folder_is_by_default() -> None:
    (folder,) = re.findall(r"^LogsDirectory=(.*)$", (UNITS / SERVICE).read_text(), re.MULTILINE)
    assert f"/var/log/{folder}" == DEFAULT_LOG_DIR
