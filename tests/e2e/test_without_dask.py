"""Local mode neither needs nor imports Dask: the real command, in an installation where it cannot be imported."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from async_s3_upload.demo.run_folder import TINY, make_run_folder
from tests.support.command import Completed, RunningCommand

from .lab import Lab

WITHOUT = """
import sys

class Lacks:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("distributed", "dask", "tornado"):
            print("asked for", name, file=sys.stderr)
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Lacks())
from async_s3_upload.cli.main import run
sys.exit(run(sys.argv[1:]))
"""


def without_dask(*args: str, lab: Lab | None = None) -> Completed:
    """Run the command where whoever asks for Dask is told on stderr that there is none."""
    server = lab.reached if lab is not None else None
    with RunningCommand([sys.executable, "-c", WITHOUT, *args], server=server) as command:
        return command.wait()


@pytest.mark.parametrize("args", [("--help",), ("upload", "--help"), ("monitor", "--help"), ("--version",)])
def test_help_asks_for_no_dask(args: tuple[str, ...]) -> None:
    done = without_dask(*args)
    assert (done.exit_code, done.stderr) == (0, "")


def test_an_upload_asks_for_no_dask(lab: Lab, tmp_path: Path) -> None:
    bucket, run = lab.bucket(), make_run_folder(str(tmp_path), TINY)
    log_dir = str(tmp_path / "log")
    args = ["--local-path", run, "--bucket", bucket, "--log-dir", log_dir, "--cores", "2", "--json"]
    done = without_dask("upload", *args, lab=lab)
    assert done.exit_code == 0, done.stderr
    assert done.json["runs"][0]["state"] == "uploaded"
    assert "asked for" not in done.stderr


def test_a_round_of_monitor_asks_for_no_dask(lab: Lab) -> None:
    lab.make_run()
    config = lab.write_config(lab.section(lab.bucket()), max_cores=1)
    done = without_dask("monitor", "--config", str(config), "--json", lab=lab)
    assert done.exit_code == 0, done.stderr
    assert [run["state"] for run in done.json["runs"]] == ["uploaded"]
    assert "asked for" not in done.stderr


def test_a_scheduler_without_dask_is_one_sentence_and_a_usage_error(tmp_path: Path) -> None:
    run = make_run_folder(str(tmp_path), TINY)
    args = ["--local-path", run, "--bucket", "runs", "--scheduler", "tcp://127.0.0.1:8786", "--json"]
    done = without_dask("upload", *args)
    sentence = "--scheduler needs Dask: pip install 'async-s3-upload[cluster]'"
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1] == f"error: {sentence}"
    assert json.loads(done.stdout)["problems"] == [sentence]
