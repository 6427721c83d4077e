"""The policies in packaging/iam are enough for what they are for: a moto that enforces them says so."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest

from tests.support import servers
from tests.support.command import run_command
from tests.support.s3server import REGION, S3Server

from .lab import Lab

IAM = Path(__file__).parents[2] / "packaging" / "iam"
BUCKET = "my-bucket"
"""As in the policies."""
USER = "uploader"
# moto's name for what s3:ListBucket allows in AWS ("Required permissions for Amazon S3 API operations")
HEAD_BUCKET = {"Effect": "Allow", "Action": ["s3:HeadBucket"], "Resource": f"arn:aws:s3:::{BUCKET}"}


@dataclass(frozen=True, slots=True)
class Account:
    """A moto with one user, whose rights are enforced while ``enforced`` was said last."""

    root: S3Server
    user: S3Server
    iam: Any

    def enforce(self, wanted: bool) -> None:
        """Enforce rights from now on, or none."""
        url = f"{self.root.endpoint}/moto-api/reset-auth"
        body = b"0" if wanted else b"1e9"
        with urlopen(Request(url, data=body, headers={"Content-Type": "text/plain"}, method="POST")) as answer:
            answer.read()

    def give(self, *policies: str) -> None:
        """Give the user these policies and no others, and enforce them."""
        self.enforce(False)
        for name in self.iam.list_user_policies(UserName=USER)["PolicyNames"]:
            self.iam.delete_user_policy(UserName=USER, PolicyName=name)
        for name in policies:
            document = json.loads((IAM / f"{name}.json").read_text())
            document["Statement"].append(HEAD_BUCKET)
            self.iam.put_user_policy(UserName=USER, PolicyName=name, PolicyDocument=json.dumps(document))
        self.enforce(True)


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    """A moto of its own: what is enforced there holds for all who use it."""
    with servers.moto() as server:
        keys = {"aws_access_key_id": server.access_key, "aws_secret_access_key": server.secret_key}
        iam = boto3.client("iam", endpoint_url=server.endpoint, region_name=REGION, **keys)
        iam.create_user(UserName=USER)
        key = iam.create_access_key(UserName=USER)["AccessKey"]
        server.make_bucket(BUCKET)
        user = replace(server, access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])
        yield Account(server, user, iam)
        user.close()
        iam.close()


@pytest.fixture
def rights_lab(lab_at: Callable[[S3Server], Lab], account: Account) -> Lab:
    """A lab whose commands run with the user's keys."""
    return lab_at(account.user)


def lacking(lab: Lab, config: Path) -> tuple[int, list[str]]:
    """What ``config check`` finds wanting, with its exit code."""
    done = run_command("config", "check", str(config), "--online", "--json", env=lab.reached.environment())
    return done.exit_code, [row["check"] for row in done.json["checks"] if row["level"] != "ok"]


def test_the_policy_for_uploads_is_enough_for_an_upload(rights_lab: Lab, account: Account) -> None:
    big = {"Data/big.cbcl": bytes(17 * 2**20)}
    run = rights_lab.make_run(files=big)
    config = rights_lab.write_config(rights_lab.section(BUCKET, remote_path="/nova"))
    account.give("upload")

    assert lacking(rights_lab, config) == (0, ["list_uploads", "get", "delete", "list_parts"])
    done = rights_lab.monitor(config)

    assert done.exit_code == 0, done.stderr
    account.enforce(False)
    rights_lab.assert_in_bucket(run, BUCKET, f"nova/{run.name}")


def test_the_policy_for_a_monitored_bucket_lacks_nothing(rights_lab: Lab, account: Account) -> None:
    rights_lab.make_run()
    config = rights_lab.write_config(rights_lab.section(BUCKET))
    account.give("monitor")

    assert lacking(rights_lab, config) == (0, ["checksum"])  # moto keeps none
    assert rights_lab.monitor(config).exit_code == 0
    env = rights_lab.reached.environment()
    verified = run_command("verify", "--config", str(config), "--deep", env=env)
    assert verified.exit_code == 0, verified.stderr
    swept = run_command("cleanup", "--config", str(config), "--apply", env=env)
    assert swept.exit_code == 0, swept.stderr


@pytest.mark.parametrize(
    ("policy", "gained"),
    [("resume", ["list_uploads", "list_parts"]), ("verify", ["get"]), ("config-check", ["delete"])],
)
def test_each_policy_beside_it_adds_what_it_is_for(
    rights_lab: Lab, account: Account, policy: str, gained: list[str]
) -> None:
    rights_lab.make_run()
    config = rights_lab.write_config(rights_lab.section(BUCKET))
    account.give("upload", policy)

    code, left = lacking(rights_lab, config)

    assert code == 0
    assert sorted({"list_uploads", "get", "delete", "list_parts"} - set(left)) == sorted(gained)


def test_without_any_right_the_bucket_cannot_be_used(rights_lab: Lab, account: Account) -> None:
    rights_lab.make_run()
    config = rights_lab.write_config(rights_lab.section(BUCKET))
    account.give()

    assert lacking(rights_lab, config) == (1, ["bucket"])
