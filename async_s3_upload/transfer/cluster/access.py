"""How the workers of a cluster reach S3: what is asked of S3 travels, who asks is found out on each worker."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from async_s3_upload.transfer.access import choose_access
from async_s3_upload.transfer.messages import AwsAccess


def for_workers(access: AwsAccess, environ: Mapping[str, str] = os.environ) -> AwsAccess:
    """Return the access without a secret in it, as it may go through the scheduler: no key, no token.

    Endpoint and region stay, also where ``environ`` (this command's) names them, so that all workers speak to one
    place: a worker without AWS_ENDPOINT_URL would send to AWS. So does the name of a profile.
    """
    return replace(
        access,
        access_key=None,
        secret_key=None,
        session_token=None,
        endpoint_url=access.endpoint_url or _endpoint_of(environ),
        region=access.region or environ.get("AWS_DEFAULT_REGION") or None,
    )


def _endpoint_of(environ: Mapping[str, str]) -> str | None:
    """Return the endpoint that the environment names for S3, as botocore reads it."""
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    return environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or None


def access_on_worker(sent: AwsAccess, environ: Mapping[str, str]) -> AwsAccess:
    """Return the access of this worker: its own credentials, chosen from its own environment as a command does.

    The profile that was sent, if any, comes first and must exist here. Then the pair of variables of the replaced
    tool or AWS_DEFAULT_PROFILE, then the standard chain. A region that was not sent is this worker's own.

    Raises:
        AwsAccessError: the environment holds both ways at once, half of a key pair, or a CA bundle that cannot be read.
    """
    own = choose_access(environ, profile=sent.profile, endpoint_url=sent.endpoint_url, region=sent.region)
    return replace(
        own,
        use_accelerate_endpoint=sent.use_accelerate_endpoint,
        use_dualstack_endpoint=sent.use_dualstack_endpoint,
        addressing_style=sent.addressing_style,
        transport=sent.transport,
    )
