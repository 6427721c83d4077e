"""The examples for Dask clusters: what they call exists, and those that can run here do."""

from __future__ import annotations

import ast
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from async_s3_upload.cli.main import app

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "packaging" / "cluster"
LIMIT_S = 100

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")

LOOKS_AROUND = f"""#!{sys.executable}
import asyncio, sys
sys.path[:0] = [{str(ROOT)!r}]
from async_s3_upload.transfer.cluster.address import SchedulerAddress
from async_s3_upload.transfer.cluster.reach import workers_of
workers = asyncio.run(workers_of(SchedulerAddress.parse(sys.argv[-1]), 30))
print(*sys.argv[1:-1], len(workers) > 0 and all(worker.startswith("tls://") for worker in workers))
sys.exit(3)
"""
"""Stands for the command: tells how it was called, and whether the scheduler named has workers with TLS."""


def script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture(scope="module")
def manifests() -> dict[str, dict[str, Any]]:
    """The documents of kubernetes.yaml by kind."""
    found = yaml.safe_load_all((CLUSTER / "kubernetes.yaml").read_text(encoding="utf-8"))
    return {document["kind"]: document for document in found}


def options_of(program: str) -> str:
    environment = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", "dask", program, "--help"], check=True, capture_output=True, text=True, env=environment
    ).stdout


@pytest.mark.parametrize("program", ["scheduler", "worker"])
def test_dask_has_the_options_that_the_pods_give_it(manifests: dict[str, dict[str, Any]], program: str) -> None:
    (container,) = manifests["DaskCluster"]["spec"][program]["spec"]["containers"]
    assert container["command"][-2:] == ["dask", program]
    known = options_of(program)
    given = [argument.partition("=")[0] for argument in container["args"] if argument.startswith("--")]
    assert given
    assert [option for option in given if option not in known] == []


def test_the_cron_job_calls_the_command_with_options_that_it_has(manifests: dict[str, dict[str, Any]]) -> None:
    (container,) = manifests["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    name, *options = container["args"]
    known = {option for found in get_command(app).commands[name].params for option in found.opts}  # type: ignore[attr-defined]
    assert {option.partition("=")[0] for option in options} <= known
    cluster = manifests["DaskCluster"]["metadata"]["name"]
    assert f"--scheduler=tcp://{cluster}-scheduler:8786" in options  # the name that the operator gives the service


def test_worker_and_command_see_the_runs_at_the_same_path(manifests: dict[str, dict[str, Any]]) -> None:
    (worker,) = manifests["DaskCluster"]["spec"]["worker"]["spec"]["containers"]
    (command,) = manifests["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert worker["volumeMounts"][0] == command["volumeMounts"][0]
    assert worker["image"] == command["image"]


def test_only_what_belongs_to_the_cluster_reaches_it(manifests: dict[str, dict[str, Any]]) -> None:
    cluster = manifests["DaskCluster"]
    policy = manifests["NetworkPolicy"]["spec"]
    selected = policy["podSelector"]["matchLabels"]
    assert selected == {"dask.org/cluster-name": cluster["metadata"]["name"]}
    assert cluster["spec"]["scheduler"]["service"]["selector"] == {**selected, "dask.org/component": "scheduler"}
    assert cluster["spec"]["scheduler"]["service"]["type"] == "ClusterIP"


@needs_openssl
def test_certificates_are_the_users_alone_and_signed_by_the_authority(tmp_path: Path) -> None:
    subprocess.run([CLUSTER / "certificates.sh", tmp_path / "dask"], check=True, capture_output=True)
    files = sorted((tmp_path / "dask").iterdir())
    assert [file.name for file in files] == ["ca.pem", "dask.pem"]
    assert {file.stat().st_mode & 0o077 for file in [*files, tmp_path / "dask"]} == {0}
    told = subprocess.run(["openssl", "verify", "-CAfile", *files], check=True, capture_output=True, text=True).stdout
    assert told.endswith("dask.pem: OK\n")


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """The environment of a Slurm job of one node, without Slurm; a command has yet to be put into S3_UPLOAD_BIN."""
    home, programs = tmp_path / "home", tmp_path / "bin"
    home.mkdir()
    programs.mkdir()
    script(programs / "srun", '#!/bin/sh\nexec "$@" --host 127.0.0.1\n')
    script(programs / "python", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    script(programs / "dask", f'#!/bin/sh\nexec {sys.executable} -m dask "$@"\n')
    return {
        "HOME": str(home),
        "TMPDIR": str(tmp_path),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "S3_UPLOAD_BIN": str(programs),
        "SLURM_CPUS_PER_TASK": "1",
    }


@needs_openssl
def test_the_slurm_job_runs_the_command_with_its_own_workers_and_cleans_up(slurm: dict[str, str]) -> None:
    script(Path(slurm["S3_UPLOAD_BIN"]) / "async-s3-upload", LOOKS_AROUND)
    call = ["bash", str(CLUSTER / "slurm.sbatch"), "monitor", "--config", "c.json"]
    done = subprocess.run(call, env=slurm, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.stdout.splitlines()[-1:] == ["monitor --config c.json --scheduler True"], done.stderr
    assert done.returncode == 3  # that of the command
    assert os.listdir(slurm["HOME"]) == []


@needs_openssl
def test_the_end_of_the_slurm_job_is_told_to_the_command_which_ends_in_its_own_way(slurm: dict[str, str]) -> None:
    waits = "#!/bin/bash\ntrap 'echo told; exit 143' TERM\necho ready\nwhile :; do read -t 1 <> <(:) || :; done\n"
    script(Path(slurm["S3_UPLOAD_BIN"]) / "async-s3-upload", waits)
    call = ["bash", str(CLUSTER / "slurm.sbatch"), "upload"]
    with subprocess.Popen(call, env=slurm, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == "ready\n"
        job.send_signal(signal.SIGTERM)
        assert job.stdout.readline() == "told\n"
        assert job.wait(LIMIT_S) == 143
    assert os.listdir(slurm["HOME"]) == []


def test_the_script_for_dask_jobqueue_is_python() -> None:
    tree = ast.parse((CLUSTER / "slurm_jobqueue.py").read_text(encoding="utf-8"))
    assert "dask_jobqueue" in {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


def test_the_settings_of_tls_are_those_that_dask_reads() -> None:
    lines = (CLUSTER / "tls.env").read_text(encoding="utf-8").splitlines()
    environment = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    reads = "from distributed.security import Security; s = Security(); print(s.require_encryption, s.tls_ca_file, *("
    reads += "s.get_tls_config_for_role(side)['cert'] for side in ('scheduler', 'worker', 'client')))"
    told = subprocess.run(
        [sys.executable, "-c", reads], env=environment, check=True, capture_output=True, text=True
    ).stdout.split()
    assert told == ["True", "/etc/async-s3-upload/dask/ca.pem", *["/etc/async-s3-upload/dask/dask.pem"] * 3]
