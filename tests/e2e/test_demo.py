"""What ``make demo`` runs, as it is run by hand and by a script."""

from __future__ import annotations

from pathlib import Path

from tests.support.command import run_command, start_command
from tests.support.terminal import Terminal

RUN = "240119_A01295_0316_BHT7WNDRX5"
TERMINAL = {"TERM": "xterm-256color"}


def test_it_uploads_a_run_and_leaves_the_page(tmp_path: Path) -> None:
    done = run_command("demo", cwd=tmp_path)
    assert (done.exit_code, done.stderr) == (0, "")
    page = tmp_path / "async-s3-upload-demo.html"
    lines = done.stdout.splitlines()
    assert lines[-2:] == [
        "All 60 files of the run are in S3; the second round had nothing to do.",
        f"The report page, to open in a browser: {page}",
    ]
    assert [line for line in lines if line.startswith("$")] == [
        "$ async-s3-upload monitor --config config.json",
        "$ async-s3-upload monitor --config config.json",
        "$ async-s3-upload status --config config.json",
        "$ async-s3-upload report async-s3-upload-demo.html --config config.json",
    ]
    (row,) = (line for line in lines if line.startswith(f"{RUN}  completed"))
    assert "23.5 MB" in row
    assert RUN in page.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [page]


def test_on_a_terminal_the_upload_is_to_be_seen(tmp_path: Path) -> None:
    with (
        Terminal(80) as terminal,
        start_command("demo", cwd=tmp_path, env=TERMINAL, terminal=terminal.end) as command,
    ):
        view = terminal.wait_for(lambda screen: any("in flight" in line for line in screen))
        done = command.wait()
        terminal.hang_up()
    assert done.exit_code == 0, terminal.raw
    assert any(line.startswith(RUN) and "%" in line for line in view)
    assert "The upload is held to 8MB/s, to be watched." in done.stdout
    assert f"{RUN}: uploaded" in terminal.raw
    assert "All 60 files of the run are in S3" in done.stdout
