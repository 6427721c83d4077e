"""SIGTERM and Ctrl-C: the command ends within seconds, its workers send no more, and the next start sends the rest."""

import signal
import subprocess
import sys

import pytest

from tests.e2e.lab import Lab, files_below, keys_put, puts
from tests.support.proxy import Delay, Rule, Stall, on

from .crew import Crew, times_sent

STOP_SECONDS = 15
# Returns when no thread of ours is left in any worker.
WAIT_FOR_THE_END = """
import sys, time
from distributed import Client
def names():
    import threading
    return [thread.name for thread in threading.enumerate()]
with Client(sys.argv[1], timeout=10, set_as_default=False) as client:
    while any(name.startswith("async-s3-upload") for names in client.run(names).values() for name in names):
        time.sleep(0.1)
"""


@pytest.mark.parametrize(
    ("number", "group", "exit_code"),
    [(signal.SIGTERM, False, 143), (signal.SIGINT, True, 130)],
    ids=["terminated by its id", "Ctrl-C to the whole group"],
)
def test_an_upload_that_is_stopped_goes_on_where_it_ended(
    crew: Crew, lab: Lab, number: signal.Signals, group: bool, exit_code: int
) -> None:
    bucket, run = lab.bucket(), lab.make_run(small_files=100)
    proxy = lab.behind(Rule(puts, Delay(0.2)))
    crew.add("first", "second")

    with lab.start_upload(run, bucket, *crew.options, "--json", "--concurrency", "1") as command:
        proxy.wait_for(lambda seen: puts(seen) and seen.status == 200, times=8)
        command.signal(number, group=group)
        stopped = command.wait(STOP_SECONDS)

    assert stopped.exit_code == stopped.json["exit_code"] == exit_code
    assert "Traceback" not in stopped.stderr
    sent = set(lab.run_log(run)["files"])
    assert 8 <= len(sent) < 100
    assert {f"{run.name}/{name}" for name in sent} == set(lab.server.objects(bucket))
    arrived = times_sent(proxy)

    other = lab.make_run(2)
    assert lab.upload(other, bucket, *crew.options).exit_code == 0  # the same workers, which are free again
    assert {key: times for key, times in times_sent(proxy).items() if key.startswith(run.name)} == arrived

    proxy = lab.behind()
    done = lab.upload(run, bucket, *crew.options)

    assert done.exit_code == 0, done.stderr
    assert sorted(keys_put(proxy)) == sorted(f"{run.name}/{name}" for name in set(files_below(run)) - sent)
    lab.assert_in_bucket(run, bucket, run.name)


def test_a_big_file_in_parts_is_gone_on_with(crew: Crew, lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run(files={"Data/big.cbcl": bytes(range(256)) * 4096 * 60})
    third = on("UploadPart", part=3)
    proxy = lab.behind(Rule(third, Stall()))
    crew.add("first", "second")

    with lab.start_upload(run, bucket, *crew.options) as command:
        proxy.wait_for(third)
        command.signal(signal.SIGTERM)
        stopped = command.wait(STOP_SECONDS)

    assert stopped.exit_code == 143
    assert len(lab.server.uploads_in_progress(bucket)) == 1
    proxy = lab.behind()

    assert lab.upload(run, bucket, *crew.options).exit_code == 0
    lab.assert_in_bucket(run, bucket, run.name)
    assert lab.server.uploads_in_progress(bucket) == []
    assert proxy.count(on("CreateMultipartUpload")) == 0
    assert 1 <= proxy.count(on("UploadPart")) < 8


def test_workers_of_a_command_that_is_killed_stop_by_themselves(crew: Crew, lab: Lab) -> None:
    """Nobody tells them: they do not hear of it any more."""
    bucket, run = lab.bucket(), lab.make_run(small_files=300)
    before = lab.behind(Rule(puts, Delay(0.5)))
    crew.add("first", "second")

    with lab.start_upload(run, bucket, *crew.options, "--concurrency", "1") as command:
        before.wait_for(puts, times=10)
        command.signal(signal.SIGKILL)
        command.wait()
    argv = [sys.executable, "-c", WAIT_FOR_THE_END, crew.cluster.address]
    subprocess.run(argv, capture_output=True, check=True, timeout=120)
    arrived = times_sent(before)
    proxy = lab.behind()
    done = lab.upload(run, bucket, *crew.options)

    assert done.exit_code == 0, done.stderr
    lab.assert_in_bucket(run, bucket, run.name)
    assert times_sent(before) == arrived
    assert set(times_sent(proxy).values()) == {1}
