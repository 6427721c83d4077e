"""Two hosts, one log folder: one of them works, also where locks of the file system do not reach the other.

The hosts are one machine: each command believes to be on a host of its own, and gets no locks of the file system.
"""

import os
import re
import shutil
import signal
import socket
import sys

import pytest

from tests.support.command import RunningCommand
from tests.support.other_host import on_host
from tests.support.proxy import Rule, Stall, on

from .lab import Lab, keys_put, operations, puts, read_json

FIRST, SECOND = on_host("host-1"), on_host("host-2")
LAST = on("PutObject", key_ends="CopyComplete.txt")


def another_runs(lab: Lab, holder: str) -> str:
    return f"another upload runs already with log_dir {lab.log_dir}: nothing to do for this one ({holder})"


def test_a_monitor_on_another_host_sees_that_one_is_at_work_names_it_and_leaves_all_to_it(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    config = moto_lab.write_config(moto_lab.section(bucket))
    proxy = moto_lab.behind(Rule(puts, Stall()))

    with moto_lab.start_monitor(config, env=FIRST) as first:
        proxy.wait_for(puts)
        behind_second = moto_lab.behind()
        second = moto_lab.monitor(config, "--json", env=SECOND)
        same_host = moto_lab.monitor(config, env=FIRST)
        upload = moto_lab.upload(run, bucket, "--json", env=SECOND)
        holder = f"process {first.pid} on host host-1"

        assert second.exit_code == same_host.exit_code == 0, second.stderr
        assert f"{holder} did not let go of {moto_lab.log_dir}/s3_upload.lock: it is awaited for" in second.stderr
        assert "is awaited" not in same_host.stderr
        for done in (second, same_host):
            assert another_runs(moto_lab, holder) in done.stderr
        assert second.json["runs"] == []
        assert upload.exit_code == 3
        assert upload.json["runs"][0]["detail"] == f"another process uploads this run at the moment ({holder})"
        assert set(operations(behind_second)) <= {"HeadBucket"}
        first.signal(signal.SIGTERM)
        assert first.wait(15).exit_code == 143

    third = moto_lab.monitor(config, env=SECOND)
    assert third.exit_code == 0, third.stderr
    assert "is awaited" not in third.stderr
    moto_lab.assert_in_bucket(run, bucket, run.name)


@pytest.mark.parametrize("next_host", ["host-1", "host-2"])
def test_a_monitor_that_was_killed_is_followed_on_its_own_host_at_once_and_on_another_after_a_while(
    moto_lab: Lab, next_host: str
) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    config = moto_lab.write_config(moto_lab.section(bucket))
    proxy = moto_lab.behind(Rule(LAST, Stall()))

    with moto_lab.start_monitor(config, env=FIRST) as first:
        proxy.wait_for(LAST)
        first.signal(signal.SIGKILL, group=True)
        first.wait(15)
    behind = moto_lab.behind()
    done = moto_lab.monitor(config, env=on_host(next_host))

    assert done.exit_code == 0, done.stderr
    waited = f"process {first.pid} on host host-1 gave no sign of life for 6 s and left {moto_lab.log_dir}"
    assert (waited in done.stderr) == (next_host == "host-2")
    assert keys_put(behind) == [f"{run.name}/CopyComplete.txt"]
    moto_lab.assert_in_bucket(run, bucket, run.name)


def test_a_monitor_that_was_frozen_and_is_followed_stops_before_it_writes(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    config = moto_lab.write_config(moto_lab.section(bucket))
    proxy = moto_lab.behind(Rule(LAST, Stall()))

    with moto_lab.start_monitor(config, "--json", env=FIRST) as first:
        proxy.wait_for(LAST)
        first.signal(signal.SIGSTOP)
        moto_lab.behind()
        with moto_lab.start_monitor(config, env=SECOND) as second:
            done = second.wait(60)
        assert done.exit_code == 0, done.stderr
        log = read_json(moto_lab.run_log_path(run))
        files = sorted(os.listdir(moto_lab.log_dir / "uploads"))
        rounds = read_rounds(moto_lab)
        told = moto_lab.slack.texts()

        first.signal(signal.SIGCONT)
        fenced = first.wait(60)

    assert fenced.exit_code == 3, fenced.stderr
    sentence = re.compile(
        r"process \d+ on host host-2 took over \S+s3_upload\.lock while this one stood still: "
        r"this one stops, that one goes on"
    )
    assert any(sentence.search(problem) for problem in fenced.json["problems"])
    assert log["completed"]
    assert read_json(moto_lab.run_log_path(run)) == log
    assert sorted(os.listdir(moto_lab.log_dir / "uploads")) == files
    assert read_rounds(moto_lab) == rounds
    assert moto_lab.slack.texts() == told
    moto_lab.assert_in_bucket(run, bucket, run.name)
    assert moto_lab.monitor(config, env=FIRST).exit_code == 0


def read_rounds(lab: Lab) -> bytes:
    return (lab.log_dir / "rounds.jsonl").read_bytes()


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="host names are changed by root alone")
def test_two_names_of_one_machine_share_the_lock_of_its_kernel(moto_lab: Lab) -> None:
    bucket = moto_lab.bucket()
    moto_lab.make_run()
    config = moto_lab.write_config(moto_lab.section(bucket))
    proxy = moto_lab.behind(Rule(puts, Stall()))
    rename = ["unshare", "--uts", "sh", "-c", 'hostname instrument-2 && exec "$@"', "-"]

    with moto_lab.start_monitor(config) as first:
        proxy.wait_for(puts)
        argv = [*rename, sys.executable, "-m", "async_s3_upload", "monitor", "--config", str(config)]
        with RunningCommand(argv, env=moto_lab.reached.environment()) as second:
            done = second.wait(60)

    assert done.exit_code == 0, done.stderr
    assert another_runs(moto_lab, f"process {first.pid} on host {socket.gethostname()}") in done.stderr
