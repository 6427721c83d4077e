"""`verify --manifest`: a run in S3 is checked by its manifest alone, wherever that lies."""

import asyncio
import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from async_s3_upload.delivery.manifest import upload_manifest
from async_s3_upload.state.run_log import FileRecord, RunLog, read_run_log
from async_s3_upload.transfer.coordination.coordinator import Coordinator
from async_s3_upload.transfer.messages import AwsAccess, Limits, ObjectSettings, WorkerSettings
from async_s3_upload.transfer.workers.process_pool import ProcessPool
from tests.support.command import Completed, run_command
from tests.support.faults import Answer, CutAnswer, Stall
from tests.support.proxy import Rule
from tests.support.s3requests import on
from tests.support.s3server import REGION

from .lab import Lab, write_files

ODD = "odd/tab\tback\\slash ü.bcl"
FILES = {ODD: b"odd", "Data/small.bin": b"12345", "Data/big.bin": bytes(17 * 1024 * 1024), "Data/gone.bin": b"gone"}
MARKER = "CopyComplete.txt"
NOW = "2026-01-01T00:00:00Z"
RECORD = FileRecord("0123456789abcdef" * 2, 0, 5, "AAAAAAAAAAE=", NOW)


def send_manifest(
    lab: Lab, bucket: str, log: RunLog, *, prefix: str, settings: ObjectSettings | None = None, stop: bool = False
) -> str | None:
    """Do what an upload does before it sends the marker."""
    server = lab.reached
    access = AwsAccess(
        access_key=server.access_key, secret_key=server.secret_key, endpoint_url=server.endpoint, region=REGION
    )
    folder = str(lab.log_dir / "manifests" / "run")

    async def send() -> str | None:
        async with Coordinator(
            ProcessPool(WorkerSettings(access, Limits(request_base_s=10), logging.INFO)), 1
        ) as coordinator:
            if stop:
                coordinator.stop()
            why = await upload_manifest(
                coordinator, settings or ObjectSettings(), bucket, prefix, log, [MARKER], folder, NOW
            )
        assert not Path(folder).exists()
        return why

    return asyncio.run(send())


@pytest.fixture
def sent(lab: Lab) -> tuple[Path, str]:
    """A run in a bucket, with its manifest and without its marker; nothing of it is left on this machine."""
    run = lab.make_run(files=FILES)
    bucket = lab.bucket()
    done = lab.upload(run, bucket, "--cores", "1", "--remote-path", "/lab")
    assert done.exit_code == 0, done.stderr
    assert send_manifest(lab, bucket, read_run_log(str(lab.run_log_path(run))), prefix=f"lab/{run.name}") is None
    lab.server.client().delete_object(Bucket=bucket, Key=f"lab/{run.name}/{MARKER}")
    shutil.rmtree(run)
    shutil.rmtree(lab.log_dir)
    return run, bucket


def verify(lab: Lab, *args: str) -> Completed:
    return run_command("verify", "--manifest", *args, env=lab.reached.environment())


def verified(lab: Lab, *args: str) -> dict[str, Any]:
    """Verify and return the row; the row agrees with the exit code."""
    done = verify(lab, *args, "--json")
    document = done.json
    assert document["exit_code"] == done.exit_code, done.stderr
    assert document["problems"] == []
    (row,) = document["runs"]
    assert isinstance(row, dict)
    assert done.exit_code == {"verified": 0, "different": 4, "failed": 3}[row["state"]]
    return row


def url(run: Path, bucket: str, kind: str) -> str:
    return f"s3://{bucket}/lab/{run.name}/{run.name}.manifest.{kind}"


def keys(findings: list[dict[str, str]]) -> list[str]:
    return [finding["key"] for finding in findings]


