"""Fixtures of all tests: servers start when the first test asks for them, and serve the whole session."""

import dataclasses
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.support.proxy import FaultProxy, Rule
from tests.support.s3server import S3Server
from tests.support.shared_servers import AskedServers, SharedServers
from tests.support.slack import SlackListener

SERVERS = pytest.StashKey[SharedServers | AskedServers]()
MOST_PROCESSES = 8
TAKE_LONG = ("tests/faults/", "tests/e2e/")


def pytest_configure(config: pytest.Config) -> None:
    """Own the servers, or ask the process that does where pytest-xdist started this one."""
    if hasattr(config, "workerinput"):
        config.stash[SERVERS] = AskedServers(*config.workerinput["servers"])
    else:
        config.stash[SERVERS] = owned = SharedServers()
        config.add_cleanup(owned.close)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process of pytest-xdist where to ask for servers."""
    owned = node.config.stash[SERVERS]
    node.workerinput["servers"] = dataclasses.astuple(owned.listen())


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two processes a core for `-n auto`: the commands that tests run mostly wait, for servers, limits and restarts."""
    return min(2 * (os.cpu_count() or 1), MOST_PROCESSES)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Where processes share the tests, keep those together that belong together, and begin with those that take long.

    Begun last, one that takes long would have the other processes wait. The order is random otherwise.
    """
    if hasattr(config, "workerinput"):
        for item in items:
            if group := group_of(item):
                item.add_marker(pytest.mark.xdist_group(group))
    yield
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: [not item.nodeid.startswith(folder) for folder in TAKE_LONG])


def group_of(item: pytest.Item) -> str | None:
    """Return the name of those that have to run in one process: they share a costly fixture, or threads.

    More than one process with the threads of `tests/faults` would be too much for the server they share.
    """
    assert isinstance(item, pytest.Function)
    if "scene" in item.fixturenames:
        return "scene"
    scopes = {definitions[-1].scope for definitions in item._fixtureinfo.name2fixturedefs.values()}
    return item.nodeid.partition("::")[0] if scopes & {"module", "class"} else None


@pytest.fixture(scope="session")
def seaweed(pytestconfig: pytest.Config) -> Iterator[S3Server]:
    """A SeaweedFS shared by all tests; each makes buckets of its own."""
    server = pytestconfig.stash[SERVERS].get("seaweedfs")
    yield server
    server.close()


@pytest.fixture(scope="session")
def moto_server(pytestconfig: pytest.Config) -> Iterator[S3Server]:
    """A moto shared by all tests; each makes buckets of its own."""
    server = pytestconfig.stash[SERVERS].get("moto")
    yield server
    server.close()


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
