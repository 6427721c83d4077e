"""Fixtures of all tests: servers start when the first test asks for them, and serve the whole session."""

import dataclasses
import importlib
import os
import secrets
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.support.proxy import FaultProxy, Rule
from tests.support.s3server import S3Server
from tests.support.shared_servers import AskedServers, SharedServers
from tests.support.slack import SlackListener

if TYPE_CHECKING:
    from tests.e2e.lab import Lab

SERVERS = pytest.StashKey[SharedServers | AskedServers]()
MOST_PROCESSES = 8
TAKE_LONG = ("tests/faults/", "tests/e2e/", "tests/cluster/")
SHARE_NOTHING = (
    "tests/e2e/test_verify.py",
    "tests/cluster/test_come_and_go.py",
    "tests/cluster/test_cut_off.py",
    "tests/cluster/test_scheduler_lost.py",
)
"""Long files whose tests may be spread."""


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


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object | None:
    """Give `--dist loadscope` the scopes of `scope_of`."""
    if config.getoption("dist") != "loadscope":
        return None
    scheduling = importlib.import_module("xdist.scheduler").LoadScopeScheduling(config, log)
    scheduling._split_scope = scope_of
    return cast("object", scheduling)


def scope_of(nodeid: str) -> str:
    """Return the name of the tests that go to one process together: a file mostly, since it may have fixtures.

    `tests/faults` has threads of its own, and a server that is shared would drown in those of several processes.
    """
    path = nodeid.partition("::")[0]
    if path.startswith("tests/faults/"):
        return "tests/faults"
    return nodeid if path in SHARE_NOTHING else path


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Let file names that are no UTF-8 through to the process that leads: pytest-xdist would end over them."""
    return sendable((yield))


def sendable(value: Any) -> Any:
    """Return the same with what UTF-8 cannot express as escapes."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {key: sendable(item) for key, item in value.items()}
    return type(value)(map(sendable, value)) if type(value) in (list, tuple) else value


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where processes share the tests, begin with those that take long: begun last, they would have the others wait.

    The order is random otherwise.
    """
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: [not item.nodeid.startswith(path) for path in TAKE_LONG])


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


@pytest.fixture
def lab_at(
    tmp_path: Path,
    slack: SlackListener,
    proxy_for: Callable[..., tuple[FaultProxy, S3Server]],
    bucket_name: Callable[..., str],
) -> Callable[[S3Server], "Lab"]:
    """A function that returns a lab that uploads to the server given."""
    from tests.e2e.lab import Lab

    return lambda server: Lab(tmp_path, server, slack, proxy_for, bucket_name)
