"""What comes or changes after a run was complete goes up too; its marker is sent again only where that changed."""

import json

from .lab import Lab, files_below, keys_put, operations, read_json, success, tree


def test_late_files_of_a_completed_run_go_up_without_its_marker(lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run()
    config = lab.write_config(lab.section(bucket))
    assert lab.monitor(config).exit_code == 0
    (run / "Logs").mkdir()
    (run / "Logs" / "PostRunWash.log").write_bytes(b"washed")
    (run / "InterOp" / "QMetricsOut.bin").write_bytes(b"corrected afterwards")
    proxy = lab.behind()

    dry = lab.monitor(config, "--dry-run")
    assert "changed after it was complete" in dry.stdout
    done = lab.monitor(config, "--json")

    assert done.exit_code == 0, done.stderr
    (row,) = done.json["runs"]
    assert (row["state"], row["reason"], row["uploaded_files"]) == ("uploaded", "changed", 2)
    late = {f"{run.name}/Logs/PostRunWash.log", f"{run.name}/InterOp/QMetricsOut.bin"}
    assert set(keys_put(proxy)) == late
    assert "ListObjectsV2" in operations(proxy)  # it is proved
    lab.assert_in_bucket(run, bucket, run.name)
    assert lab.run_log(run)["completed"]
    assert lab.slack.texts("log") == [success(run)] * 2

    before = tree(lab.log_dir / "uploads")
    proxy = lab.behind()
    assert lab.monitor(config).exit_code == 0
    assert operations(proxy) == ["HeadBucket"]
    assert tree(lab.log_dir / "uploads") == before


def test_a_marker_that_changed_is_sent_again_after_the_rest(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    config = moto_lab.write_config(moto_lab.section(bucket))
    assert moto_lab.monitor(config).exit_code == 0
    (run / "late").write_bytes(b"late")
    (run / "CopyComplete.txt").write_bytes(b"copied again")
    proxy = moto_lab.behind()

    assert moto_lab.monitor(config).exit_code == 0

    assert keys_put(proxy) == [f"{run.name}/late", f"{run.name}/CopyComplete.txt"]


def test_nobody_looks_into_a_run_that_was_completed_long_ago_or_never_again(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    config = moto_lab.write_config(moto_lab.section(bucket))
    assert moto_lab.monitor(config).exit_code == 0
    (run / "late").write_bytes(b"late")

    moto_lab.write_config(moto_lab.section(bucket), rescan_completed_hours=0)
    never = moto_lab.monitor(config, "--json")
    log = read_json(moto_lab.run_log_path(run)) | {"completed_at": "2024-01-01T00:00:00Z"}
    moto_lab.run_log_path(run).write_text(json.dumps(log))
    moto_lab.write_config(moto_lab.section(bucket))
    old = moto_lab.monitor(config, "--json")

    for done in (never, old):
        assert done.exit_code == 0, done.stderr
        assert done.json["runs"][0]["reason"] == "already_uploaded"


def test_a_second_marker_that_comes_later_brings_the_rest_whatever_the_hours(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    (run / "CopyComplete.txt").unlink()
    config = moto_lab.write_config(moto_lab.section(bucket, completion="any"), rescan_completed_hours=0)
    assert moto_lab.monitor(config).exit_code == 0
    assert moto_lab.run_log(run)["completed"]
    (run / "late").write_bytes(b"late")
    (run / "CopyComplete.txt").write_bytes(b"")
    proxy = moto_lab.behind()

    done = moto_lab.monitor(config, "--json")

    assert done.exit_code == 0, done.stderr
    assert keys_put(proxy) == [f"{run.name}/late", f"{run.name}/CopyComplete.txt"]
    assert len(moto_lab.server.objects(bucket)) == len(files_below(run))


def test_late_files_that_cannot_be_sent_make_the_run_partial_and_are_told(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    config = moto_lab.write_config(moto_lab.section(bucket))
    assert moto_lab.monitor(config).exit_code == 0
    (run / "broken").symlink_to("nowhere")

    done = moto_lab.monitor(config, "--json")

    assert done.exit_code == 3
    assert done.json["runs"][0]["state"] == "partial"
    assert not moto_lab.run_log(run)["completed"]
