"""The main job on a made-up run folder and an embedded S3 server: what ``make demo`` shows."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from typing import Any

from async_s3_upload.demo.run_folder import DEMO, make_run_folder
from async_s3_upload.text import size_text

BUCKET = "demo-bucket"


def show() -> int:
    """Run the demo; returns 0 when the run lay in the bucket and the second ``monitor`` found nothing to do."""
    try:
        from moto.server import ThreadedMotoServer
    except ImportError:
        _say("the demo needs an embedded S3 server: pip install 'async-s3-upload[demo]'")
        return 1
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        with tempfile.TemporaryDirectory(prefix="async-s3-upload-demo-") as folder:
            return _show_in(folder, f"http://{host}:{port}")
    finally:
        server.stop()


def _show_in(folder: str, endpoint: str) -> int:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")} | {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "demo",
        "AWS_SECRET_ACCESS_KEY": "demo",
        "AWS_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1",
    }
    client = _client(endpoint)
    client.create_bucket(Bucket=BUCKET)
    sequencer = os.path.join(folder, "sequencer_1")
    os.mkdir(sequencer)
    run_folder = make_run_folder(sequencer, DEMO)
    config = os.path.join(folder, "config.json")
    with open(config, "w", encoding="utf-8") as file:
        json.dump(_config(folder, sequencer), file, indent=4)
    _say(f"An instrument has written a run: {run_folder}")
    _say(f"An S3 server runs at {endpoint}, with an empty bucket {BUCKET}.\n")
    first = _monitor(config, environment)
    listed = _list(client)
    _say(f"\nIn the bucket now: {len(listed)} objects, {size_text(sum(listed.values()))}")
    for key, size in list(listed.items())[:8]:
        _say(f"  {size:>12,}  {key}")
    _say(f"  ... and {len(listed) - 8} more\n")
    second = _monitor(config, environment)
    local = sum(len(names) for _, _, names in os.walk(run_folder))
    good = first == second == 0 and len(listed) == local
    _say(f"\n{'All' if good else 'NOT all'} {local} files of the run are in S3; the second round had nothing to do.")
    return 0 if good else 1


def _config(folder: str, sequencer: str) -> dict[str, Any]:
    return {
        "max_cores": 2,
        "max_threads": 8,
        "log_dir": os.path.join(folder, "log"),
        "monitor": [{"monitored_directories": [sequencer], "bucket": BUCKET, "remote_path": "/runs"}],
    }


def _monitor(config: str, environment: dict[str, str]) -> int:
    _say("$ async-s3-upload monitor --config config.json")
    command = [sys.executable, "-m", "async_s3_upload", "monitor", "--config", config]
    done = subprocess.run(command, env=environment, stderr=sys.stdout, check=False)  # noqa: S603 - our own command
    _say(f"exit code {done.returncode}")
    return done.returncode


def _client(endpoint: str) -> Any:
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="demo",
        aws_secret_access_key="demo",  # noqa: S106 - the embedded server takes any
    )


def _list(client: Any) -> dict[str, int]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    return {entry["Key"]: entry["Size"] for page in pages for entry in page.get("Contents", [])}


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