def test_a_run_is_verified_by_either_manifest_wherever_it_lies(
    lab: Lab, sent: tuple[Path, str], tmp_path: Path
) -> None:
    run, bucket = sent
    client = lab.server.client()
    document = json.loads(lab.server.body(bucket, f"lab/{run.name}/{run.name}.manifest.json"))
    assert (document["run_id"], document["bucket"], document["prefix"]) == (run.name, bucket, f"lab/{run.name}")
    assert document["markers"] == [MARKER]
    listed = set(lab.server.objects(bucket)) | {f"lab/{run.name}/{ODD}"}
    named = {entry["key"] for entry in document["entries"]}
    assert named <= listed
    assert document["files"] == len(named)
    assert all(entry["crc64nvme"] and entry["etag"] and entry["mtime"] for entry in document["entries"])

    for kind in ("json", "tsv"):
        for level in ("--quick", "--deep"):
            row = verified(lab, url(run, bucket, kind), level)
            assert row["state"] == "verified", row
            assert row["detail"] == f"1 marker not in S3 (yet): {MARKER}"
            assert (row["run_id"], row["bucket"], row["prefix"]) == (run.name, bucket, f"lab/{run.name}")
            assert (row["files"], row["bytes"]) == (document["files"], document["bytes"])
            assert row["extra"] == row["missing"] == row["different"] == row["unproved"] == []
        local = tmp_path / f"{run.name}.manifest.{kind}"
        local.write_bytes(lab.server.body(bucket, f"lab/{run.name}/{local.name}"))
        options = ["--bucket", bucket] if kind == "tsv" else []
        assert verified(lab, str(local), *options)["state"] == "verified"
        client.put_object(Bucket=bucket, Key=f"elsewhere/{kind}", Body=local.read_bytes())
        assert verified(lab, f"s3://{bucket}/elsewhere/{kind}")["state"] == "verified"

    client.put_object(Bucket=bucket, Key=f"lab/{run.name}/{MARKER}", Body=b"")
    done = verify(lab, url(run, bucket, "tsv"))
    assert done.exit_code == 0
    first, second = done.stdout.splitlines()
    assert first.startswith(f"{run.name}: verified ({bucket}:lab/{run.name}, quick, {document['files']} files, ")
    assert second == f"  1 marker in S3: {MARKER}"


@pytest.mark.parametrize("kind", ["json", "tsv"])
def test_what_was_lost_changed_or_added_behind_our_back_is_named(lab: Lab, sent: tuple[Path, str], kind: str) -> None:
    run, bucket = sent
    client = lab.server.client()
    start = f"lab/{run.name}/"
    client.delete_object(Bucket=bucket, Key=start + "Data/gone.bin")
    client.delete_object(Bucket=bucket, Key=start + ODD)
    client.put_object(Bucket=bucket, Key=start + "Data/small.bin", Body=b"54321", ChecksumAlgorithm="CRC64NVME")
    client.put_object(Bucket=bucket, Key=start + "RunInfo.xml", Body=b"another size")
    client.put_object(Bucket=bucket, Key=start + "Data/added.bin", Body=b"x")
    client.put_object(Bucket=bucket, Key=f"lab/{run.name}0/other run", Body=b"x")
    for level in ("--quick", "--deep"):
        row = verified(lab, url(run, bucket, kind), level)
        assert row["state"] == "different"
        assert keys(row["missing"]) == [start + "Data/gone.bin", start + ODD]
        assert keys(row["different"]) == [start + "Data/small.bin", start + "RunInfo.xml"]
        assert row["extra"] == [start + "Data/added.bin"]
    assert "CRC64NVME" in row["different"][0]["detail"]
    done = verify(lab, url(run, bucket, kind))
    assert done.exit_code == 4
    assert f"{run.name}: different: 2 missing, 2 different, 1 extra (" in done.stdout
    assert f"  missing: {start}Data/gone.bin: there is no such object\n" in done.stdout
    assert f"  extra: {start}Data/added.bin: no file explains it; it is left alone\n" in done.stdout


def test_the_verification_of_a_run_by_its_log_explains_the_manifest(lab: Lab) -> None:
    run = lab.make_run()
    bucket = lab.bucket()
    assert lab.upload(run, bucket, "--cores", "1").exit_code == 0
    assert send_manifest(lab, bucket, read_run_log(str(lab.run_log_path(run))), prefix=run.name) is None
    before = lab.run_log_path(run).read_bytes()
    done = run_command(
        "verify", "--run", run.name, "--log-dir", str(lab.log_dir), "--json", env=lab.reached.environment()
    )
    assert done.exit_code == 0, done.stdout
    assert done.json["runs"][0]["extra"] == []
    assert lab.run_log_path(run).read_bytes() == before
    assert lab.upload(run, bucket, "--cores", "1").exit_code == 0


