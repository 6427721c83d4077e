"""Which credentials are used, from the environment and the command line."""

from __future__ import annotations

import pytest

from async_s3_upload.errors import AwsAccessError
from async_s3_upload.transfer.access import choose_access
from async_s3_upload.transfer.messages import AwsAccess

KEYS = {"AWS_ACCESS_KEY": "AKIA1", "AWS_SECRET_KEY": "secret1"}


def test_without_anything_the_standard_chain_decides() -> None:
    assert choose_access({}) == AwsAccess()
    standard = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s", "AWS_PROFILE": "p", "AWS_SESSION_TOKEN": "t"}
    assert choose_access(standard) == AwsAccess()


def test_the_default_profile_is_used() -> None:
    assert choose_access({"AWS_DEFAULT_PROFILE": "lab"}) == AwsAccess(profile="lab")


def test_the_pair_of_keys_is_used() -> None:
    assert choose_access(KEYS) == AwsAccess(access_key="AKIA1", secret_key="secret1")


@pytest.mark.parametrize(
    "keys", [KEYS, {"AWS_ACCESS_KEY": "AKIA1"}, {"AWS_SECRET_KEY": "secret1"}], ids=["pair", "key", "secret"]
)
def test_a_profile_and_keys_at_once_are_refused(keys: dict[str, str]) -> None:
    with pytest.raises(
        AwsAccessError, match="both AWS_DEFAULT_PROFILE and AWS_ACCESS_KEY / AWS_SECRET_KEY are set"
    ) as caught:
        choose_access({"AWS_DEFAULT_PROFILE": "lab", **keys})
    assert "only one way of authentication may be used, unset the other" in str(caught.value)
    assert "secret1" not in str(caught.value)
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"AWS_ACCESS_KEY": "AKIA1"}, "AWS_ACCESS_KEY is set, but AWS_SECRET_KEY is not"),
        ({"AWS_SECRET_KEY": "secret1"}, "AWS_SECRET_KEY is set, but AWS_ACCESS_KEY is not"),
        ({"AWS_ACCESS_KEY": "", "AWS_SECRET_KEY": "secret1"}, "AWS_SECRET_KEY is set, but AWS_ACCESS_KEY is not"),
    ],
)
def test_half_a_pair_is_refused_and_the_missing_half_is_named(environ: dict[str, str], words: str) -> None:
    with pytest.raises(AwsAccessError, match=f"{words}: set both or neither") as caught:
        choose_access(environ)
    assert "secret1" not in str(caught.value)


@pytest.mark.parametrize("odd", ["\udcff", "\n"])
def test_keys_that_can_be_none_are_refused_without_showing_them(odd: str) -> None:
    with pytest.raises(AwsAccessError, match="holds a character that no key has: set them anew") as caught:
        choose_access({"AWS_ACCESS_KEY": "AKIA1", "AWS_SECRET_KEY": f"secret1{odd}"})
    assert "secret1" not in str(caught.value)


def test_empty_variables_count_as_unset() -> None:
    empty = dict.fromkeys(["AWS_DEFAULT_PROFILE", "AWS_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_REGION"], "")
    assert choose_access(empty) == AwsAccess()
    assert choose_access({**KEYS, "AWS_DEFAULT_PROFILE": ""}).access_key == "AKIA1"


def test_a_profile_of_the_command_line_goes_before_the_environment() -> None:
    environ = {"AWS_DEFAULT_PROFILE": "lab", **KEYS, "AWS_REGION": "eu-west-2"}
    found = choose_access(environ, profile="other", endpoint_url="http://s3.lab")
    assert found == AwsAccess(profile="other", endpoint_url="http://s3.lab", region="eu-west-2")


def test_endpoint_and_region_go_along_with_keys() -> None:
    found = choose_access(KEYS, endpoint_url="http://s3.lab", region="eu-west-1")
    assert (found.access_key, found.endpoint_url, found.region) == ("AKIA1", "http://s3.lab", "eu-west-1")


def test_the_region_of_the_command_line_goes_before_that_of_the_environment() -> None:
    assert choose_access({"AWS_REGION": "eu-west-2"}).region == "eu-west-2"
    assert choose_access({"AWS_REGION": "eu-west-2"}, region="eu-west-1").region == "eu-west-1"


@pytest.mark.parametrize(("key", "token"), [("ASIA1", "token1"), ("AKIA1", None)])
def test_a_session_token_goes_along_with_temporary_keys_only(key: str, token: str | None) -> None:
    environ = {"AWS_ACCESS_KEY": key, "AWS_SECRET_KEY": "secret1", "AWS_SESSION_TOKEN": "token1"}
    assert choose_access(environ).session_token == token


def test_secrets_are_no_part_of_the_access_s_text() -> None:
    environ = {"AWS_ACCESS_KEY": "ASIA1", "AWS_SECRET_KEY": "secret1", "AWS_SESSION_TOKEN": "token1"}
    text = repr(choose_access(environ))
    assert not any(secret in text for secret in ("ASIA1", "secret1", "token1"))


def test_a_ca_bundle_that_is_not_there_is_named() -> None:
    with pytest.raises(AwsAccessError, match=r"AWS_CA_BUNDLE names /nowhere/ca\.pem, which cannot be read"):
        choose_access({"AWS_CA_BUNDLE": "/nowhere/ca.pem"})
