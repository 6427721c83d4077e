"""Workers are killed, stopped, frozen, slow, or join in the middle of a run: nothing is lost, nobody waits for one."""

import pytest

from async_s3_upload.transfer.coordination.dealer import SHARE_MAX
from tests.e2e.lab import Lab, files_below, puts
from tests.support.proxy import Delay, Hold, Rule, on

from .crew import Crew, completions, keys_sent_by, sent_by, times_sent, until

MIB = 1024 * 1024
FILES = 300


def test_one_of_three_workers_that_is_killed_costs_at_most_one_share(crew: Crew, lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run(small_files=FILES)
    proxy = lab.behind(Rule(puts, Delay(0.05)))
    _, _, victim = crew.add("first", "second", "victim")

    with lab.start_upload(run, bucket, *crew.options, "--json", "--concurrency", "4") as command:
        proxy.wait_for(sent_by("victim", puts), times=8)
        victim.kill()
        done = command.wait(150)

    assert done.exit_code == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert victim.address in done.stderr  # it is told who left
    assert "has not answered" not in done.stderr  # Dask said so, at once
    lab.assert_in_bucket(run, bucket, run.name)
    assert lab.run_log(run)["total_uploaded_files"] == done.json["runs"][0]["uploaded_files"] == FILES
    twice = {key for key, times in times_sent(proxy).items() if times > 1}
    assert twice <= keys_sent_by(proxy, "victim")
    assert len(twice) <= SHARE_MAX
    assert max(times_sent(proxy).values()) <= 2


def test_a_killed_worker_that_its_nanny_replaces_is_used_again(crew: Crew, lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run(small_files=100)
    proxy = lab.behind(Rule(puts, Delay(0.1)))
    (worker,) = crew.add("guarded", nanny=True)

    with lab.start_upload(run, bucket, *crew.options, "--concurrency", "2") as command:
        proxy.wait_for(sent_by("guarded", puts), times=4)
        worker.kill_children()
        done = command.wait(150)

    assert done.exit_code == 0, done.stderr
    assert len(worker.addresses) == 2
    lab.assert_in_bucket(run, bucket, run.name)


def test_a_worker_that_joins_in_the_middle_of_a_run_is_used(crew: Crew, lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run(small_files=FILES)
    slow = Delay(0.1)
    proxy = lab.behind(Rule(puts, slow))
    crew.add("first")

    with lab.start_upload(run, bucket, *crew.options, "--concurrency", "2") as command:
        proxy.wait_for(sent_by("first", puts), times=4)
        crew.add("late")
        proxy.wait_for(sent_by("late", puts), times=4)
        done = command.wait(150)

    assert done.exit_code == 0, done.stderr
    lab.assert_in_bucket(run, bucket, run.name)
    assert set(times_sent(proxy).values()) == {1}


def test_a_worker_that_is_asked_to_end_leaves_its_files_to_the_others(crew: Crew, lab: Lab) -> None:
    """As Slurm asks at the end of its time."""
    bucket, run = lab.bucket(), lab.make_run(small_files=100)
    proxy = lab.behind(Rule(puts, Delay(0.1)))
    _, leaving = crew.add("staying", "leaving")

    with lab.start_upload(run, bucket, *crew.options, "--concurrency", "2") as command:
        proxy.wait_for(sent_by("leaving", puts), times=4)
        leaving.stop()
        assert leaving.process.popen.returncode == 0  # it was not killed
        done = command.wait(150)

    assert done.exit_code == 0, done.stderr
    lab.assert_in_bucket(run, bucket, run.name)


def test_where_the_only_worker_is_killed_one_that_joins_then_goes_on(crew: Crew, lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run(small_files=60)
    proxy = lab.behind(Rule(puts, Delay(0.1)))
    (only,) = crew.add("only")

    with lab.start_upload(run, bucket, *crew.options, "--concurrency", "2") as command:
        proxy.wait_for(lambda seen: puts(seen) and seen.status == 200, times=4)
        only.kill()
        crew.add("new")
        done = command.wait(150)

    assert done.exit_code == 0, done.stderr
    assert keys_sent_by(proxy, "new")
    lab.assert_in_bucket(run, bucket, run.name)


def test_a_slow_worker_does_not_hold_the_run(crew: Crew, lab: Lab) -> None:
    """What it has begun it ends; what it has not begun is taken over."""
    bucket, run = lab.bucket(), lab.make_run(small_files=FILES)
    hold = Hold()
    proxy = lab.behind(Rule(sent_by("slow", puts), hold))
    crew.add("quick", "slow")
    others = FILES - 2  # the two markers wait for all the rest

    with lab.start_upload(run, bucket, *crew.options, "--concurrency", "2") as command:
        proxy.wait_for(sent_by("slow", puts), times=2)
        proxy.wait_for(sent_by("quick", puts), times=others - 2)
        hold.release()
        done = command.wait(150)

    assert done.exit_code == 0, done.stderr
    assert len(keys_sent_by(proxy, "slow")) <= 4  # the two that were held, and markers perhaps
    assert set(times_sent(proxy).values()) == {1}
    lab.assert_in_bucket(run, bucket, run.name)


def test_the_parts_of_one_big_file_are_sent_by_all_workers_and_completed_once(crew: Crew, lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run(files={"Data/big.cbcl": bytes(range(256)) * 4096 * 160})
    part = on("UploadPart")
    proxy = lab.behind(Rule(part, Delay(0.3)))
    crew.add("first", "second")

    done = lab.upload(run, bucket, *crew.options, "--concurrency", "2")

    assert done.exit_code == 0, done.stderr
    for name in ("first", "second"):
        assert proxy.count(sent_by(name, part))
    assert list(completions(proxy).values()) == [1]
    lab.assert_in_bucket(run, bucket, run.name)


def test_multipart_uploads_are_completed_by_the_coordinator_alone(crew: Crew, lab: Lab) -> None:
    big = {f"Data/big_{number}.cbcl": bytes([number]) * (17 * MIB) for number in range(4)}
    bucket, run = lab.bucket(), lab.make_run(files=big)
    proxy = lab.behind()
    crew.add("first", "second")

    done = lab.upload(run, bucket, *crew.options)

    assert done.exit_code == 0, done.stderr
    complete = on("CompleteMultipartUpload")
    assert proxy.count(complete) == len(big)
    assert not any(proxy.count(sent_by(name, complete)) for name in ("first", "second"))
    lab.assert_in_bucket(run, bucket, run.name)
    assert lab.server.uploads_in_progress(bucket) == []


@pytest.mark.parametrize("when", ["for good", "and wakes up again"])
def test_the_files_of_a_worker_that_freezes_are_sent_by_others(crew: Crew, lab: Lab, when: str) -> None:
    """No connection breaks: only its silence tells."""
    bucket, run = lab.bucket(), lab.make_run(files={"Data/big.cbcl": bytes(range(256)) * 4096 * 40}, small_files=60)
    proxy = lab.behind(Rule(sent_by("sleeper", on("PutObject", "UploadPart")), Delay(0.3)))
    _, sleeper = crew.add("awake", "sleeper")

    with lab.start_upload(run, bucket, *crew.options, "--concurrency", "2") as command:
        proxy.wait_for(sent_by("sleeper", on("PutObject", "UploadPart")), times=2)
        sleeper.freeze()
        if when != "for good":
            until(lambda: sleeper.address in command.stderr, 120)
            sleeper.thaw()
        done = command.wait(170)

    assert done.exit_code == 0, done.stderr
    lab.assert_in_bucket(run, bucket, run.name)
    assert set(completions(proxy).values()) <= {1}
    assert lab.run_log(run)["total_uploaded_files"] == len(files_below(run))
