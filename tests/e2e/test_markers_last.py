"""What describes a run goes up first; what says that it is finished appears only when all the rest is there."""

import pytest

from tests.support.command import Completed, run_command
from tests.support.proxy import Answer, Delay, FaultProxy, Rule, on

from .lab import MARKERS, RUN_FILES, Lab, files_below, keys_put, operations

DESCRIBE = {"RunInfo.xml", "RunParameters.xml", "SampleSheet.csv"}


def names_put(proxy: FaultProxy) -> list[str]:
    return [key.partition("/")[2] for key in keys_put(proxy)]


@pytest.mark.parametrize("way", ["monitor", "upload"])
def test_markers_come_after_the_proof_that_the_rest_is_there(lab: Lab, way: str) -> None:
    bucket, run = lab.bucket(), lab.make_run(files={"RunCompletionStatus.xml": b"<RunStatus>RunCompleted</RunStatus>"})
    config = lab.write_config(lab.section(bucket), max_cores=1, max_threads=1)
    proxy = lab.behind()

    done = lab.monitor(config) if way == "monitor" else lab.upload(run, bucket, "--cores", "1", "--concurrency", "1")

    assert done.exit_code == 0, done.stderr
    lab.assert_in_bucket(run, bucket, run.name)
    names, seen = names_put(proxy), operations(proxy)
    assert set(names[:3]) == DESCRIBE
    assert set(names[-3:-1]) == {"RunCompletionStatus.xml", "RTAComplete.txt"}
    assert names[-1] == "CopyComplete.txt"
    assert seen[-4:] == ["ListObjectsV2", "PutObject", "PutObject", "PutObject"]
    assert lab.run_log(run)["completed"]


def test_a_file_that_is_written_before_the_marker_is_sent_goes_up_before_it(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    config = moto_lab.write_config(moto_lab.section(bucket))
    proxy = moto_lab.behind(Rule(on("ListObjectsV2"), Delay(1.5), times=1))

    with moto_lab.start_monitor(config) as command:
        proxy.wait_for(on("ListObjectsV2"))  # all data is sent, its proof is under way
        (run / "InterOp" / "LateMetricsOut.bin").write_bytes(b"late")
        (run / "RunParameters.xml").write_bytes(b"rewritten")
        done = command.wait()

    assert done.exit_code == 0, done.stderr
    names = names_put(proxy)
    assert set(names[-4:-2]) == {"InterOp/LateMetricsOut.bin", "RunParameters.xml"}
    assert names[-2:] == MARKERS
    assert operations(proxy).count("ListObjectsV2") == 2  # what came late is proved too
    moto_lab.assert_in_bucket(run, bucket, run.name)
    log = moto_lab.run_log(run)
    assert (log["completed"], log["total_local_files"]) == (True, RUN_FILES + 1)


def test_no_marker_is_sent_while_a_file_is_refused_or_cannot_be_read(moto_lab: Lab) -> None:
    bucket, refused, broken = moto_lab.bucket(), moto_lab.make_run(1), moto_lab.make_run(2)
    (broken / "broken link").symlink_to("nowhere")
    proxy = moto_lab.behind(Rule(on("PutObject", key_ends=f"{refused.name}/RunInfo.xml"), Answer(403, "AccessDenied")))

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket)))

    assert done.exit_code == 3
    assert not set(names_put(proxy)) & set(MARKERS)
    assert not any(key.endswith("Complete.txt") for key in moto_lab.server.objects(bucket))


def test_no_marker_is_sent_where_s3_does_not_show_what_was_sent(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    config = moto_lab.write_config(moto_lab.section(bucket))
    proxy = moto_lab.behind(Rule(on("ListObjectsV2"), Answer(403, "AccessDenied")))

    done = moto_lab.monitor(config)

    assert done.exit_code == 3
    assert not set(names_put(proxy)) & set(MARKERS)
    assert not moto_lab.run_log(run)["completed"]

    proxy = moto_lab.behind()
    again = moto_lab.monitor(config)

    assert again.exit_code == 0, again.stderr
    assert names_put(proxy) == MARKERS
    assert operations(proxy)[-3:] == ["ListObjectsV2", "PutObject", "PutObject"]


def test_a_run_killed_before_its_marker_has_none_in_s3_and_the_next_start_sends_it(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    config = moto_lab.write_config(moto_lab.section(bucket))
    proxy = moto_lab.behind(Rule(on("PutObject", key_ends="/RTAComplete.txt"), Delay(60)))

    with moto_lab.start_monitor(config):
        proxy.wait_for(on("PutObject", key_ends="/RTAComplete.txt"))
    assert len(moto_lab.server.objects(bucket)) == RUN_FILES - 2

    proxy = moto_lab.behind()
    again = moto_lab.monitor(config)

    assert again.exit_code == 0, again.stderr
    assert names_put(proxy) == MARKERS
    moto_lab.assert_in_bucket(run, bucket, run.name)


@pytest.mark.parametrize("way", ["monitor", "upload"])
def test_a_manifest_comes_between_the_proof_and_the_markers(lab: Lab, way: str) -> None:
    bucket, run = lab.bucket(), lab.make_run()
    config = lab.write_config(lab.section(bucket, manifest=True))
    proxy = lab.behind()

    done = lab.monitor(config) if way == "monitor" else lab.upload(run, bucket, "--manifest")

    assert done.exit_code == 0, done.stderr
    names = names_put(proxy)
    manifests = {f"{run.name}.manifest.tsv", f"{run.name}.manifest.json"}
    assert set(names[-4:-2]) == manifests
    assert names[-2:] == MARKERS
    assert set(lab.server.objects(bucket)) == {f"{run.name}/{name}" for name in {*files_below(run), *manifests}}
    assert not any((lab.log_dir / "manifests").iterdir())
    assert set(lab.run_log(run)["files"]) == set(files_below(run))
    for name in manifests:
        found = verify_manifest(lab, f"s3://{bucket}/{run.name}/{name}")
        assert found.exit_code == 0, found.stderr


def test_no_marker_is_sent_where_the_manifest_is_refused(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    config = moto_lab.write_config(moto_lab.section(bucket, manifest=True))
    proxy = moto_lab.behind(Rule(on("PutObject", key_ends=".manifest.json"), Answer(403, "AccessDenied")))

    done = moto_lab.monitor(config)

    assert done.exit_code == 3
    assert "manifest" in done.stderr
    assert not set(names_put(proxy)) & set(MARKERS)
    assert not moto_lab.run_log(run)["completed"]


def test_a_marker_that_got_lost_is_sent_again_after_what_else_is(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    config = moto_lab.write_config(moto_lab.section(bucket))
    assert moto_lab.monitor(config).exit_code == 0
    for name in ("RunInfo.xml", "CopyComplete.txt"):
        moto_lab.server.client().delete_object(Bucket=bucket, Key=f"{run.name}/{name}")
    (run / "late").write_bytes(b"late")
    proxy = moto_lab.behind()

    done = moto_lab.monitor(config)

    assert done.exit_code == 0, done.stderr
    assert names_put(proxy) == ["late", "RunInfo.xml", "CopyComplete.txt"]
    moto_lab.assert_in_bucket(run, bucket, run.name)


def verify_manifest(lab: Lab, address: str) -> Completed:
    return run_command("verify", "--manifest", address, env=lab.server.environment())
