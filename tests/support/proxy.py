"""An HTTP reverse proxy between the command and an S3 server that counts requests and does harm by rules."""

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from urllib.parse import urlsplit

from .exchange import STREAM_LIMIT, ProxiedExchange
from .faults import Action, Answer, Cut, CutAnswer, Delay, DropAnswer, FlipByte, Forward, Hold, Rule, Stall, StallAnswer
from .http_messages import Head, read_head
from .s3requests import Match, Request, Seen, every, on

__all__ = [
    "Answer",
    "Cut",
    "CutAnswer",
    "Delay",
    "DropAnswer",
    "FaultProxy",
    "FlipByte",
    "Forward",
    "Hold",
    "Match",
    "Request",
    "Rule",
    "Seen",
    "Stall",
    "StallAnswer",
    "every",
    "on",
]

# Small, so that a body that nobody reads stops its sender soon.
RECEIVE_BUFFER_BYTES = 128 * 1024


class FaultProxy:
    """Runs in a thread of its own from `with` to its end.

    Heads are passed on byte for byte, the Host header too, so a signature made for the proxy's address stays
    valid. The first of `rules` that takes a request decides; rules may be added while it runs. An unforeseen
    exception in the proxy itself is raised at the end of `with`.
    """

    def __init__(self, upstream_endpoint: str, *rules: Rule) -> None:
        address = urlsplit(upstream_endpoint)
        assert address.hostname is not None
        assert address.port is not None
        self.rules = list(rules)
        self._upstream = (address.hostname, address.port)
        self._seen: list[Seen] = []
        self._changed = threading.Condition()
        self._errors: list[Exception] = []
        self._connections: set[asyncio.Task[None]] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)

    def __enter__(self) -> "FaultProxy":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if self._errors and error is None:
            raise ExceptionGroup("the fault proxy itself failed", self._errors)

    @property
    def seen(self) -> list[Seen]:
        """Every request that arrived, in order of arrival, as it stands now."""
        with self._changed:
            return list(self._seen)

    def forget(self) -> None:
        """Start counting anew; requests that are on their way stay in nobody's count."""
        with self._changed:
            self._seen = []

    def count(self, match: Callable[[Seen], bool] = every) -> int:
        """Return how many of the requests seen match."""
        return sum(map(match, self.seen))

    def wait_for(self, match: Callable[[Seen], bool], times: int = 1, timeout: float = 30) -> list[Seen]:
        """Return the matching requests once there are so many; raise TimeoutError after `timeout` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: sum(map(match, self._seen)) >= times, timeout):
                raise TimeoutError(f"waited {timeout} s for {times} requests; seen: {self._seen}")
            return [seen for seen in self._seen if match(seen)]

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, sock=self._listener, limit=STREAM_LIMIT)
        await self._stop.wait()
        server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._connection(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        # a task that is cancelled before its first step closes nothing itself
        task.add_done_callback(lambda _: writer.transport.abort())

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (head := await read_head(reader)) is not None:
                exchange, action = self._begin(head, reader, writer)
                await action.act(exchange)
                if not exchange.reusable:
                    await exchange.linger()
                    break
        except OSError:
            pass  # client or server went away; the other one sees just that
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        except Exception as error:
            self._errors.append(error)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def _begin(
        self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[ProxiedExchange, Action]:
        method, target, _version = head.start_line.split(" ")
        path, _, query = target.partition("?")
        request = Request(method, path, query, dict(head.headers))
        with self._changed:
            seen_list, place = self._seen, len(self._seen)
            seen_list.append(Seen(method, path, query, request.headers))
            self._changed.notify_all()

        def report(status: int | None, size: int) -> None:
            with self._changed:
                before = seen_list[place]
                seen_list[place] = replace(before, status=status or before.status, bytes=size)
                self._changed.notify_all()

        exchange = ProxiedExchange(head, request, (reader, writer), self._upstream, report)
        action = next((rule.action for rule in tuple(self.rules) if rule.takes(request)), Forward())
        return exchange, action
