"""The scheduler is not there, or is lost in the middle of a run: one sentence, an exit code, the next start goes on."""

from pathlib import Path

from tests.e2e.lab import Lab, files_below, keys_put, puts
from tests.support.cluster import DaskCluster
from tests.support.command import Completed
from tests.support.process import LOOPBACK, free_ports
from tests.support.proxy import Delay, FaultProxy, Rule, on

from .crew import Crew, times_sent, until

LOST = "the Dask scheduler was lost: "


def lose_scheduler(crew: Crew, lab: Lab, run: Path, bucket: str) -> tuple[Completed, FaultProxy]:
    """Upload with two workers until some files are in S3, then kill the scheduler."""
    proxy = lab.behind(Rule(puts, Delay(0.1)))
    crew.add("first", "second")
    with lab.start_upload(run, bucket, *crew.options, "--json", "--concurrency", "2") as command:
        proxy.wait_for(lambda seen: puts(seen) and seen.status == 200, times=12)
        crew.cluster.kill_scheduler()
        return command.wait(90), proxy


def test_a_scheduler_that_is_not_there_is_one_sentence(lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run()
    (port,) = free_ports(1)
    proxy = lab.behind()

    done = lab.upload(run, bucket, "--scheduler", f"tcp://{LOOPBACK}:{port}", "--json", timeout=90)

    assert done.exit_code == done.json["exit_code"] == 1
    (said,) = [line for line in done.stderr.splitlines() if str(port) in line]
    assert f"the Dask scheduler at tcp://{LOOPBACK}:{port} does not answer within " in said
    assert "Traceback" not in done.stderr
    assert not proxy.count(puts)


def test_a_scheduler_file_that_is_not_there_is_one_sentence(lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run()

    done = lab.upload(run, bucket, "--scheduler", str(lab.folder / "scheduler.json"))

    assert done.exit_code == 1
    assert f"scheduler file {lab.folder / 'scheduler.json'} cannot be read: No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_lost_scheduler_ends_the_command_with_its_state_kept(crew: Crew, lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run(small_files=100)

    done, _ = lose_scheduler(crew, lab, run, bucket)

    assert done.exit_code == done.json["exit_code"] == 3, done.stderr
    assert done.stderr.count(LOST) == 1
    assert "Traceback" not in done.stderr
    (row,) = done.json["runs"]
    assert row["state"] == "partial"
    log = lab.run_log(run)
    assert 0 < log["total_uploaded_files"] < 100
    assert (log["completed"], log["failed_upload_files"]) == (False, [])


def test_workers_whose_scheduler_is_lost_send_no_more(crew: Crew, lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run(small_files=100)

    _, proxy = lose_scheduler(crew, lab, run, bucket)

    until(lambda: all(worker.process.popen.poll() is not None for worker in crew.cluster.workers))
    assert sum(times_sent(proxy).values()) < 100


def test_the_next_start_with_a_new_scheduler_sends_only_what_is_missing(crew: Crew, lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run(small_files=100, files={"Data/big.cbcl": bytes(20 * 1024 * 1024)})
    lose_scheduler(crew, lab, run, bucket)
    saved = {f"{run.name}/{name}" for name in lab.run_log(run)["files"]}
    proxy = lab.behind()

    with DaskCluster() as cluster:
        Crew(cluster, lab.server).add("third")
        done = lab.upload(run, bucket, "--scheduler", cluster.address)

    assert done.exit_code == 0, done.stderr
    assert saved
    assert not saved & set(keys_put(proxy))
    lab.assert_in_bucket(run, bucket, run.name)
    assert lab.run_log(run)["total_uploaded_files"] == len(files_below(run))
    assert lab.server.uploads_in_progress(bucket) == []


def test_a_start_without_a_cluster_goes_on_too(crew: Crew, lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run(small_files=100)
    lose_scheduler(crew, lab, run, bucket)
    saved = {f"{run.name}/{name}" for name in lab.run_log(run)["files"]}
    proxy = lab.behind()

    done = lab.upload(run, bucket)

    assert done.exit_code == 0, done.stderr
    assert not saved & set(keys_put(proxy))
    lab.assert_in_bucket(run, bucket, run.name)


def test_a_scheduler_that_is_started_anew_in_the_middle_of_a_run_is_a_lost_one(crew: Crew, lab: Lab) -> None:
    """Nothing of what went on is known to the new one, whose address is the same."""
    bucket, run = lab.bucket(), lab.make_run(small_files=100)
    proxy = lab.behind(Rule(puts, Delay(0.1)))
    crew.add("first")

    with lab.start_upload(run, bucket, *crew.options, "--concurrency", "2") as command:
        proxy.wait_for(lambda seen: puts(seen) and seen.status == 200, times=4)
        crew.cluster.kill_scheduler()
        crew.cluster.restart_scheduler()
        done = command.wait(90)

    assert done.exit_code == 3
    assert LOST in done.stderr


def test_a_scheduler_that_hangs_is_a_lost_one(crew: Crew, lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run(small_files=100)
    proxy = lab.behind(Rule(on("PutObject"), Delay(0.1)))
    crew.add("first")

    with lab.start_upload(run, bucket, *crew.options, "--concurrency", "1") as command:
        proxy.wait_for(lambda seen: puts(seen) and seen.status == 200, times=4)
        crew.cluster.freeze_scheduler()
        done = command.wait(150)

    assert done.exit_code == 3
    assert LOST in done.stderr
