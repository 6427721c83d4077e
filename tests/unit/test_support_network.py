"""The tests' own networks: a place that is cut off hears nothing, is not told, and still reaches servers outside."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from tests.support.cluster import Loopback, Namespaces, Network, Place, Relay, any_network, namespaces_work
from tests.support.process import LOOPBACK

needs_namespaces = pytest.mark.skipif(not namespaces_work(), reason="network namespaces need root, iproute2 and veth")

ECHO = """
import socket, sys
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
print(server.getsockname()[1], flush=True)
while True:
    connection, _ = server.accept()
    while content := connection.recv(100):
        connection.sendall(content)
"""
# Says of each line whether the echo came back in time, and what the connection said else.
SPEAK = """
import socket, sys
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
for line in sys.stdin:
    connection.settimeout(float(line))
    connection.sendall(b"word")
    try:
        print("echo" if connection.recv(100) else "end", flush=True)
    except TimeoutError:
        print("silence", flush=True)
"""
LONG, SHORT = "20\n", "0.5\n"


class Talk:
    """An echo in one place, and one who speaks to it from another; for `with`."""

    def __init__(self, stack: ExitStack, echo_at: Place, host: str, place: Place) -> None:
        self._echo = _start(stack, [*echo_at.prefix, sys.executable, "-c", ECHO, host, str(echo_at.worker_port)])
        self.port = int(self._echo.stdout.readline())  # type: ignore[union-attr]
        reached_at = echo_at.contact_port or self.port
        self._speaker = _start(stack, [*place.prefix, sys.executable, "-c", SPEAK, host, str(reached_at)])

    def say(self, patience: str) -> str:
        assert self._speaker.stdin is not None
        assert self._speaker.stdout is not None
        self._speaker.stdin.write(patience)
        self._speaker.stdin.flush()
        return self._speaker.stdout.readline().strip()


def _start(stack: ExitStack, argv: list[str]) -> subprocess.Popen[str]:
    process = stack.enter_context(subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    stack.callback(process.kill)
    return process


@pytest.fixture(params=[Loopback, pytest.param(Namespaces, marks=needs_namespaces)])
def network(request: pytest.FixtureRequest) -> Iterator[Network]:
    make: Callable[[], AbstractContextManager[Network]] = request.param
    with make() as network:
        yield network


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_a_place_that_is_cut_off_hears_nothing_until_it_is_mended(network: Network, stack: ExitStack) -> None:
    cut, other = network.place("cut"), network.place("other")
    talks = [Talk(stack, place, place.address, network.hub) for place in (cut, other)]
    assert [talk.say(LONG) for talk in talks] == ["echo", "echo"]

    cut.cut()
    assert [talks[0].say(SHORT), talks[1].say(LONG)] == ["silence", "echo"]

    cut.mend()
    assert [talk.say(LONG) for talk in talks] == ["echo", "echo"]


def test_a_server_outside_is_reached_from_a_place_that_is_cut_off(network: Network, stack: ExitStack) -> None:
    early = network.place("early")
    outside = Place("outside", LOOPBACK)
    first = Talk(stack, outside, LOOPBACK, outside)
    network.let_reach(f"http://127.0.0.1:{first.port}")
    late = network.place("late")

    for place in (early, late):
        place.cut()
        speaker = _start(stack, [*place.prefix, sys.executable, "-c", SPEAK, LOOPBACK, str(first.port)])
        first._speaker.kill()  # the echo speaks to one after the other
        first._speaker = speaker
        assert first.say(LONG) == "echo"


@needs_namespaces
def test_nothing_is_left_of_the_namespaces() -> None:
    with Namespaces() as network:
        places = [network.hub, network.place("one")]
        assert all(Path(f"/run/netns/{place.name}").exists() for place in places)

    assert not any(Path(f"/run/netns/{place.name}").exists() for place in places)


@needs_namespaces
def test_networks_of_tests_that_run_at_once_do_not_meet() -> None:
    with Namespaces() as one, Namespaces() as other:
        assert one.hub.name != other.hub.name
        one.place("same"), other.place("same")


def test_there_is_some_network_on_every_machine() -> None:
    with any_network() as network:
        assert isinstance(network, Namespaces) == namespaces_work()


def test_a_relay_keeps_what_came_while_it_was_cut(stack: ExitStack) -> None:
    server = stack.enter_context(socket.create_server((LOOPBACK, 0)))
    relay = stack.enter_context(Relay(server.getsockname()[1]))
    client = stack.enter_context(socket.create_connection((LOOPBACK, relay.port)))
    accepted = stack.enter_context(server.accept()[0])

    relay.cut()
    client.sendall(b"word")
    accepted.settimeout(0.3)
    with pytest.raises(TimeoutError):
        accepted.recv(100)

    relay.mend()
    accepted.settimeout(20)
    assert accepted.recv(100) == b"word"
