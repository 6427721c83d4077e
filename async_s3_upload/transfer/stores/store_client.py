"""How a client of aiobotocore is made: session, credentials, options, and botocore's models, which are read once."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioCredentials
from aiobotocore.session import AioSession
from botocore.exceptions import InvalidRetryConfigurationError, NoCredentialsError
from botocore.loaders import create_loader

from async_s3_upload import __version__
from async_s3_upload.text import printable
from async_s3_upload.transfer.messages import AwsAccess, ObjectSettings
from async_s3_upload.transfer.stores.store import Rejected

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client

FALLBACK_REGION = "us-east-1"
"""Used where no region is set anywhere: servers of other makers take it, AWS redirects from it."""


async def open_client(
    stack: AsyncExitStack, access: AwsAccess, region: str | None, connections: int
) -> tuple[S3Client, Any, str | None]:
    """Return a client that ``stack`` closes, the provider of its credentials, and the CA bundle it trusts.

    No CA bundle (None): the usual certificates.

    Raises:
        Rejected: an address, a region or another setting makes no sense.
        Errors of botocore: no credentials, no such profile, nonsense in ~/.aws/config.
    """
    session = AioSession(profile=access.profile)
    session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
    session.user_agent_extra = f"async-s3-upload/{__version__}"
    if region is None and session.get_config_variable("region") is None:
        region = FALLBACK_REGION
    # the session keeps what it finds: the client does not ask the chain a second time
    if access.access_key is not None:
        credentials: Any = AioCredentials(access.access_key, access.secret_key or "", access.session_token)
    else:
        credentials = await session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
    config = AioConfig(
        max_pool_connections=connections,
        connect_timeout=10,
        read_timeout=900,
        retries={"total_max_attempts": 1},
        s3=_s3_options(access),
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        disable_request_compression=True,
    )
    client: S3Client
    try:
        client = await stack.enter_async_context(
            session.create_client(
                "s3",
                region_name=region,
                endpoint_url=access.endpoint_url,
                aws_access_key_id=access.access_key,
                aws_secret_access_key=access.secret_key,
                aws_session_token=access.session_token,
                config=config,
            )
        )
    except (ValueError, InvalidRetryConfigurationError) as error:
        why = printable(str(error)).rstrip(".")
        raise Rejected(f"the settings for AWS cannot be used: {why}; see AWS_... and ~/.aws/config") from None
    # as botocore's own clients choose it (session.py and args.py)
    ca_bundle: str | None = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
    return client, credentials, ca_bundle


@cache
def _loader(data_path: str | None) -> Any:
    """Return the loader of botocore's models: with one for all sessions each model is read once, not once a client."""
    return create_loader(data_path)


def load_model() -> None:
    """Read botocore's model of S3 now: who is forked afterwards has it."""
    loader = _loader(AioSession().get_config_variable("data_path"))
    for name in ("service-2", "endpoint-rule-set-1"):
        loader.load_service_model("s3", name)
    for name in ("endpoints", "partitions", "sdk-default-configuration", "_retry"):
        loader.load_data(name)


def object_options(settings: ObjectSettings) -> dict[str, Any]:
    """Return the parameters that put_object and create_multipart_upload take alike."""
    options: dict[str, Any] = {
        "StorageClass": settings.storage_class,
        "ServerSideEncryption": settings.server_side_encryption,
        "SSEKMSKeyId": settings.kms_key_id,
        "ACL": settings.acl,
        "ExpectedBucketOwner": settings.expected_bucket_owner,
        "Tagging": urlencode(settings.tags) if settings.tags else None,
        "Metadata": dict(settings.metadata) if settings.metadata else None,
    }
    return {name: value for name, value in options.items() if value is not None}


def _s3_options(access: AwsAccess) -> dict[str, Any]:
    """Return botocore's ``s3`` options; what is not set here is left to ~/.aws/config."""
    options: dict[str, Any] = {"payload_signing_enabled": False}
    if access.use_accelerate_endpoint:
        options["use_accelerate_endpoint"] = True
    if access.use_dualstack_endpoint:
        options["use_dualstack_endpoint"] = True
    if access.addressing_style:
        options["addressing_style"] = access.addressing_style
    return options
