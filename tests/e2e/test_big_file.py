"""A file of 60 MB goes up in parts of 8 MiB, with a checksum over the whole that the server has checked."""

import base64
import random

import pytest
from awscrt import checksums

from tests.support.proxy import DropAnswer, Rule, on
from tests.support.s3requests import Seen

from .lab import Lab, write_files

MIB = 1024 * 1024
SIZE = 60_000_000
PARTS = [8 * MIB] * 7 + [SIZE - 7 * 8 * MIB]
NAME = "Data/L001_1.cbcl"


@pytest.fixture(scope="module")
def content() -> bytes:
    return random.Random(1).randbytes(SIZE)


def test_parts_of_8_mib_and_a_checksum_over_the_whole(lab: Lab, content: bytes) -> None:
    bucket, run = lab.bucket(), lab.make_run(files={NAME: content})
    key, expected = f"{run.name}/{NAME}", base64.b64encode(checksums.crc64nvme(content).to_bytes(8)).decode()
    proxy = lab.behind()

    done = lab.upload(run, bucket, "--json")

    assert done.exit_code == 0, done.stderr
    lab.assert_in_bucket(run, bucket, run.name)
    assert sizes_of_parts(proxy.seen) == PARTS
    assert all("x-amz-checksum-crc64nvme" in seen.headers for seen in proxy.seen if seen.part_number)
    (completing,) = [seen for seen in proxy.seen if seen.operation == "CompleteMultipartUpload"]
    assert completing.headers["x-amz-checksum-crc64nvme"] == expected
    etag = lab.server.objects(bucket)[key].etag
    assert etag.endswith(f"-{len(PARTS)}")
    log = lab.run_log(run)
    assert log["uploaded_files"][str(run / NAME)] == etag
    assert (log["files"][NAME]["size"], log["files"][NAME]["crc64nvme"]) == (SIZE, expected)
    assert lab.server.uploads_in_progress(bucket) == []


def test_without_checksums_none_is_sent_or_recorded(lab: Lab, content: bytes) -> None:
    bucket, run = lab.bucket(), lab.make_run(files={NAME: content})
    proxy = lab.behind()

    done = lab.monitor(lab.write_config(lab.section(bucket), checksum="none"))

    assert done.exit_code == 0, done.stderr
    lab.assert_in_bucket(run, bucket, run.name)
    assert sizes_of_parts(proxy.seen) == PARTS
    assert not [name for seen in proxy.seen for name in seen.headers if "checksum" in name]
    assert {known["crc64nvme"] for known in lab.run_log(run)["files"].values()} == {None}


def test_lost_answers_to_begin_part_and_completion_do_not_matter(lab: Lab, content: bytes) -> None:
    bucket, run = lab.bucket(), lab.make_run()
    write_files(run, {NAME: content})
    lab.behind(
        Rule(on("UploadPart", part=2), DropAnswer(), times=1),
        Rule(on("CompleteMultipartUpload"), DropAnswer(reset=True), times=1),
    )

    done = lab.upload(run, bucket)

    assert done.exit_code == 0, done.stderr
    lab.assert_in_bucket(run, bucket, run.name)
    assert lab.run_log(run)["completed"]


def sizes_of_parts(seen: list[Seen]) -> list[int]:
    """Return the sizes in order of the parts' numbers."""
    return [size for _, size in sorted((one.part_number, one.bytes) for one in seen if one.part_number)]
