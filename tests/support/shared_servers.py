"""One server of a kind for all tests of a session, however many processes these run in (pytest-xdist).

The process that leads the session owns the servers and starts each when the first test asks for it; the others ask it
over the loop-back address.
"""

import contextlib
import secrets
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener

from .process import LOOPBACK
from .s3server import S3Server
from .servers import ServerStartError, moto, seaweedfs

Starts = Mapping[str, Callable[[], AbstractContextManager[S3Server]]]

STARTS: Starts = {"seaweedfs": seaweedfs, "moto": moto}


class SharedServers:
    """Owns the servers, by kind; whoever made it has to close it."""

    def __init__(self, starts: Starts = STARTS) -> None:
        self._starts = starts
        self._running: dict[str, S3Server | ServerStartError] = {}
        self._locks = {kind: threading.Lock() for kind in starts}
        self._stack = ExitStack()
        self._listener: Listener | None = None
        self._closed = False
        self._key = secrets.token_bytes(16)

    def get(self, kind: str) -> S3Server:
        """Return the server of this kind, started now if nobody asked before; one that did not start is not retried."""
        with self._locks[kind]:
            if kind not in self._running:
                try:
                    self._running[kind] = self._stack.enter_context(self._starts[kind]())
                except ServerStartError as error:
                    self._running[kind] = error
        found = self._running[kind]
        if isinstance(found, ServerStartError):
            raise found
        return found

    def listen(self) -> "AskedServers":
        """Answer other processes from now on; returns what each of them asks with."""
        if self._listener is None:
            self._listener = Listener((LOOPBACK, 0), backlog=64, authkey=self._key)
            threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()
        port: int = self._listener.address[1]
        return AskedServers(port, self._key)

    def close(self) -> None:
        """Stop what was started."""
        self._closed = True
        if self._listener is not None:
            self._listener.close()
        self._stack.close()

    def _serve(self, listener: Listener) -> None:
        while not self._closed:
            try:
                connection = listener.accept()
            except (AuthenticationError, EOFError, OSError):  # a stranger, or the end
                continue
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: Connection) -> None:
        with connection, contextlib.suppress(EOFError, ConnectionError):
            try:
                connection.send(self.get(connection.recv()))
            except ServerStartError as error:
                connection.send(error)


@dataclass(frozen=True, slots=True)
class AskedServers:
    """The servers as another process of the session gets them."""

    port: int
    key: bytes = field(repr=False)

    def get(self, kind: str) -> S3Server:
        """Return the server of this kind, as `SharedServers.get` does."""
        with Client((LOOPBACK, self.port), authkey=self.key) as connection:
            connection.send(kind)
            found = connection.recv()
        if isinstance(found, ServerStartError):
            raise found
        assert isinstance(found, S3Server)
        return found
