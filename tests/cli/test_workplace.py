"""Where files are sent from: what ``--scheduler`` and ``dask_scheduler`` say, and what they need."""

from __future__ import annotations

import importlib.util
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from async_s3_upload.cli.config_check.cluster import check_cluster, check_dask, cluster_findings
from async_s3_upload.cli.config_check.command import run_check
from async_s3_upload.cli.session import Resources, resources_of
from async_s3_upload.cli.workplace import early_workers, scheduler_of, with_scheduler
from async_s3_upload.config import Config, read_config
from async_s3_upload.errors import UsageError
from async_s3_upload.transfer.cluster.address import SchedulerAddress
from async_s3_upload.transfer.messages import Limits

NEEDS = " needs Dask: pip install 'async-s3-upload[cluster]'"


def config_with(folder: Path, **keys: Any) -> Config:
    path = folder / "config.json"
    section = {"monitored_directories": ["/data"], "bucket": "runs", "remote_path": "/"}
    path.write_text(json.dumps({**keys, "monitor": [section]}))
    return read_config(str(path))


@pytest.fixture
def no_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without the extra."""

    def lacks(name: str, package: str | None = None) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib.util, "find_spec", lacks)


def test_without_the_option_and_the_key_the_processes_of_this_machine_send(tmp_path: Path) -> None:
    assert scheduler_of(None) is None
    assert resources_of(with_scheduler(config_with(tmp_path), None)).scheduler is None


def test_a_scheduler_in_the_environment_makes_no_cluster_of_local_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://elsewhere:8786")
    assert scheduler_of(None) is None
    assert resources_of(with_scheduler(config_with(tmp_path), None)).scheduler is None


def test_the_option_comes_before_the_key(tmp_path: Path) -> None:
    config = config_with(tmp_path, dask_scheduler="tcp://a:1")
    assert resources_of(with_scheduler(config, None)).scheduler == SchedulerAddress("tcp://a:1", None)
    assert resources_of(with_scheduler(config, "tls://b:2")).scheduler == SchedulerAddress("tls://b:2", None)
    assert resources_of(with_scheduler(config, "/s.json")).scheduler == SchedulerAddress(None, "/s.json")


def test_an_option_that_can_be_no_scheduler_is_named(tmp_path: Path) -> None:
    for call in (lambda: scheduler_of("host:8786"), lambda: with_scheduler(config_with(tmp_path), "host:8786")):
        with pytest.raises(UsageError, match=r'--scheduler: must be tcp://.*not "host:8786"'):
            call()


@pytest.mark.usefixtures("no_dask")
def test_without_dask_the_extra_is_named_with_what_asks_for_it(tmp_path: Path) -> None:
    config = config_with(tmp_path, dask_scheduler="tcp://a:1")
    with pytest.raises(UsageError) as option:
        scheduler_of("tcp://a:1")
    with pytest.raises(UsageError) as key:
        with_scheduler(config, None)
    assert str(option.value) == f"--scheduler{NEEDS}"
    assert str(key.value) == f"dask_scheduler{NEEDS}"
    assert key.value.exit_code == 2


@pytest.mark.usefixtures("no_dask")
def test_without_dask_a_config_without_it_is_none_the_worse(tmp_path: Path) -> None:
    config = config_with(tmp_path)
    assert with_scheduler(config, None) is config
    assert check_dask(config) == []


@pytest.mark.parametrize(
    ("scheduler", "dry_run", "workers"),
    [(None, False, 3), (None, True, 0), (SchedulerAddress("tcp://a:1", None), False, 0)],
)
def test_workers_are_forked_early_only_where_they_send(
    scheduler: SchedulerAddress | None, dry_run: bool, workers: int
) -> None:
    resources = Resources(3, Limits(concurrency=1), "/log", logging.INFO, scheduler=scheduler)
    assert early_workers(resources, dry_run=dry_run)._count == workers


@pytest.mark.usefixtures("no_dask")
async def test_config_check_says_that_dask_is_lacking_also_without_asking_anybody(tmp_path: Path) -> None:
    config = config_with(tmp_path, dask_scheduler="tcp://a:1")
    report = run_check("c.json", config, {}, online=False)
    assert report.exit_code == 1
    assert report.problems() == [f"dask_scheduler tcp://a:1: dask_scheduler{NEEDS}"]
    assert f"problem  dask_scheduler tcp://a:1: dask_scheduler{NEEDS}" in report.lines()
    assert await check_cluster(config, {}) == []  # it was said


async def test_config_check_names_a_scheduler_that_does_not_answer(tmp_path: Path) -> None:
    (finding,) = await check_cluster(config_with(tmp_path, dask_scheduler=str(tmp_path / "s.json")), {})
    assert (finding.check, finding.level) == ("scheduler", "problem")
    assert f"scheduler file {tmp_path / 's.json'} cannot be read: No such file or directory" in finding.text


SCHEDULER = SchedulerAddress("tcp://a:1", None)


@pytest.mark.parametrize(
    ("workers", "level", "text"),
    [
        ((), "warning", "answers, and has no workers"),
        (("tcp://a:2",), "ok", "answers, and has 1 worker"),
        (("tcp://a:2", "tcp://a:3"), "ok", "answers, and has 2 workers"),
    ],
)
def test_config_check_counts_the_workers(workers: Sequence[str], level: str, text: str) -> None:
    (finding,) = cluster_findings(SCHEDULER, dict.fromkeys(workers))
    assert (finding.check, finding.level, finding.text) == ("scheduler", level, text)
    assert finding.advice == ("" if workers else "start some (dask worker)")


@pytest.mark.parametrize(("other", "level"), [(None, "warning"), ("it does not see /data", "problem")])
def test_a_worker_that_cannot_be_used_is_a_problem_where_no_other_can(other: str | None, level: str) -> None:
    found = cluster_findings(SCHEDULER, {"tcp://a:2": "it finds no AWS credentials", "tcp://a:3": other})
    assert found[0].text == f"answers, and has 2 workers, {1 if other is None else 0} to be used"
    assert found[1].as_line() == f"{level:<7}  worker tcp://a:2: it finds no AWS credentials"
    assert len(found) == (2 if other is None else 3)


async def test_config_check_without_a_scheduler_asks_none(tmp_path: Path) -> None:
    assert await check_cluster(config_with(tmp_path), {}) == []


async def test_config_check_asks_no_worker_where_its_own_credentials_are_half_a_pair(tmp_path: Path) -> None:
    config = config_with(tmp_path, dask_scheduler="tcp://127.0.0.1:1")
    assert await check_cluster(config, {"AWS_ACCESS_KEY": "AKIA"}) == []
