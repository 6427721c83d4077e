"""What the shell gets that completes a command line: the generated script, run by a real bash."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BASH = shutil.which("bash")
SCRIPT = """
eval "$(async-s3-upload --show-completion bash)" || exit 1
COMP_WORDS=({words}) COMP_CWORD={last} COMP_LINE="{words}"
_async_s3_upload_completion async-s3-upload
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def completed(tmp_path: Path, *words: str) -> list[str]:
    """What bash would offer for the last of the words."""
    assert BASH is not None
    variables = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    quoted = " ".join(f'"{word}"' for word in words)
    script = SCRIPT.format(words=quoted.replace('""', "''"), last=len(words) - 1)
    done = subprocess.run([BASH, "-c", script], capture_output=True, text=True, check=False, env=variables, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.skipif(BASH is None, reason="no bash here")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("async-s3-upload", "mon"), ["monitor"]),
        (("async-s3-upload", "config", "s"), ["schema"]),
        (("async-s3-upload", "upload", "--part"), ["--part-size"]),
        (("async-s3-upload", "upload", "--transport", "l"), ["lean"]),
    ],
)
def test_bash_completes_commands_options_and_values(tmp_path: Path, words: tuple[str, ...], offered: list[str]) -> None:
    assert completed(tmp_path, *words) == offered


@pytest.mark.skipif(BASH is None, reason="no bash here")
def test_install_completion_writes_a_script_and_a_line_that_reads_it(tmp_path: Path) -> None:
    command = Path(sys.executable).parent / "async-s3-upload"
    variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(
        [command, "--install-completion", "bash"],
        capture_output=True,
        text=True,
        check=False,
        env=variables,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    script = tmp_path / ".bash_completions" / "async-s3-upload.sh"
    assert "_async_s3_upload_completion" in script.read_text()
    assert str(script) in (tmp_path / ".bashrc").read_text()
