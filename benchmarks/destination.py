"""Where a benchmark uploads to: a sink of its own, or a real endpoint which is left as it was found."""

import http.client
import json
import os
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import benchmarks
from benchmarks.certificates import make_certificates
from benchmarks.sink_answers import COUNTS_PATH, FORGET_PATH, Counts

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(benchmarks.__file__)))
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@dataclass(frozen=True, slots=True)
class Received:
    """What arrived of one upload; ``requests`` and the sink's CPU are unknown at a real endpoint."""

    objects: int
    bytes: int
    requests: int | None = None
    sink_cpu_seconds: float | None = None


class Destination(Protocol):
    """Takes uploads, one after the other."""

    name: str
    url: str
    ca_file: str

    def environment(self) -> dict[str, str]:
        """Return the environment in which the upload command finds this destination."""

    def mark(self) -> None:
        """Say that an upload begins."""

    def received(self, bucket: str, prefix: str) -> Received:
        """Return what arrived since the mark; ``prefix`` is the upload's own. Leaves nothing behind."""


class SinkDestination:
    """A sink in a process of its own, on the loop-back address; ``ca_file`` is whom its clients have to trust."""

    name = "sink"

    def __init__(self, port: int, ca_file: str = "") -> None:
        self._port = port
        self.ca_file = ca_file
        self.url = f"{'https' if ca_file else 'http'}://127.0.0.1:{port}"
        self._context = ssl.create_default_context(cafile=ca_file) if ca_file else None
        self._before = Counts()

    def environment(self) -> dict[str, str]:
        """Made-up keys, no proxies, and nothing from the user's AWS settings."""
        kept = {name: value for name, value in os.environ.items() if not _leads_elsewhere(name)}
        trusted = {"AWS_CA_BUNDLE": self.ca_file, "SSL_CERT_FILE": self.ca_file} if self.ca_file else {}
        return (
            kept
            | trusted
            | {
                "AWS_ENDPOINT_URL": self.url,
                "AWS_ACCESS_KEY_ID": "benchmark",
                "AWS_SECRET_ACCESS_KEY": "benchmark",
                "AWS_REGION": "us-east-1",
                "AWS_CONFIG_FILE": os.devnull,
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                "AWS_EC2_METADATA_DISABLED": "true",
            }
        )

    def mark(self) -> None:
        """Let the sink forget what it has, and remember the counts of before."""
        self._before = self._ask(FORGET_PATH)

    def received(self, bucket: str, prefix: str) -> Received:
        """Return what the sink has since the mark (an object that came twice is one); uploads come one at a time."""
        now = self.counts()
        new = now.since(self._before)
        return Received(now.kept_objects, now.kept_bytes, new.requests, round(new.cpu_seconds, 3))

    def counts(self) -> Counts:
        """Ask the sink for its counts."""
        return self._ask(COUNTS_PATH)

    def _ask(self, path: str) -> Counts:
        if self._context is None:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        else:
            connection = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=10, context=self._context)
        try:
            connection.request("GET", path)
            return Counts(**json.loads(connection.getresponse().read()))
        finally:
            connection.close()


@contextmanager
def running_sink(*, tls: bool = False, latency_ms: float = 0.0) -> Iterator[SinkDestination]:
    """Start a sink process and end it afterwards; it also ends by itself when this process is gone."""
    command = [sys.executable, "-m", "benchmarks.sink", "--until-stdin-closes", "--latency-ms", str(latency_ms)]
    with tempfile.TemporaryDirectory(prefix="sink-") as folder:
        ca_file, server_file = make_certificates(folder) if tls else ("", "")
        command += ["--certificate", server_file]
        with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                yield SinkDestination(json.loads(process.stdout.readline())["port"], ca_file)
            finally:
                process.stdin.close()
                process.wait(10)


class EndpointDestination:
    """A real S3 endpoint, reached as the AWS_* environment says; only what lies below a prefix is touched."""

    name = "endpoint"

    def __init__(self, endpoint_url: str, credentials: tuple[str, str] | None = None) -> None:
        from botocore.config import Config  # slow to import, and not needed with a sink
        from botocore.session import get_session

        self.url = endpoint_url
        self.ca_file = os.environ.get("AWS_CA_BUNDLE", "")
        self._credentials = credentials or (None, None)
        # Not every server knows the newer checksums; none is needed to list and delete.
        config = Config(request_checksum_calculation="when_required")
        region = os.environ.get("AWS_REGION") or ("us-east-1" if credentials else None)
        key, secret = self._credentials
        self._client: Any = get_session().create_client(
            "s3",
            endpoint_url=endpoint_url,
            region_name=region,
            config=config,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
        )

    def environment(self) -> dict[str, str]:
        """The user's own, with the endpoint; with the credentials, where some were given."""
        key, secret = self._credentials
        found = dict(os.environ) | {"AWS_ENDPOINT_URL": self.url}
        if key and secret:
            found = {name: value for name, value in os.environ.items() if not _leads_elsewhere(name)} | {
                "AWS_ENDPOINT_URL": self.url,
                "AWS_ACCESS_KEY_ID": key,
                "AWS_SECRET_ACCESS_KEY": secret,
                "AWS_REGION": "us-east-1",
            }
        return found

    def mark(self) -> None:
        """Nothing to remember: each upload has a fresh prefix."""

    def received(self, bucket: str, prefix: str) -> Received:
        """List what lies below the prefix, and delete it, unfinished multipart uploads too."""
        if not prefix.strip("/"):
            raise ValueError("an empty prefix is the whole bucket: refused")
        where = {"Bucket": bucket, "Prefix": f"{prefix.strip('/')}/"}
        pages = self._client.get_paginator("list_objects_v2").paginate(**where)
        objects = [entry for page in pages for entry in page.get("Contents", [])]
        for start in range(0, len(objects), 1000):
            keys = [{"Key": entry["Key"]} for entry in objects[start : start + 1000]]
            answer = self._client.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
            for error in answer.get("Errors", []):
                print(f"not deleted: {error.get('Key')}: {error.get('Message')}", file=sys.stderr)
        self._abort_uploads(where)
        return Received(len(objects), sum(entry["Size"] for entry in objects))

    def _abort_uploads(self, where: Mapping[str, str]) -> None:
        for page in self._client.get_paginator("list_multipart_uploads").paginate(**where):
            for upload in page.get("Uploads", []):
                self._client.abort_multipart_upload(
                    Bucket=where["Bucket"], Key=upload["Key"], UploadId=upload["UploadId"]
                )


def _leads_elsewhere(variable: str) -> bool:
    """Tell of a variable that leads programs elsewhere, or makes Python compile its files at each start."""
    elsewhere = variable.startswith(("AWS_", "RCLONE_", "S3_")) or variable.lower() in _PROXIES
    return elsewhere or variable == "PYTHONDONTWRITEBYTECODE"
