"""One server of a kind serves all processes of a test session."""

import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from multiprocessing import AuthenticationError

import pytest

from tests.support.process import LOOPBACK
from tests.support.s3server import S3Server
from tests.support.servers import ServerStartError
from tests.support.shared_servers import AskedServers, SharedServers

SERVER = S3Server("http://127.0.0.1:1", "name", "not needed")


class Starter:
    """Starts a server that is none, or does not."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.started = 0
        self.stopped = 0

    def __call__(self) -> AbstractContextManager[S3Server]:
        return self._run()

    @contextmanager
    def _run(self) -> Iterator[S3Server]:
        self.started += 1
        if self.error is not None:
            raise self.error
        yield SERVER
        self.stopped += 1


@pytest.fixture
def works() -> Starter:
    return Starter()


@pytest.fixture
def fails() -> Starter:
    return Starter(ServerStartError("weed ended with exit code 1"))


@pytest.fixture
def shared(works: Starter, fails: Starter) -> Iterator[SharedServers]:
    servers = SharedServers({"works": works, "fails": fails})
    yield servers
    servers.close()


def test_nothing_starts_unasked(shared: SharedServers, works: Starter) -> None:
    shared.listen()
    assert works.started == 0


def test_all_who_ask_get_the_same_server_which_ends_with_its_owner(shared: SharedServers, works: Starter) -> None:
    asked = [shared.listen() for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda servers: servers.get("works"), asked))
    assert [*found, shared.get("works")] == [SERVER] * 9
    assert (works.started, works.stopped) == (1, 0)
    shared.close()
    assert (works.started, works.stopped) == (1, 1)


def test_a_server_that_did_not_start_is_told_to_all_and_not_tried_again(shared: SharedServers, fails: Starter) -> None:
    asked = shared.listen()
    for servers in (asked, shared, asked):
        with pytest.raises(ServerStartError, match="exit code 1"):
            servers.get("fails")
    assert fails.started == 1


def test_strangers_get_nothing_and_do_no_harm(shared: SharedServers) -> None:
    asked = shared.listen()
    with socket.create_connection((LOOPBACK, asked.port)) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(AuthenticationError):
        AskedServers(asked.port, os.urandom(16)).get("works")
    assert asked.get("works") == SERVER
