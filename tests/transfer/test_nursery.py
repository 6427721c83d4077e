"""Workers that were forked early wait for work, and leave when there is none."""

import subprocess
import sys
import textwrap

import pytest

from async_s3_upload.transfer.workers.nursery import MOST_FORKED, Nursery

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked early")


def run(code: str) -> list[str]:
    """Run the code in an interpreter of its own, of one thread, and return the lines that it printed."""
    head = """
        import os, threading
        from async_s3_upload.transfer.messages import AwsAccess, Limits, WorkerSettings
        from async_s3_upload.transfer.workers.nursery import Nursery
        ACCESS = AwsAccess(access_key="K", secret_key="S", endpoint_url="http://127.0.0.1:1", region="us-east-1")
        SETTINGS = WorkerSettings(ACCESS, Limits(), 20)
        def children():
            return len(open(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read().split())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(head) + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.split()


def test_they_wait_and_leave_when_nobody_takes_them() -> None:
    code = """
        with Nursery(2):
            print(children())
        print(children())
    """
    assert run(code) == ["2", "0"]


def test_who_is_taken_is_ready_with_the_settings_and_leaves_when_its_pipe_closes() -> None:
    code = """
        with Nursery(2) as nursery:
            nursery.begin(SETTINGS)
            process, pipe = nursery.take(SETTINGS)
            print(type(pipe.recv()).__name__)
            pipe.close()
            process.join(10)
            print(process.exitcode, children())
        print(children())
    """
    assert run(code) == ["Ready", "0", "1", "0"]


def test_workers_with_other_settings_are_not_taken() -> None:
    code = """
        from dataclasses import replace
        with Nursery(1) as nursery:
            nursery.begin(SETTINGS)
            print(nursery.take(replace(SETTINGS, log_level=10)))
    """
    assert run(code) == ["None"]


def test_no_more_are_forked_than_wait_cheaply() -> None:
    assert run("with Nursery(100):\n    print(children())") == [str(MOST_FORKED)]


def test_where_another_thread_is_there_nothing_is_forked() -> None:
    code = """
        stop = threading.Event()
        threading.Thread(target=stop.wait).start()
        with Nursery(2) as nursery:
            print(children(), nursery.take(SETTINGS))
        stop.set()
    """
    assert run(code) == ["0", "None"]


def test_a_nursery_for_nobody_is_empty() -> None:
    with Nursery(0) as nursery:
        assert not nursery._born
