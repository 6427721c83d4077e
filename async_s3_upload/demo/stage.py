"""What a demo needs: an embedded S3 server with an empty bucket, and the command as cron would run it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TextIO

from async_s3_upload.errors import UploadError

BUCKET = "demo-bucket"


class NoServerError(UploadError):
    """The package of the embedded server is not there."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A running server with the empty bucket ``BUCKET``."""

    endpoint: str
    client: Any

    def monitor(self, config: str, output: TextIO) -> int:
        """Run one round of ``monitor`` to its end; what it tells goes to ``output``. Returns its exit code."""
        return self.run(["monitor", "--config", config], output, output)

    def run(self, arguments: Sequence[str], output: TextIO, errors: TextIO) -> int:
        """Run the command to its end, and return its exit code. On a terminal behind ``errors`` it shows its view."""
        command = [sys.executable, "-m", "async_s3_upload", *arguments]
        done = subprocess.run(command, env=self._environment(), stdout=output, stderr=errors, check=False)  # noqa: S603 - our own command
        return done.returncode

    def objects(self) -> dict[str, int]:
        """Return the size of each object in the bucket, by key."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return {entry["Key"]: entry["Size"] for page in pages for entry in page.get("Contents", [])}

    def _environment(self) -> dict[str, str]:
        return {key: value for key, value in os.environ.items() if not key.startswith("AWS_")} | {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "demo",
            "AWS_SECRET_ACCESS_KEY": "demo",
            "AWS_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": "127.0.0.1",
        }


@contextmanager
def stage() -> Iterator[Stage]:
    """Start the server on a free port of the loop-back address, and end it afterwards.

    Raises:
        NoServerError: moto is not installed.
    """
    try:
        from moto.server import ThreadedMotoServer
    except ImportError:
        raise NoServerError("the demo needs an embedded S3 server: pip install 'async-s3-upload[demo]'") from None
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        client = _client(endpoint)
        client.create_bucket(Bucket=BUCKET)
        yield Stage(endpoint, client)
    finally:
        server.stop()


def say(text: str) -> None:
    """Write a line for whoever watches."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _client(endpoint: str) -> Any:
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="demo",
        aws_secret_access_key="demo",  # noqa: S106 - the embedded server takes any
    )
