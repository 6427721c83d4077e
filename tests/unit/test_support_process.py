"""A server of the tests does not outlive the process that started it."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.process import LOOPBACK, ServerProcess

CONNECTS_AND_STAYS = """
import socket, sys, time
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
time.sleep(60)
"""
STARTS_IT_AND_STAYS = """
import sys, time
from pathlib import Path
from tests.support.process import ServerProcess
ServerProcess.start([sys.executable, "-c", sys.argv[1], sys.argv[2]], Path(sys.argv[3]))
time.sleep(60)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_ends_when_its_owner_is_killed(tmp_path: Path, how: signal.Signals) -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        listener.settimeout(30)
        port = str(listener.getsockname()[1])
        argv = [sys.executable, "-c", STARTS_IT_AND_STAYS, CONNECTS_AND_STAYS, port, str(tmp_path)]
        with subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}) as owner:
            connection, _ = listener.accept()
            owner.send_signal(how)
    with connection:
        connection.settimeout(30)
        assert connection.recv(1) == b""


def test_a_server_that_was_stopped_leaves_no_guard(tmp_path: Path) -> None:
    server = ServerProcess.start([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path)
    server.stop()
    server.stop()  # does no harm
    assert server.popen.returncode == -signal.SIGTERM
    assert server.guard.returncode == 0
