"""Which credentials the command uses: the replaced tool's two ways first, the standard chain beyond them."""

from __future__ import annotations

import os
from collections.abc import Mapping

from async_s3_upload.errors import AwsAccessError
from async_s3_upload.transfer.messages import AwsAccess


def choose_access(
    environ: Mapping[str, str],
    *,
    profile: str | None = None,
    endpoint_url: str | None = None,
    region: str | None = None,
) -> AwsAccess:
    """Choose from the environment, with the options of the command line before it. Empty variables count as unset.

    Raises:
        AwsAccessError: both ways at once, half of a key pair, or a CA bundle that cannot be read.
    """
    bundle = environ.get("AWS_CA_BUNDLE")
    if bundle and not os.access(bundle, os.R_OK):
        raise AwsAccessError(f"AWS_CA_BUNDLE names {bundle}, which cannot be read: correct or unset it")
    default_profile = environ.get("AWS_DEFAULT_PROFILE") or None
    key = environ.get("AWS_ACCESS_KEY") or None
    secret = environ.get("AWS_SECRET_KEY") or None
    if key is not None and not (key + (secret or "")).isprintable():
        raise AwsAccessError("AWS_ACCESS_KEY or AWS_SECRET_KEY holds a character that no key has: set them anew")
    region = region or environ.get("AWS_REGION") or None
    if profile:
        return AwsAccess(profile=profile, endpoint_url=endpoint_url, region=region)
    if default_profile and (key or secret):
        raise AwsAccessError(
            "both AWS_DEFAULT_PROFILE and AWS_ACCESS_KEY / AWS_SECRET_KEY are set: "
            "only one way of authentication may be used, unset the other"
        )
    if (key is None) != (secret is None):
        there, missing = ("AWS_ACCESS_KEY", "AWS_SECRET_KEY") if key else ("AWS_SECRET_KEY", "AWS_ACCESS_KEY")
        raise AwsAccessError(f"{there} is set, but {missing} is not: set both or neither")
    token = environ.get("AWS_SESSION_TOKEN") or None
    return AwsAccess(
        profile=default_profile,
        access_key=key,
        secret_key=secret,
        # temporary keys (AWS names them ASIA...) need their token; a stray one spoils lasting keys
        session_token=token if key and key.startswith("ASIA") else None,
        endpoint_url=endpoint_url,
        region=region,
    )