def test_a_manifest_never_replaces_a_file_of_the_run(lab: Lab) -> None:
    run = lab.make_run()
    name = f"{run.name}.manifest.tsv"
    write_files(run, {name: b"of the lab"})
    bucket = lab.bucket()
    assert lab.upload(run, bucket, "--cores", "1").exit_code == 0
    why = send_manifest(lab, bucket, read_run_log(str(lab.run_log_path(run))), prefix=run.name)
    assert why == f"the run holds a file named {name} itself, which the manifest would replace"
    assert lab.server.body(bucket, f"{run.name}/{name}") == b"of the lab"


def test_why_a_manifest_was_not_sent_is_said(lab: Lab) -> None:
    bucket = lab.bucket()
    log = RunLog("RUN", "/seq/RUN")
    start = "the manifest RUN.manifest."
    why = send_manifest(lab, bucket, log, prefix="RUN", stop=True)
    assert why is not None
    assert why.startswith(start)
    assert why.endswith("was not sent: stopped before the end")
    lab.behind(Rule(on("PutObject", key_ends=".json"), Answer(403, "AccessDenied")))
    why = send_manifest(lab, bucket, log, prefix="RUN")
    assert why is not None
    assert why.startswith(start + "json was not sent: ")
    assert "AccessDenied" in why
    (lab.log_dir / "manifests").rmdir()
    (lab.log_dir / "manifests").write_bytes(b"in the way")
    why = send_manifest(lab, bucket, log, prefix="RUN")
    assert why is not None
    assert "cannot be written in" in why


def test_a_manifest_of_an_archived_run_can_still_be_read(moto_lab: Lab) -> None:
    bucket = moto_lab.bucket()
    settings = ObjectSettings(storage_class="DEEP_ARCHIVE", tags=(("kind", "run"),))
    assert send_manifest(moto_lab, bucket, RunLog("RUN", "/r"), prefix="RUN", settings=settings) is None
    client = moto_lab.server.client()
    for name in ("RUN/RUN.manifest.tsv", "RUN/RUN.manifest.json"):
        assert "StorageClass" not in client.head_object(Bucket=bucket, Key=name)
        assert client.get_object_tagging(Bucket=bucket, Key=name)["TagSet"] == [{"Key": "kind", "Value": "run"}]


