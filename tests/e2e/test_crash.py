"""Processes that are killed: a worker is replaced; after the command itself, the next start goes on."""

import os
import signal
import time
from pathlib import Path

from benchmarks.process_tree import descendants
from tests.support.process import workers_of
from tests.support.proxy import Delay, Rule

from .lab import RUN_FILES, Lab, keys_put, puts


def test_a_killed_worker_is_replaced_and_everything_arrives(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    proxy = moto_lab.behind(Rule(puts, Delay(0.1)))

    with moto_lab.start_upload(run, bucket, "--json", "--threads", "1", "--cores", "1") as command:
        proxy.wait_for(puts, times=3)
        (worker,) = workers_of(command.pid)
        os.kill(worker, signal.SIGKILL)
        done = command.wait()

    assert done.exit_code == 0, done.stderr
    assert "worker process died" in done.stderr
    assert "Traceback" not in done.stderr
    moto_lab.assert_in_bucket(run, bucket, run.name)
    assert moto_lab.run_log(run)["total_uploaded_files"] == done.json["runs"][0]["uploaded_files"] == RUN_FILES


def test_a_killed_command_leaves_no_process_and_what_it_saved_is_not_sent_again(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    moto_lab.behind(Rule(puts, Delay(0.5)))
    config = moto_lab.write_config(moto_lab.section(bucket), max_threads=1)

    with moto_lab.start_monitor(config) as command:
        saved = wait_for_saved_files(moto_lab, run)
        family = descendants({command.pid})
        command.signal(signal.SIGKILL)
        command.wait()
        wait_until_gone(family)
    proxy = moto_lab.behind()

    done = moto_lab.monitor(config)

    assert done.exit_code == 0, done.stderr
    sent = set(keys_put(proxy))
    assert sent
    assert not sent & {f"{run.name}/{name}" for name in saved}
    moto_lab.assert_in_bucket(run, bucket, run.name)
    assert moto_lab.run_log(run)["total_uploaded_files"] == RUN_FILES


def wait_for_saved_files(lab: Lab, run: Path) -> set[str]:
    """Return the names in the run log once there are some."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if lab.run_log_path(run).exists() and (saved := set(lab.run_log(run)["files"])):
            return saved
    raise AssertionError("the run log stays empty")


def wait_until_gone(pids: set[int]) -> None:
    """Return when none of the processes is alive any more."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return
    raise AssertionError(f"still there: {descendants(pids)}")
