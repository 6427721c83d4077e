"""Our signatures are botocore's, whatever is signed."""

import datetime
from typing import Any
from unittest import mock

from botocore import auth
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.utils import percent_encode
from hypothesis import given, settings
from hypothesis import strategies as st

from async_s3_upload.transfer.stores.lean.signer import Keys, Signer

HOST = "bucket.s3.eu-central-1.amazonaws.com"
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["x-amz-acl", "x-amz-checksum-crc64nvme", "x-amz-meta-lab", "x-amz-storage-class", "x-amz-tagging"]
    ),
    VALUES,
)
TIMES = st.integers(1_500_000_000, 2_500_000_000)


def signed_by_botocore(
    keys: Keys, path: str, query: str, headers: dict[str, str], now: int, region: str
) -> dict[str, str]:
    request: Any = AWSRequest("PUT", f"https://{HOST}{path}{'?' if query else ''}{query}", headers)
    request.context["client_config"] = Config(s3={"payload_signing_enabled": False})
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    credentials = Credentials(keys.access_key, keys.secret_key, keys.token)
    with mock.patch.object(auth, "get_current_datetime", return_value=moment):
        S3SigV4Auth(credentials, "s3", region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


def lines_of(text: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in text.split("\r\n")[:-1])


@settings(deadline=None)
@given(
    key=KEYS,
    upload=st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    headers=HEADERS,
    now=TIMES,
    token=st.none() | st.just("token/+=="),
    region=st.sampled_from(["us-east-1", "eu-central-1"]),
)
def test_what_botocore_signs_is_signed_alike(
    key: str, upload: str | None, headers: dict[str, str], now: int, token: str | None, region: str
) -> None:
    keys = Keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token)
    path = "/" + percent_encode(key, safe="/~")
    query = "" if upload is None else f"partNumber=7&uploadId={percent_encode(upload)}"
    ours = lines_of(Signer(keys, region).sign(path, query, HOST, headers.items(), now))
    theirs = signed_by_botocore(keys, path, query, headers, now, region)
    assert ours["authorization"] == theirs["authorization"]
    assert ours.pop("host") == HOST
    assert ours == theirs


def test_a_signer_goes_on_over_seconds_and_days() -> None:
    keys = Keys("AK", "SK")
    signer = Signer(keys, "us-east-1")
    for now in (1_700_000_000, 1_700_000_000, 1_700_000_001, 1_700_086_400, 1_700_000_000):
        ours = lines_of(signer.sign("/k", "", HOST, (), now + 0.75))
        theirs = signed_by_botocore(keys, "/k", "", {}, now, "us-east-1")
        assert ours["authorization"] == theirs["authorization"]


def test_keys_do_not_show_their_secrets() -> None:
    assert "SECRET" not in repr(Keys("AK", "SECRET", "SECRETTOO"))
