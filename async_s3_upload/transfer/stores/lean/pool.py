"""Connections to one origin, kept open between requests."""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from collections import deque
from collections.abc import Callable

from async_s3_upload.transfer.pace import Pace
from async_s3_upload.transfer.stores.lean.connection import Answer, ConnectionLost, HttpConnection
from async_s3_upload.transfer.stores.lean.route import Origin, proxy_address
from async_s3_upload.transfer.stores.store import Body

CONNECT_LIMIT_S = 10.0
IDLE_LIMIT_S = 10.0
"""S3 closes idle connections after some 20 s; an older one is not used again."""
TUNNEL_HEAD_MAX = 16 * 1024


class ConnectionPool:
    """Makes requests; as many connections as there are requests at a time, the last one used first."""

    def __init__(self, origin: Origin, tls: Callable[[], ssl.SSLContext]) -> None:
        """Take ``tls`` as the maker of the context; it is called for https alone, once."""
        self._origin = origin
        self._tls = tls
        self._context: ssl.SSLContext | None = None
        self._idle: deque[HttpConnection] = deque()
        self._opened: set[HttpConnection] = set()
        proxy = proxy_address(origin.proxy) if origin.proxy else None
        self._proxy = proxy
        credentials = base64.b64encode(proxy.credentials.encode()).decode() if proxy and proxy.credentials else ""
        self._proxy_header = f"proxy-authorization: Basic {credentials}\r\n" if credentials else ""

    @property
    def plain_proxy_header(self) -> str:
        """The header that an HTTP proxy wants with each request that is not tunnelled; empty where there is none."""
        return "" if self._origin.secure else self._proxy_header

    async def put(self, head: bytes, body: Body, pace: Pace | None = None) -> Answer:
        """Send a request on a free connection.

        A kept connection that the server closed meanwhile is replaced once: nothing of an answer had come.

        Raises:
            OSError: no connection, or no whole answer; TLS trouble is one too.
        """
        while True:
            connection = self._kept() or await self._connect()
            try:
                answer = await connection.put(head, body, pace)
            except ConnectionLost as error:
                self._drop(connection)
                if not connection.used or error.answered:
                    raise
            except BaseException:
                self._drop(connection)
                raise
            else:
                if answer.keep_alive:
                    self._idle.append(connection)
                else:
                    self._drop(connection)
                return answer

    def _kept(self) -> HttpConnection | None:
        oldest = time.monotonic() - IDLE_LIMIT_S
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and connection.idle_since >= oldest:
                return connection
            self._drop(connection)
        return None

    def _drop(self, connection: HttpConnection) -> None:
        self._opened.discard(connection)
        connection.abort()

    async def _connect(self) -> HttpConnection:
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                connection = await self._open()
        except TimeoutError:
            raise OSError(f"no connection to {self._origin.host} within {CONNECT_LIMIT_S:.0f} s") from None
        self._opened.add(connection)
        return connection

    async def _open(self) -> HttpConnection:
        loop, origin = asyncio.get_running_loop(), self._origin
        if self._proxy is None:
            _, connection = await loop.create_connection(
                HttpConnection, origin.host, origin.port, ssl=self._secured() if origin.secure else None
            )
            return connection
        if not origin.secure:
            _, connection = await loop.create_connection(HttpConnection, self._proxy.host, self._proxy.port)
            return connection
        transport, tunnel = await loop.create_connection(_Tunnel, self._proxy.host, self._proxy.port)
        try:
            host = f"[{origin.host}]" if ":" in origin.host else origin.host
            await tunnel.ask(f"{host}:{origin.port}", self._proxy_header)
            connection = HttpConnection()
            secured = await loop.start_tls(transport, connection, self._secured(), server_hostname=origin.host)
        except BaseException:
            transport.abort()
            raise
        assert secured is not None
        connection.connection_made(secured)
        return connection

    def _secured(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = self._tls()
        return self._context

    def close(self) -> None:
        """Close all connections at once."""
        for connection in list(self._opened):
            self._drop(connection)
        self._idle.clear()


class _Tunnel(asyncio.Protocol):
    """Asks a proxy for a tunnel; what comes after its answer is TLS."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._received = b""
        self._answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._answered.done() and (b"\r\n\r\n" in self._received or len(self._received) > TUNNEL_HEAD_MAX):
            self._answered.set_result(self._received)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._answered.done():
            self._answered.set_result(self._received)

    async def ask(self, address: str, proxy_header: str) -> None:
        """Return when the tunnel is there.

        Raises:
            OSError: the proxy refuses.
        """
        self._transport.write(f"CONNECT {address} HTTP/1.1\r\nhost: {address}\r\n{proxy_header}\r\n".encode())
        answer = await self._answered
        status = answer.partition(b"\r\n")[0].decode("latin-1").split(" ", 2)
        if len(status) < 2 or status[1] != "200":
            raise OSError(f"the proxy answered {' '.join(status[1:]) or 'nothing'} to CONNECT")
