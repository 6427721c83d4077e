"""`upload` given again sends what is new or changed, and nothing else."""

import os

from tests.support.proxy import Hold, Rule

from .lab import RUN_FILES, Lab, keys_put, operations, puts


def test_only_new_and_changed_files_are_sent_again(lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run()
    assert lab.upload(run, bucket).exit_code == 0
    (run / "InterOp" / "late.bin").write_bytes(b"new")
    (run / "SampleSheet.csv").write_text("[Data]\nSample_ID\nrenamed\n")
    same_size = bytearray((run / "RunInfo.xml").read_bytes())
    same_size[0:1] = b" "
    (run / "RunInfo.xml").write_bytes(same_size)
    proxy = lab.behind()

    done = lab.upload(run, bucket, "--json")

    assert done.exit_code == 0, done.stderr
    assert sorted(keys_put(proxy)) == [
        f"{run.name}/{name}" for name in ("InterOp/late.bin", "RunInfo.xml", "SampleSheet.csv")
    ]
    assert done.json["runs"][0]["uploaded_files"] == 3
    lab.assert_in_bucket(run, bucket, run.name)
    log = lab.run_log(run)
    assert (log["completed"], log["total_uploaded_files"]) == (True, RUN_FILES + 1)


def test_nothing_is_sent_where_nothing_changed(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    assert moto_lab.upload(run, bucket).exit_code == 0
    proxy = moto_lab.behind()

    done = moto_lab.upload(run, bucket, "--json")

    assert done.exit_code == 0, done.stderr
    assert operations(proxy) == ["HeadBucket"]
    (row,) = done.json["runs"]
    assert (row["state"], row["reason"], row["uploaded_files"]) == ("skipped", "already_uploaded", 0)


def test_a_file_that_changes_while_it_is_sent_is_sent_again_at_the_end(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run(files={"growing": b"1"})
    key = f"{run.name}/growing"
    held = Hold()
    proxy = moto_lab.behind(Rule(lambda request: request.key == key, held, times=1))

    with moto_lab.start_upload(run, bucket) as command:
        proxy.wait_for(lambda seen: seen.key == key)
        with open(run / "growing", "ab") as file:
            file.write(b"2")
            os.fsync(file.fileno())
        held.release()
        done = command.wait()

    assert done.exit_code == 0, done.stderr
    assert keys_put(proxy).count(key) == 2
    assert [name.rpartition("/")[2] for name in keys_put(proxy)[-3:]] == [
        "growing",
        "RTAComplete.txt",
        "CopyComplete.txt",
    ]
    assert moto_lab.run_log(run)["failed_upload_files"] == []
    assert moto_lab.run_log(run)["files"]["growing"]["size"] == 2
    assert moto_lab.server.body(bucket, key) == b"12"


def test_two_uploads_of_one_folder_at_the_same_time_do_not_meet(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    held = Hold()
    proxy = moto_lab.behind(Rule(puts, held, times=1))

    with moto_lab.start_upload(run, bucket, "--json") as first:
        proxy.wait_for(puts)
        second_proxy = moto_lab.behind()
        second = moto_lab.upload(run, bucket, "--json")
        held.release()
        done = first.wait()

    assert done.exit_code == 0, done.stderr
    assert second.exit_code == second.json["exit_code"] == 3
    assert "another process uploads this run" in second.stderr
    assert keys_put(second_proxy) == []
    moto_lab.assert_in_bucket(run, bucket, run.name)
    log = moto_lab.run_log(run)
    assert (log["completed"], log["total_uploaded_files"]) == (True, RUN_FILES)
    assert not [name for name in os.listdir(moto_lab.log_dir / "uploads") if name.endswith(".tmp")]
