"""A running S3 server as tests see it: where it is, the keys that open it, and what lies in it."""

import threading
from dataclasses import dataclass, field, replace
from typing import Any

import boto3
import botocore.session
from botocore.config import Config

REGION = "us-east-1"

_clients: dict["S3Server", Any] = {}
_clients_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class ObjectSeen:
    """One object as a listing shows it; `etag` is without quotes."""

    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class S3Server:
    """Address and keys of a server; a value, it owns no process."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)

    def behind(self, endpoint: str) -> "S3Server":
        """Return the same server and keys as reached at another address (a proxy's)."""
        return replace(self, endpoint=endpoint)

    def environment(self) -> dict[str, str]:
        """Return the variables that lead a command to this server, and away from the user's own AWS files."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": REGION,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self) -> Any:
        """Return a boto3 S3 client that tries every call once; one a server, shared, closed by `close`."""
        with _clients_lock:
            if self not in _clients:
                _clients[self] = _new_client(self)
            return _clients[self]

    def close(self) -> None:
        """Close the connections of the checking client."""
        with _clients_lock:
            client = _clients.pop(self, None)
        if client is not None:
            client.close()

    def make_bucket(self, name: str) -> str:
        """Create the bucket and return its name."""
        self.client().create_bucket(Bucket=name)
        return name

    def remove_bucket(self, name: str) -> None:
        """Delete the bucket with all that is in it, for servers that let that happen (SeaweedFS)."""
        self.client().delete_bucket(Bucket=name)

    def objects(self, bucket: str) -> dict[str, ObjectSeen]:
        """Return every object of the bucket by key. SeaweedFS lists a backslash in a key as a slash."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return {
            entry["Key"]: ObjectSeen(entry["Size"], entry["ETag"].strip('"'))
            for page in pages
            for entry in page.get("Contents", [])
        }

    def body(self, bucket: str, key: str) -> bytes:
        """Return the bytes of one object."""
        with self.client().get_object(Bucket=bucket, Key=key)["Body"] as stream:
            content: bytes = stream.read()
        return content

    def uploads_in_progress(self, bucket: str) -> list[str]:
        """Return the keys of the multipart uploads neither completed nor aborted, one entry an upload."""
        pages = self.client().get_paginator("list_multipart_uploads").paginate(Bucket=bucket)
        return [entry["Key"] for page in pages for entry in page.get("Uploads", [])]


def _new_client(server: S3Server) -> Any:
    nowhere = {
        "profile": (None, None, None, None),
        "config_file": (None, None, "/dev/null", None),
        "credentials_file": (None, None, "/dev/null", None),
        "ca_bundle": (None, None, None, None),
    }
    session = boto3.session.Session(
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name=REGION,
        botocore_session=botocore.session.Session(session_vars=nowhere),
    )
    config = Config(
        retries={"total_max_attempts": 1},
        s3={"addressing_style": "path"},
        connect_timeout=5,
        read_timeout=30,
        proxies={},
    )
    return session.client("s3", endpoint_url=server.endpoint, config=config)
