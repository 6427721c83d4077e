"""Fixtures of all tests: servers start when the first test asks for them, and serve the whole session."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support import servers
from tests.support.proxy import FaultProxy, Rule
from tests.support.servers import S3Server
from tests.support.slack import SlackListener


@pytest.fixture(scope="session")
def seaweed() -> Iterator[S3Server]:
    """A SeaweedFS shared by all tests; each makes buckets of its own."""
    with servers.seaweedfs() as server:
        yield server


@pytest.fixture(scope="session")
def moto_server() -> Iterator[S3Server]:
    """A moto shared by all tests; each makes buckets of its own."""
    with servers.moto() as server:
        yield server


@pytest.fixture
def slack() -> Iterator[SlackListener]:
    """A Slack that answers 200."""
    with SlackListener() as listener:
        yield listener


@pytest.fixture
def bucket_name() -> Callable[..., str]:
    """A function that makes a bucket name no other test has, from a stem of a-z, 0-9 and hyphens."""

    def name(stem: str = "bucket") -> str:
        return f"{stem}-{secrets.token_hex(5)}"

    return name


@pytest.fixture
def proxy_for() -> Iterator[Callable[..., tuple[FaultProxy, S3Server]]]:
    """A function that puts a fault proxy with rules before a server: the proxy, the server behind it."""
    with ExitStack() as stack:

        def start(server: S3Server, *rules: Rule) -> tuple[FaultProxy, S3Server]:
            proxy = stack.enter_context(FaultProxy(server.endpoint, *rules))
            behind = server.behind(proxy.endpoint)
            stack.callback(behind.close)
            return proxy, behind

        yield start
