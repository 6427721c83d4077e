"""`verify`: what was changed, lost or added behind our back is found, named and, where asked for, put right."""

import hashlib
import json
import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Completed, run_command, start_command
from tests.support.faults import Answer, Stall
from tests.support.proxy import Rule
from tests.support.s3requests import on

from .lab import Lab, files_below, run_id, write_files

MB = 1024 * 1024
BIG = "Data/big.bin"
SMALL = "InterOp/small.bin"
ODD = "odd/a b+&=#%?'\"[x]{ü}~.txt"
BACKSLASH = "odd/back\\slash.txt"


def bytes_of(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def verify(lab: Lab, *args: str) -> Completed:
    return run_command("verify", *args, env=lab.reached.environment())


def verify_run(lab: Lab, run: Path, *args: str) -> dict[str, Any]:
    """Verify one run by its log and return its row; the row agrees with the exit code."""
    done = verify(lab, "--run", run.name, "--log_dir", str(lab.log_dir), "--json", *args)
    document = done.json
    assert document["exit_code"] == done.exit_code, done.stderr
    assert document["problems"] == []
    (row,) = document["runs"]
    assert done.exit_code == {"verified": 0, "different": 4, "failed": 3}[row["state"]]
    assert isinstance(row, dict)
    return row


def keys(findings: list[dict[str, str]]) -> list[str]:
    return [finding["key"] for finding in findings]


def uploaded(lab: Lab, files: dict[str, bytes], *args: str) -> tuple[Path, str]:
    """Make a run with these files and upload it to a new bucket."""
    run = lab.make_run(files=files)
    bucket = lab.bucket()
    done = lab.upload(run, bucket, "--cores", "1", *args)
    assert done.exit_code == 0, done.stderr
    return run, bucket


def put(lab: Lab, bucket: str, key: str, body: bytes) -> None:
    lab.server.client().put_object(Bucket=bucket, Key=key, Body=body)


def flip_a_byte(path: Path, *, at: int) -> None:
    """Change one byte and leave size and mtime as they were, as a bad disk does."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("level", ["--quick", "--deep"])
def test_an_intact_run_is_verified_whatever_its_names(lab: Lab, level: str) -> None:
    files = {ODD: b"odd", BACKSLASH: b"back", SMALL: bytes_of(1000), BIG: bytes_of(17 * MB), "empty": b""}
    run, bucket = uploaded(lab, files, "--exclude", r"\.thumb$")
    write_files(run, {"left_out.thumb": b"was never sent"})

    row = verify_run(lab, run, level)

    assert row["state"] == "verified"
    assert row["level"] == level[2:]
    assert (row["run_id"], row["run_path"], row["bucket"], row["prefix"]) == (run.name, str(run), bucket, run.name)
    content = {name: body for name, body in files_below(run).items() if not name.endswith(".thumb")}
    assert (row["files"], row["bytes"]) == (len(content), sum(map(len, content.values())))
    for kind in ("missing", "different", "extra", "unproved", "failed", "repaired"):
        assert row[kind] == [], kind


@pytest.mark.parametrize("level", ["--quick", "--deep"])
def test_objects_that_are_lost_changed_or_added_behind_our_back_are_named(lab: Lab, level: str) -> None:
    run, bucket = uploaded(lab, {SMALL: bytes_of(1000), "longer": b"1234", ODD: b"odd", BACKSLASH: b"back"})
    put(lab, bucket, f"{run.name}/{SMALL}", bytes_of(1000, seed=2))
    put(lab, bucket, f"{run.name}/longer", b"12345")
    put(lab, bucket, f"{run.name}/added", b"who put this here?")
    for name in (ODD, BACKSLASH):
        lab.server.client().delete_object(Bucket=bucket, Key=f"{run.name}/{name}")
    before = {key: lab.server.body(bucket, key) for key in lab.server.objects(bucket)}

    row = verify_run(lab, run, level)

    assert row["state"] == "different"
    assert sorted(keys(row["missing"])) == sorted([f"{run.name}/{ODD}", f"{run.name}/{BACKSLASH}"])
    assert keys(row["different"]) == [f"{run.name}/{SMALL}", f"{run.name}/longer"]
    assert row["different"][0]["path"] == str(run / SMALL)
    assert "5 bytes" in row["different"][1]["detail"]
    assert row["extra"] == [f"{run.name}/added"]
    assert {key: lab.server.body(bucket, key) for key in lab.server.objects(bucket)} == before


@pytest.mark.parametrize("size", [1000, 17 * MB])
@pytest.mark.parametrize("checksum", ["crc64nvme", "none"])
def test_a_flipped_bit_on_the_disk_is_found_by_deep_alone(lab: Lab, size: int, checksum: str) -> None:
    run, _ = uploaded(lab, {BIG: bytes_of(size)}, "--checksum", checksum)
    assert verify_run(lab, run, "--deep")["state"] == "verified"
    flip_a_byte(run / BIG, at=size - 1)

    assert verify_run(lab, run, "--quick")["state"] == "verified"
    row = verify_run(lab, run, "--deep")

    assert keys(row["different"]) == [f"{run.name}/{BIG}"]
    assert ("CRC64NVME" if checksum == "crc64nvme" else "ETag") in row["different"][0]["detail"]
    assert row["missing"] == row["unproved"] == []


def test_deep_compares_parts_of_the_size_that_was_recorded(lab: Lab) -> None:
    """Objects of other part sizes than ours (an older log does not tell) are proved, or named as not proved."""
    body = bytes_of(20 * MB)
    run, bucket = uploaded(lab, {BIG: body}, "--checksum", "none")
    key = f"{run.name}/{BIG}"
    client = lab.server.client()
    upload = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    pieces = [body[offset : offset + 6 * MB] for offset in range(0, len(body), 6 * MB)]
    parts = [
        {
            "PartNumber": number,
            "ETag": client.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=piece)["ETag"],
        }
        for number, piece in enumerate(pieces, 1)
    ]
    client.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})
    etag = lab.server.objects(bucket)[key].etag
    assert etag == hashlib.md5(b"".join(hashlib.md5(piece).digest() for piece in pieces)).hexdigest() + "-4"
    log = lab.run_log(run)
    assert log["files"][BIG]["part_size"] == 8 * MB
    log["uploaded_files"][str(run / BIG)] = etag
    del log["files"][BIG]["part_size"]
    lab.run_log_path(run).write_text(json.dumps(log))

    unknown = verify_run(lab, run, "--deep")
    log["files"][BIG]["part_size"] = 6 * MB
    lab.run_log_path(run).write_text(json.dumps(log))
    known = verify_run(lab, run, "--deep")

    assert unknown["state"] == "verified"
    assert keys(unknown["unproved"]) == [key]
    assert known["state"] == "verified"
    assert known["unproved"] == []


def test_repair_sends_what_is_missing_or_different_and_deletes_nothing(lab: Lab) -> None:
    run, bucket = uploaded(lab, {SMALL: bytes_of(1000), ODD: b"odd", "kept": b"kept"})
    put(lab, bucket, f"{run.name}/{SMALL}", bytes_of(1000, seed=2))
    put(lab, bucket, f"{run.name}/added", b"who put this here?")
    lab.server.client().delete_object(Bucket=bucket, Key=f"{run.name}/{ODD}")
    proxy = lab.behind()

    row = verify_run(lab, run, "--repair")

    assert row["state"] == "verified"
    assert sorted(keys(row["repaired"])) == sorted([f"{run.name}/{ODD}", f"{run.name}/{SMALL}"])
    assert row["missing"] == row["different"] == []
    assert row["extra"] == [f"{run.name}/added"]
    assert sum(seen.operation == "PutObject" for seen in proxy.seen) == 2
    assert lab.server.body(bucket, f"{run.name}/added") == b"who put this here?"
    lab.server.client().delete_object(Bucket=bucket, Key=f"{run.name}/added")
    lab.assert_in_bucket(run, bucket, run.name)
    assert lab.run_log(run)["completed"] is True
    assert verify_run(lab, run, "--deep")["state"] == "verified"


def test_deep_repair_sends_a_big_file_again_whose_bytes_differ(lab: Lab) -> None:
    run, bucket = uploaded(lab, {BIG: bytes_of(17 * MB), SMALL: bytes_of(1000)})
    flip_a_byte(run / BIG, at=9 * MB)

    row = verify_run(lab, run, "--deep", "--repair")

    assert keys(row["repaired"]) == [f"{run.name}/{BIG}"]
    lab.assert_in_bucket(run, bucket, run.name)


def test_what_cannot_be_repaired_stays_a_difference(lab: Lab) -> None:
    run, bucket = uploaded(lab, {SMALL: bytes_of(1000)})
    (run / SMALL).unlink()
    lab.server.client().delete_object(Bucket=bucket, Key=f"{run.name}/{SMALL}")

    row = verify_run(lab, run, "--repair")

    assert row["state"] == "different"
    assert keys(row["missing"]) == [f"{run.name}/{SMALL}"]
    assert row["repaired"] == []


def test_files_deleted_after_their_upload_are_no_difference(lab: Lab) -> None:
    run, _ = uploaded(lab, {SMALL: bytes_of(1000)})
    (run / SMALL).unlink()

    quick, deep = verify_run(lab, run), verify_run(lab, run, "--deep")

    assert quick["state"] == deep["state"] == "verified"
    assert quick["unproved"] == []
    (gone,) = deep["unproved"]
    assert gone["key"] == f"{run.name}/{SMALL}"
    assert gone["detail"] == "the local file is not there any more; what S3 holds is as it was sent"


def test_nothing_is_sent_where_there_is_no_folder_to_send(lab: Lab) -> None:
    run, bucket = uploaded(lab, {SMALL: bytes_of(1000)})
    lab.server.client().delete_object(Bucket=bucket, Key=f"{run.name}/{SMALL}")
    shutil.rmtree(run)

    row = verify_run(lab, run, "--repair")

    assert row["state"] == "different"
    assert row["detail"] == (
        "the run folder is not there any more: S3 is compared with the run log alone; "
        "nothing can be sent without the run folder"
    )


def test_a_run_of_which_nothing_can_be_told_is_said_so(lab: Lab) -> None:
    run, _ = uploaded(lab, {})
    lab.run_log_path(run).write_bytes(b"{")

    done = verify(lab, "--run", run.name, "--log-dir", str(lab.log_dir))

    assert done.exit_code == 3
    assert f"{run.name}: failed (no known bucket, quick" in done.stdout
    assert "is torn or no run log" in done.stdout


def test_what_could_not_be_sent_is_told(lab: Lab) -> None:
    run, bucket = uploaded(lab, {SMALL: bytes_of(1000)})
    lab.server.client().delete_object(Bucket=bucket, Key=f"{run.name}/{SMALL}")
    lab.behind(Rule(on("PutObject", key_ends=SMALL), Answer(400, "InvalidRequest")))

    row = verify_run(lab, run, "--repair")

    assert row["state"] == "different"
    assert "not everything could be sent: 1 file failed" in row["detail"]


def test_who_does_not_know_what_was_left_out_sends_nothing(lab: Lab) -> None:
    run, bucket = uploaded(lab, {SMALL: bytes_of(1000)})
    lab.server.client().delete_object(Bucket=bucket, Key=f"{run.name}/{SMALL}")
    log = lab.run_log(run)
    del log["exclude_patterns"]
    lab.run_log_path(run).write_text(json.dumps(log))

    row = verify_run(lab, run, "--repair")

    assert row["state"] == "different"
    assert "nothing is sent, as nobody knows what was left out of this run: give --config" in row["detail"]


def test_a_file_touched_after_its_upload_is_different_until_its_bytes_are_compared(lab: Lab) -> None:
    run, _ = uploaded(lab, {SMALL: bytes_of(1000)})
    os.utime(run / SMALL)
    (run / "new").write_bytes(b"new")

    quick, deep = verify_run(lab, run), verify_run(lab, run, "--deep")

    assert keys(quick["different"]) == [f"{run.name}/{SMALL}"]
    assert quick["different"][0]["detail"] == (
        "the local file was modified after it was sent; --deep compares the bytes"
    )
    assert deep["different"] == []
    assert keys(quick["missing"]) == keys(deep["missing"]) == [f"{run.name}/new"]


def test_a_folder_is_verified_without_any_run_log_and_only_what_differs_is_sent(lab: Lab, tmp_path: Path) -> None:
    run, bucket = uploaded(lab, {SMALL: bytes_of(1000), "longer": b"1234"})
    put(lab, bucket, f"{run.name}/longer", b"12345")
    folder = ["--local-path", f"{run}/", "--bucket", bucket, "--log-dir", str(tmp_path / "nothing"), "--json"]
    proxy = lab.behind()

    found = verify(lab, *folder)
    nothing_written = not (tmp_path / "nothing").exists()
    repaired = verify(lab, *folder, "--repair")

    assert found.exit_code == 4
    assert keys(found.json["runs"][0]["different"]) == [f"{run.name}/longer"]
    assert nothing_written
    assert repaired.exit_code == 0, repaired.stderr
    assert [seen.key for seen in proxy.seen if seen.operation == "PutObject"] == [f"{run.name}/longer"]
    lab.assert_in_bucket(run, bucket, run.name)


def test_a_config_stands_for_its_recent_runs(lab: Lab) -> None:
    first, second, third = (lab.make_run(number) for number in (1, 2, 3))
    bucket = lab.bucket()
    config = lab.write_config(lab.section(bucket, remote_path="lab/runs", exclude_patterns=[r"\.log$"]))
    write_files(first, {"a.log": b"left out"})
    assert lab.monitor(config).exit_code == 0
    old = time.time() - 10 * 86_400
    os.utime(lab.run_log_path(second), (old, old))
    lab.server.client().delete_object(Bucket=bucket, Key=f"lab/runs/{third.name}/RunInfo.xml")

    done = verify(lab, "--config", str(config))
    as_json = verify(lab, "--config", str(config), "--days", "11", "--json")

    assert done.exit_code == 4, done.stderr
    lines = done.stdout.splitlines()
    assert sorted(line.split(":")[0] for line in lines if not line.startswith(" ")) == [first.name, third.name]
    assert f"{first.name}: verified" in done.stdout
    assert f"{third.name}: different: 1 missing" in done.stdout
    assert any(line.startswith(f"  missing: {third}/RunInfo.xml") for line in lines)
    assert as_json.exit_code == as_json.json["exit_code"] == 4
    assert {row["run_id"]: row["state"] for row in as_json.json["runs"]} == {
        first.name: "verified",
        second.name: "verified",
        third.name: "different",
    }


def test_nothing_to_verify_is_said(moto_lab: Lab) -> None:
    config = moto_lab.write_config(moto_lab.section(moto_lab.bucket()))

    done = verify(moto_lab, "--config", str(config))

    assert done.exit_code == 0, done.stderr
    assert done.stdout == "no run log was touched in that time: nothing to verify\n"


def test_logs_of_the_replaced_tool_are_verified_with_the_config(lab: Lab) -> None:
    run = lab.make_run(files={"x.log": b"left out"})
    bucket = lab.bucket()
    config = lab.write_config(lab.section(bucket, exclude_patterns=[r"\.log$"]))
    sent = [name for name in files_below(run) if name != "x.log"]
    for name in sent:
        put(lab, bucket, f"{run.name}/{name}", (run / name).read_bytes())
    etags = {f"{run}/{name}": seen.etag for name in sent for seen in [lab.server.objects(bucket)[f"{run.name}/{name}"]]}
    lab.write_old_log(run, sent, completed=True, uploaded_files=etags)

    with_config = verify(lab, "--run", run.name, "--config", str(config), "--deep", "--json")
    without = verify(lab, "--run", run.name, "--log-dir", str(lab.log_dir), "--json")

    assert with_config.exit_code == 0, with_config.stdout
    assert with_config.json["runs"][0]["files"] == len(sent)
    assert without.exit_code == 3
    assert without.json["runs"][0]["detail"] == (
        "its run log, written by the replaced tool, names no bucket, and no single section of a config does; "
        "verify it with --local-path and --bucket"
    )


def test_many_findings_are_capped_for_people_and_complete_in_json(lab: Lab) -> None:
    run, bucket = uploaded(lab, {f"many/{number:02}": b"x" for number in range(25)})
    for number in range(25):
        lab.server.client().delete_object(Bucket=bucket, Key=f"{run.name}/many/{number:02}")

    done = verify(lab, "--run", run.name, "--log-dir", str(lab.log_dir))

    assert done.exit_code == 4
    assert sum(line.startswith("  missing: ") for line in done.stdout.splitlines()) == 20
    assert "... and 5 more missing" in done.stdout
    assert len(verify_run(lab, run)["missing"]) == 25


def test_a_server_that_cannot_be_asked_for_an_object_is_no_difference(lab: Lab) -> None:
    run, _ = uploaded(lab, {SMALL: bytes_of(1000)})
    refused = Answer(403, "AccessDenied")
    lab.behind(Rule(lambda request: on("HeadObject")(request) and request.key.endswith(SMALL), refused))

    row = verify_run(lab, run, "--deep", "--cores", "1")

    assert row["state"] == "failed"
    assert keys(row["failed"]) == [f"{run.name}/{SMALL}"]


@pytest.mark.parametrize(("level", "operation"), [("--deep", "HeadObject"), ("--quick", "ListObjectsV2")])
def test_a_signal_ends_it_soon_and_nothing_counts_as_verified(lab: Lab, level: str, operation: str) -> None:
    run, _ = uploaded(lab, {SMALL: bytes_of(1000)})
    proxy = lab.behind(Rule(on(operation), Stall()))
    args = ("verify", "--run", run.name, "--log-dir", str(lab.log_dir), level, "--json", "--cores", "1")

    with start_command(*args, env=lab.reached.environment()) as command:
        proxy.wait_for(on(operation))
        began = time.monotonic()
        command.signal(signal.SIGTERM)
        done = command.wait(30)

    assert time.monotonic() - began < 10
    assert done.exit_code == done.json["exit_code"] == 143
    assert done.json["runs"][0]["state"] == "failed"
    assert "stopped before the end" in done.json["runs"][0]["detail"]


def test_a_run_that_is_being_uploaded_is_left_for_later(lab: Lab) -> None:
    run, bucket = uploaded(lab, {})
    write_files(run, {SMALL: bytes_of(1000)})
    proxy = lab.behind(Rule(on("PutObject"), Stall()))
    with lab.start_upload(run, bucket) as command:
        proxy.wait_for(on("PutObject"))
        lab.reached = lab.server
        row = verify_run(lab, run, "--repair")
        command.signal(signal.SIGTERM)
        command.wait()

    assert row["state"] == "failed"
    assert row["detail"] == "another process uploads this run at the moment: verify it again afterwards"


def test_no_access_is_fatal(lab: Lab) -> None:
    run, bucket = uploaded(lab, {})
    nowhere = verify(
        lab, "--local-path", str(run), "--bucket", f"{bucket}-not", "--log-dir", str(lab.log_dir), "--json"
    )

    assert nowhere.exit_code == nowhere.json["exit_code"] == 1
    assert "no such bucket" in nowhere.json["problems"][0]


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        ([], "name what to verify: --run, --config, --manifest, or --local-path with --bucket"),
        (["--run", run_id(9), "--log-dir", "/tmp"], f"there is no run log of {run_id(9)}"),
        (["--local-path", "/tmp"], "--local-path needs --bucket"),
        (["--local-path", "/no/such/folder", "--bucket", "b"], "does not exist"),
        (["--run", "x", "--bucket", "b"], "--bucket, --remote-path and --exclude go with --local-path"),
        (["--run", "x", "--days", "2"], "--days goes with --config alone"),
        (["--config", "/x", "--days", "0"], "--days: must be more than 0"),
        (
            ["--run", "x", "--local-path", "/tmp", "--bucket", "b"],
            "--local-path does not go with --run or --config",
        ),
        (["--config", "/no/such/file"], "cannot be read"),
        (["--config", "/x", "--log-dir", "/y"], "--log-dir does not go with --config, which names the log folder"),
        (["--local-path", "/tmp", "--bucket", "b", "--exclude", "("], "not a valid regular expression"),
    ],
)
def test_bad_input_is_one_clear_sentence(args: list[str], complaint: str) -> None:
    done = run_command("verify", *args)

    assert done.exit_code == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
