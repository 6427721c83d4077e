"""Lets a command believe that it runs on another host, on a file system whose locks do not reach it.

Python imports ``sitecustomize`` of this folder at its start, where PYTHONPATH leads there.
"""

from pathlib import Path

HOST = "ASYNC_S3_UPLOAD_TEST_HOST"
"""Name of the host; it has a kernel and a machine id of its own."""
FAST = "ASYNC_S3_UPLOAD_TEST_FAST"
"""Where set, records of locks are renewed and looked at fifty times as often."""


def on_host(name: str) -> dict[str, str | None]:
    """Return the environment of a command on that host."""
    return {"PYTHONPATH": str(Path(__file__).parent), HOST: name, FAST: "1"}
