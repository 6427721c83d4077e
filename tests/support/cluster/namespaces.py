"""Network namespaces joined by a bridge; each can be cut off from the others. Needs root, Linux and iproute2."""

import ctypes
import functools
import os
import secrets
import shutil
import socket
import subprocess
import threading
from contextlib import ExitStack, suppress
from types import TracebackType
from urllib.parse import urlsplit

from tests.support.process import LOOPBACK

from .network import Place
from .relay import Relay

CLONE_NEWNET = 0x40000000
HUB_HARDWARE = "02:00:00:00:07:01"


class Namespaces:
    """One namespace for scheduler and coordinator, with the bridge in it, and one for each worker; for `with`.

    All interfaces and addresses are inside. Servers of the tests on the loop-back address outside are reached at the
    same port of each namespace's own loop-back address, once `let_reach` was told of them; that way is no part of
    the bridge, and stays when a worker is cut off.
    """

    def __init__(self) -> None:
        self._tag = f"as3u{secrets.token_hex(3)}"
        self._stack = ExitStack()
        self._places: list[Place] = []
        self._ports: set[int] = set()

    def __enter__(self) -> "Namespaces":
        try:
            self._relay = self._stack.enter_context(Relay())
            self.hub = self._make("hub")
            _ip("-n", self._name("hub"), "link", "add", "bridge", "address", HUB_HARDWARE, "type", "bridge")
            _ip("-n", self._name("hub"), "addr", "add", f"{self.hub.address}/24", "dev", "bridge")
            _ip("-n", self._name("hub"), "link", "set", "bridge", "up")
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def place(self, name: str) -> Place:
        """Return a new place for a worker, joined to the bridge."""
        place = self._make(name)
        hub, inside, port = self._name("hub"), self._name(name), f"port{len(self._places)}"
        hardware = f"02:00:00:00:07:{len(self._places):02x}"
        _ip("-n", inside, "link", "add", "lan", "address", hardware, "type", "veth", "peer", "name", port, "netns", hub)
        _ip("-n", hub, "link", "set", port, "master", "bridge", "up")
        _ip("-n", inside, "addr", "add", f"{place.address}/24", "dev", "lan")
        _ip("-n", inside, "link", "set", "lan", "up")
        # Known for ever, so that a cut is silence: else "no route to host" comes after some seconds.
        _ip("-n", inside, "neigh", "add", self.hub.address, "lladdr", HUB_HARDWARE, "dev", "lan", "nud", "permanent")
        _ip("-n", hub, "neigh", "add", place.address, "lladdr", hardware, "dev", "bridge", "nud", "permanent")
        # The port of the switch, not the interface of the worker, which keeps address and routes.
        place.set_state = lambda passing: _ip("-n", hub, "link", "set", port, "up" if passing else "down")
        return place

    def let_reach(self, endpoint: str) -> None:
        """Make this URL of the loop-back address work in all places, also those made later."""
        port = urlsplit(endpoint).port
        assert port is not None
        if port not in self._ports:
            self._ports.add(port)
            for place in self._places:
                self._relay.listen(_listener(place.name, port), port)

    def _make(self, name: str) -> Place:
        full = self._name(name)
        _ip("netns", "add", full)
        self._stack.callback(_remove, full)
        _ip("-n", full, "link", "set", "lo", "up")
        address = f"10.213.7.{len(self._places) + 1}"
        place = Place(full, address, prefix=("nsenter", f"--net={_path(full)}", "--"))
        self._places.append(place)
        for port in self._ports:
            self._relay.listen(_listener(full, port), port)
        return place

    def _name(self, name: str) -> str:
        return f"{self._tag}-{name}"


@functools.cache
def namespaces_work() -> bool:
    """Say whether this machine lets us make namespaces and bridges."""
    if os.name != "posix" or os.geteuid() != 0 or not (shutil.which("ip") and shutil.which("nsenter")):
        return False
    try:
        with Namespaces() as network:
            place = network.place("probe")
            place.cut()
            place.mend()
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=30)


def _path(name: str) -> str:
    return f"/run/netns/{name}"


def _remove(name: str) -> None:
    with suppress(subprocess.SubprocessError):
        _ip("netns", "del", name)


def _listener(namespace: str, port: int) -> socket.socket:
    """Return a listener at this port of the namespace's loop-back address: a socket stays where it was made."""
    made: list[socket.socket | OSError] = []

    def make() -> None:
        try:
            _enter(_path(namespace))
            made.append(socket.create_server((LOOPBACK, port), backlog=512))
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=make)  # which is in the namespace then, and ends
    thread.start()
    thread.join()
    (result,) = made
    if isinstance(result, OSError):
        raise result
    return result


def _enter(path: str) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    namespace = os.open(path, os.O_RDONLY)
    try:
        if library.setns(namespace, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns", path)
    finally:
        os.close(namespace)
