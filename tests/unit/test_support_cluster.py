"""The tests' own Dask cluster: real processes that register, are killed, come back, and are gone after the test."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import DaskCluster

ASK = """
import json, sys
from distributed import Client
with Client(sys.argv[1], timeout=10, set_as_default=False) as client:
    workers = client.run_on_scheduler(lambda dask_scheduler: [
        (state.address, str(state.name), state.nthreads) for state in dask_scheduler.workers.values()
    ])
print(json.dumps(sorted(workers, key=lambda worker: worker[1])))
"""

WAIT_FOR_NANNIES = """
import sys, time
from distributed import Client
with Client(sys.argv[1], timeout=10, set_as_default=False) as client:
    while set(client.run(lambda dask_worker: dask_worker.status.name, nanny=True).values()) != {"running"}:
        time.sleep(0.05)
"""


def registered(cluster: DaskCluster) -> list[Any]:
    """Return address, name and threads of each worker as the scheduler has them, by name."""
    workers: list[Any] = json.loads(ask(cluster, ASK))
    return workers


def ask(cluster: DaskCluster, script: str) -> bytes:
    """Return what the script prints, which gets the address of the scheduler."""
    argv = [sys.executable, "-c", script, cluster.address]
    return subprocess.run(argv, capture_output=True, check=True, timeout=60).stdout


@pytest.fixture
def cluster() -> Iterator[DaskCluster]:
    with DaskCluster() as cluster:
        yield cluster


def test_workers_register_under_their_names_and_with_their_threads(cluster: DaskCluster) -> None:
    first, second = cluster.add_workers("first", "second", nthreads=3)
    by_file = cluster.add_worker("third", by_file=True)

    expected = [[first.address, "first", 3], [second.address, "second", 3], [by_file.address, "third", 2]]
    assert registered(cluster) == expected


def test_a_killed_worker_is_gone_and_its_neighbour_stays(cluster: DaskCluster) -> None:
    first, second = cluster.add_workers("first", "second")

    first.kill()

    assert [address for address, *_ in registered(cluster)] == [second.address]


def test_a_nanny_starts_another_worker_for_a_killed_one(cluster: DaskCluster) -> None:
    worker = cluster.add_worker("guarded", nanny=True)
    before = worker.address
    ask(cluster, WAIT_FOR_NANNIES)  # one that has not seen its worker come up gives up when it dies

    worker.kill_children()
    worker.process.wait_until(lambda: len(worker.addresses) == 2, 60)

    assert worker.address != before


def test_two_workers_of_one_command_are_waited_for(cluster: DaskCluster) -> None:
    worker = cluster.add_worker("pair", nworkers=2)

    assert len(set(worker.addresses)) == 2
    assert sorted(address for address, *_ in registered(cluster)) == sorted(worker.addresses)


def test_a_worker_gets_its_variables_and_nothing_of_the_tests(
    cluster: DaskCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONLY_HERE", "1")

    worker = cluster.add_worker("one", env={"ONLY_THERE": "2"})

    there = Path(f"/proc/{worker.pid}/environ").read_bytes()
    assert b"ONLY_THERE=2" in there
    assert b"ONLY_HERE" not in there


def test_a_scheduler_that_was_killed_comes_back_at_its_address(cluster: DaskCluster) -> None:
    address = cluster.address

    cluster.kill_scheduler()
    cluster.restart_scheduler()
    worker = cluster.add_worker("after")

    assert cluster.address == address
    assert [name for _, name, _ in registered(cluster)] == [worker.name]


def test_nothing_is_left_of_a_cluster() -> None:
    with DaskCluster() as cluster:
        scheduler_file = cluster.scheduler_file
        workers = cluster.add_workers("frozen", "well")
        workers[0].freeze()

    assert [worker.process.popen.poll() for worker in workers] == [-9, -9]
    assert not scheduler_file.parent.exists()
