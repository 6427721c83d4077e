"""Two runs of one name, and one run to two destinations, never share a log."""

from .lab import RUN_FILES, Lab, keys_put, operations, read_json


def test_two_runs_of_one_name_from_different_folders_both_arrive(lab: Lab) -> None:
    bucket = lab.bucket()
    first, second = lab.make_run(1, sequencer="sequencer_1"), lab.make_run(1, sequencer="sequencer_2")
    (second / "Data" / "only_here.bcl").write_bytes(b"second")
    config = lab.write_config(
        lab.section(bucket, "sequencer_1", remote_path="/one"), lab.section(bucket, "sequencer_2", remote_path="/two")
    )

    done = lab.monitor(config)

    assert done.exit_code == 0, done.stderr
    lab.assert_in_bucket(first, bucket, f"one/{first.name}")
    lab.assert_in_bucket(second, bucket, f"two/{second.name}")
    (other,) = lab.second_logs(first)
    logs = [lab.run_log(first), read_json(other)]
    assert {log["run_path"]: (log["completed"], log["total_uploaded_files"]) for log in logs} == {
        str(first): (True, RUN_FILES),
        str(second): (True, RUN_FILES + 1),
    }


def test_one_folder_to_two_destinations_has_two_logs(lab: Lab) -> None:
    run, one, two = lab.make_run(), lab.bucket("one"), lab.bucket("two")
    config = lab.write_config(lab.section(one), lab.section(two), lab.section(two, remote_path="/again"))

    done = lab.monitor(config)

    assert done.exit_code == 0, done.stderr
    lab.assert_in_bucket(run, one, run.name)
    lab.assert_in_bucket(run, two, run.name)
    lab.assert_in_bucket(run, two, f"again/{run.name}")
    logs = [lab.run_log(run), *map(read_json, lab.second_logs(run))]
    assert {(log["bucket"], log["remote_path"], log["completed"]) for log in logs} == {
        (one, "/", True),
        (two, "/", True),
        (two, "/again", True),
    }
    proxy = lab.behind()

    again = lab.monitor(config)

    assert again.exit_code == 0, again.stderr
    assert sorted(operations(proxy)) == ["HeadBucket", "HeadBucket"]


def test_two_folders_to_one_place_are_told_of(moto_lab: Lab) -> None:
    bucket, one, two = moto_lab.bucket(), moto_lab.make_run(1), moto_lab.make_run(1, sequencer="sequencer_2")
    assert moto_lab.upload(one, bucket).exit_code == 0

    done = moto_lab.upload(two, bucket)

    assert done.exit_code == 0, done.stderr
    told = f"{two} goes to the same place in the bucket as {one}: files of the same name replace each other"
    assert told in done.stderr


def test_a_run_that_two_sections_send_to_one_place_goes_up_once(moto_lab: Lab) -> None:
    run, bucket = moto_lab.make_run(), moto_lab.bucket()
    proxy = moto_lab.behind()

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket), moto_lab.section(bucket, remote_path="//")))

    assert done.exit_code == 0, done.stderr
    assert len(keys_put(proxy)) == RUN_FILES
    assert moto_lab.second_logs(run) == []