def test_a_big_manifest_that_was_killed_half_way_leaves_no_parts(lab: Lab) -> None:
    """No journal knows of its upload: the next start looks for it."""
    bucket = lab.bucket()
    log = RunLog("RUN", "/r")
    for number in range(120_000):
        log.files[f"Data/Intensities/BaseCalls/L001/C{number}.1/s_1_1101.bcl.gz"] = replace(RECORD, size=number)
    key = "RUN/RUN.manifest.json"
    upload = lab.server.client().create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    lab.server.client().upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"x")
    assert send_manifest(lab, bucket, log, prefix="RUN") is None
    assert lab.server.uploads_in_progress(bucket) == []
    assert json.loads(lab.server.body(bucket, key))["files"] == 120_000


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "there is no object s3://"),
        (b"\x1f\x8b" + bytes(100), "line 1: it does not begin as a manifest does"),
        (b"key\tsize\tmtime\tcrc64nvme\tetag\nRUN/a\t5\t\t", "line 2: it is cut off"),
        (b"", "line 1: it does not begin as a manifest does"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_one_sentence(lab: Lab, content: bytes | None, why: str) -> None:
    bucket = lab.bucket()
    if content is not None:
        lab.server.client().put_object(Bucket=bucket, Key="RUN/m.tsv", Body=content)
    done = verify(lab, f"s3://{bucket}/RUN/m.tsv", "--json")
    assert done.exit_code == 1
    (problem,) = done.json["problems"]
    assert why in problem
    assert f"s3://{bucket}/RUN/m.tsv" in problem
    assert content is None or " is no manifest, or a damaged one: " in problem
    assert done.json["runs"] == []


def test_what_keeps_a_manifest_from_coming_is_said(lab: Lab, sent: tuple[Path, str]) -> None:
    run, bucket = sent
    manifest = url(run, bucket, "json")
    done = verify(lab, manifest.replace(bucket, f"{bucket}-gone"), "--json")
    assert done.exit_code == 1
    assert "there is no" in done.json["problems"][0] or "NoSuchBucket" in done.json["problems"][0]
    lab.behind(Rule(on("GetObject"), Answer(403, "AccessDenied")))
    done = verify(lab, manifest, "--json")
    assert done.exit_code == 1
    assert "may not be read, or is not there: S3 answered 403" in done.json["problems"][0]
    assert done.json["problems"][0].endswith(
        "the rights s3:GetObject and, to tell the one from the other, s3:ListBucket are needed"
    )
    lab.behind(Rule(on("GetObject"), CutAnswer(), times=1))
    assert verified(lab, manifest)["state"] == "verified"


def test_files_without_a_checksum_in_the_manifest_are_compared_by_etag(lab: Lab) -> None:
    bucket = lab.bucket()
    assert send_manifest(lab, bucket, RunLog("RUN", "/r", files={"a": FileRecord("0" * 32)}), prefix="RUN") is None
    row = verified(lab, f"s3://{bucket}/RUN/RUN.manifest.json", "--deep")
    assert "1 file without a CRC64NVME in the manifest: ETags compared" in row["detail"]


def test_a_bucket_that_cannot_be_asked_to_the_end_is_no_verdict(lab: Lab, sent: tuple[Path, str]) -> None:
    run, bucket = sent
    lab.behind(Rule(on("ListObjectsV2"), Answer(403, "AccessDenied")))
    row = verified(lab, url(run, bucket, "json"))
    assert row["state"] == "failed"
    assert "S3 could not be asked: S3 answered 403" in row["detail"]


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["s3://b/k", "--run", "R", "--repair"], "--manifest does not go with --run, --repair"),
        (["s3://b/k", "--config", "c.json"], "does not go with --config"),
        (["s3://b/k", "--exclude", "x"], "does not go with --exclude"),
        (["s3://bucket/"], "names no object; give s3://BUCKET/PATH/RUN.manifest.json"),
        (["s3://a b/k"], "--manifest: the bucket"),
        (["https://bucket/k"], "must be s3://BUCKET/KEY or a local file"),
        ([""], "must not be empty"),
        (["s3://b/k", "--bucket", "s3://b"], "--bucket"),
    ],
)
def test_options_that_make_no_sense_are_refused(lab: Lab, args: list[str], why: str) -> None:
    done = verify(lab, *args, "--json")
    assert done.exit_code == 2
    assert why in done.stderr
    assert done.json["exit_code"] == 2


def test_a_local_manifest_is_looked_at_before_any_server(lab: Lab, tmp_path: Path) -> None:
    proxy = lab.behind(Rule(lambda _: True, Stall()))
    done = verify(lab, str(tmp_path / "none.tsv"))
    assert done.exit_code == 1
    assert "none.tsv cannot be read: No such file or directory" in done.stderr
    (tmp_path / "t.tsv").write_text("key\tsize\tmtime\tcrc64nvme\tetag\nRUN/a\t5\t\t\te\n")
    done = verify(lab, str(tmp_path / "t.tsv"))
    assert done.exit_code == 2
    assert "t.tsv does not name its bucket: give --bucket" in done.stderr
    (tmp_path / "m.json").write_text(
        '{\n"format": "async-s3-upload manifest",\n"version": 1,\n"run_id": "R",\n"bucket": "a/b",\n'
        '"prefix": "R",\n"markers": [],\n"files": 0,\n"entries": [\n]\n}\n'
    )
    done = verify(lab, str(tmp_path / "m.json"))
    assert done.exit_code == 1
    assert "m.json is no manifest, or a damaged one: bucket give the name of the bucket alone" in done.stderr
    assert proxy.seen == []
