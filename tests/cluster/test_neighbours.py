"""A cluster that is not ours alone: other commands, and tasks of other people, on the same workers."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tests.e2e.lab import Lab, puts
from tests.support.cluster import DaskWorker
from tests.support.proxy import Hold, Rule

from .crew import Crew, keys_sent_by, times_sent

QUICK_TASK = """
import sys
from distributed import Client
with Client(sys.argv[1], timeout=10, set_as_default=False) as client:
    print(client.submit(lambda: "done", workers=[sys.argv[2]], pure=False).result(timeout=20))
"""
LONG_TASK = """
import sys, time
from distributed import Client, Event
client = Client(sys.argv[1], timeout=10, set_as_default=False)
future = client.submit(lambda: (Event("begun").set(), time.sleep(600)), workers=[sys.argv[2]], pure=False)
Event("begun", client=client).wait()
print("begun", flush=True)
sys.stdin.read()
"""


@contextmanager
def occupied(crew: Crew, worker: DaskWorker) -> Iterator[None]:
    """Let a task of somebody else hold the one thread of the worker."""
    argv = [sys.executable, "-c", LONG_TASK, crew.cluster.address, worker.address]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == b"begun\n"
            yield
        finally:
            other.kill()


def test_two_commands_share_the_workers(crew: Crew, lab: Lab) -> None:
    bucket, first, second = lab.bucket(), lab.make_run(1, small_files=60), lab.make_run(2, small_files=60)
    hold = Hold()
    proxy = lab.behind(Rule(puts, hold))
    other = replace(lab, folder=lab.folder / "other")
    other.reached = lab.reached
    crew.add("one", "two")

    with (
        lab.start_upload(first, bucket, *crew.options) as one,
        other.start_upload(second, bucket, *crew.options) as two,
    ):
        for run in (first, second):
            proxy.wait_for(lambda seen, run=run: puts(seen) and seen.key.startswith(run.name))  # type: ignore[misc]
        hold.release()
        done = [one.wait(), two.wait()]

    assert [each.exit_code for each in done] == [0, 0], [each.stderr for each in done]
    for run in (first, second):
        lab.assert_in_bucket(run, bucket, run.name)
    assert set(times_sent(proxy).values()) == {1}


def test_a_task_of_somebody_else_runs_while_a_worker_sends(crew: Crew, lab: Lab) -> None:
    """On its only thread, which a share does not hold."""
    bucket, run = lab.bucket(), lab.make_run()
    hold = Hold()
    proxy = lab.behind(Rule(puts, hold))
    (worker,) = crew.add("only", nthreads=1)

    with lab.start_upload(run, bucket, *crew.options) as command:
        proxy.wait_for(puts)
        argv = [sys.executable, "-c", QUICK_TASK, crew.cluster.address, worker.address]
        assert subprocess.run(argv, capture_output=True, check=True, timeout=60).stdout == b"done\n"
        hold.release()
        done = command.wait()

    assert done.exit_code == 0, done.stderr
    lab.assert_in_bucket(run, bucket, run.name)


def test_a_worker_that_somebody_else_occupies_does_not_hold_the_run(crew: Crew, lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run(small_files=100)
    proxy = lab.behind()
    free, busy = crew.add("free", "busy", nthreads=1)

    with occupied(crew, busy):
        done = lab.upload(run, bucket, *crew.options, timeout=120)

    assert done.exit_code == 0, done.stderr
    assert keys_sent_by(proxy, "free")
    lab.assert_in_bucket(run, bucket, run.name)
    assert free.is_registered()
