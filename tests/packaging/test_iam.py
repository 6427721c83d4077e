"""The policies in packaging/iam are policies, and hold what docs/deployment.md says is needed and nothing else."""

import json
import re
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.support.s3server import REGION, S3Server

ROOT = Path(__file__).parents[2]
IAM = ROOT / "packaging" / "iam"
POLICIES = sorted(path.stem for path in IAM.glob("*.json"))
ON_THE_BUCKET = {"s3:ListBucket", "s3:ListBucketMultipartUploads"}
ON_THE_KEY = {"kms:GenerateDataKey", "kms:Decrypt"}


def statements(name: str) -> list[dict[str, Any]]:
    document = json.loads((IAM / f"{name}.json").read_text())
    assert document["Version"] == "2012-10-17"
    found = document["Statement"]
    assert isinstance(found, list)
    return found


def actions(name: str) -> set[str]:
    return {action for statement in statements(name) for action in statement["Action"]}


def rights_of_the_document() -> set[str]:
    document = (ROOT / "docs" / "deployment.md").read_text()
    chapter = document[document.index("\n## Authentication") : document.index("\n## cron and systemd")]
    rows = [line.split(" | ")[0] for line in chapter.splitlines() if line.startswith("| `")]
    return {right for row in rows for right in re.findall(r"`((?:s3|kms):\w+)`", row)}


def test_every_right_that_the_document_names_is_in_a_policy_and_no_other_is() -> None:
    assert rights_of_the_document() == {action for name in POLICIES for action in actions(name)}


def test_one_policy_has_all_that_a_monitored_bucket_needs() -> None:
    plain = {"upload", "resume", "verify", "cleanup", "config-check"}
    assert actions("monitor") == {action for name in plain for action in actions(name)}
    assert plain < set(POLICIES)


@pytest.mark.parametrize("name", POLICIES)
def test_rights_are_given_on_what_they_are_for(name: str) -> None:
    for statement in statements(name):
        assert statement["Effect"] == "Allow"
        resource = statement["Resource"]
        for action in statement["Action"]:
            if action in ON_THE_BUCKET:
                assert resource == "arn:aws:s3:::my-bucket"
            elif action in ON_THE_KEY:
                assert resource.startswith("arn:aws:kms:")
            else:
                assert resource.startswith("arn:aws:s3:::my-bucket/")


def test_nothing_but_the_probe_may_be_deleted() -> None:
    deleting = [
        (name, statement["Resource"])
        for name in POLICIES
        for statement in statements(name)
        if any("Delete" in action for action in statement["Action"])
    ]
    probe = "arn:aws:s3:::my-bucket/*.async-s3-upload-probe-*"
    assert deleting == [("config-check", probe), ("monitor", probe)]


@pytest.mark.parametrize("name", POLICIES)
def test_iam_takes_each_policy(moto_server: S3Server, name: str) -> None:
    keys = {"aws_access_key_id": moto_server.access_key, "aws_secret_access_key": moto_server.secret_key}
    iam = boto3.client("iam", endpoint_url=moto_server.endpoint, region_name=REGION, **keys)
    try:
        made = iam.create_policy(PolicyName=f"test-{name}", PolicyDocument=(IAM / f"{name}.json").read_text())
        iam.delete_policy(PolicyArn=made["Policy"]["Arn"])
    finally:
        iam.close()


def test_s3_takes_the_rule_for_stale_parts(moto_server: S3Server, bucket_name: Any) -> None:
    rules = json.loads((ROOT / "packaging" / "lifecycle-stale-parts.json").read_text())
    bucket = moto_server.make_bucket(bucket_name())
    moto_server.client().put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=rules)
    (rule,) = moto_server.client().get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 14}
    assert rule["Status"] == "Enabled"
