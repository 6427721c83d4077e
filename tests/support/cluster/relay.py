"""A TCP relay that can swallow everything without either side being told, as a cut cable does."""

import asyncio
import socket
import threading
from contextlib import suppress
from types import TracebackType

from tests.support.process import LOOPBACK

PIECE_BYTES = 256 * 1024


class Relay:
    """Passes connections on to a port of the loop-back address, in a thread of its own, for `with`.

    It listens at a free port of the loop-back address, and at the sockets given, which may be of other network
    namespaces; it closes them.
    """

    def __init__(self, port: int = 0) -> None:
        """Lead to `port`, which may be given later."""
        self.target = port
        self._listener = socket.create_server((LOOPBACK, 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._servers: list[asyncio.Server] = []
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)

    def __enter__(self) -> "Relay":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def cut(self) -> None:
        """Swallow what comes from now on, and leave all connections open."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def mend(self) -> None:
        """Pass on again, also what waited."""
        self._loop.call_soon_threadsafe(self._open.set)

    def listen(self, listener: socket.socket, port: int) -> None:
        """Pass on what comes to this listener too, to `port`."""
        asyncio.run_coroutine_threadsafe(self._listen(listener, port), self._loop).result()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        await self._listen(self._listener, None)
        await self._stop.wait()
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self, listener: socket.socket, port: int | None) -> None:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = self._loop.create_task(self._connection(reader, writer, port or self.target))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            # a task that is cancelled before its first step closes nothing itself
            task.add_done_callback(lambda _: writer.transport.abort())

        self._servers.append(await asyncio.start_server(accept, sock=listener))

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        await self._open.wait()
        with suppress(OSError):
            there, here = await asyncio.open_connection(LOOPBACK, port)
            try:
                ways = [asyncio.create_task(self._pass(reader, here)), asyncio.create_task(self._pass(there, writer))]
                await asyncio.gather(*ways)
            finally:
                for way in ways:
                    way.cancel()
                here.transport.abort()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while piece := await source.read(PIECE_BYTES):
            await self._open.wait()
            sink.write(piece)
            await sink.drain()
        await self._open.wait()
        sink.write_eof()
