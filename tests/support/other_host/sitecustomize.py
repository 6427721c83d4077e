"""See the folder's docstring. Only names that the package itself looks up at each call are replaced."""

import fcntl
import os
import socket

from async_s3_upload.state import claim, holding, this_host

NAME = os.environ["ASYNC_S3_UPLOAD_TEST_HOST"]


def flock(descriptor: int, operation: int) -> None:
    """Let everybody have the lock."""


fcntl.flock = flock  # type: ignore[assignment]
socket.gethostname = lambda: NAME
this_host.boot_id = lambda: f"boot of {NAME}"
this_host.machine_id = lambda: f"machine of {NAME}"
if os.environ.get("ASYNC_S3_UPLOAD_TEST_FAST"):
    holding.BEAT_S = 0.2
    holding.DOUBT_S = 0.4
    claim.LOOK_EVERY_S = 0.2
    # however slow the machine is, no look counts as late
    claim.clock = lambda: 0.0  # type: ignore[attr-defined]
