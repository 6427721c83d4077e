"""A Slack that listens on loopback: records what it is told, and can answer badly, late or not at all."""

import json
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

HOOK_PATH = "/services/T000/B000/"


@dataclass(frozen=True, slots=True)
class SlackMessage:
    """One message as it arrived. `hook` names the URL it came to; header names are as sent."""

    text: str
    hook: str
    answered: int
    payload: dict[str, Any] = field(repr=False)
    headers: dict[str, str] = field(repr=False)


class SlackListener:
    """Serves from `with` to its end.

    `status` and `hang_seconds` may be changed while it runs. A list of statuses answers one each, the last for
    ever. Messages count however they are answered; what Slack would not understand gets 400 and goes to
    `malformed`.
    """

    def __init__(self, status: int | list[int] = 200, hang_seconds: float = 0.0) -> None:
        self.status = status
        self.hang_seconds = hang_seconds
        self.malformed: list[bytes] = []
        self._hooks: dict[str, str] = {}
        self._messages: list[SlackMessage] = []
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="slack", daemon=True)

    def __enter__(self) -> "SlackListener":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Webhook URL; its path is as secret as a real one's."""
        return self.url_of("default")

    def url_of(self, hook: str) -> str:
        """Return the webhook URL of that name, to tell several webhooks of one Slack apart."""
        with self._changed:
            path = next((path for path, name in self._hooks.items() if name == hook), None)
            if path is None:
                path = HOOK_PATH + secrets.token_urlsafe(18)
                self._hooks[path] = hook
        return f"http://127.0.0.1:{self._server.server_address[1]}{path}"

    @property
    def messages(self) -> list[SlackMessage]:
        """Messages so far, in order of arrival."""
        with self._changed:
            return list(self._messages)

    def texts(self, hook: str | None = None) -> list[str]:
        """Return the texts so far, of one webhook or of all."""
        return [message.text for message in self.messages if hook in (None, message.hook)]

    def wait_for(self, count: int, timeout: float = 30) -> list[SlackMessage]:
        """Return the messages once there are that many; raise TimeoutError after `timeout` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._messages) >= count, timeout):
                raise TimeoutError(f"waited {timeout} s for {count} messages; got {self._messages}")
            return list(self._messages)

    def receive(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        """Take a request in; return status and text of the answer, when it is time for it."""
        with self._changed:
            hook = self._hooks.get(path)
            if hook is None:
                return 404, "no_service"
            payload = _payload(body)
            if payload is None:
                self.malformed.append(body)
                return 400, "invalid_payload"
            status = self._next_status()
            self._messages.append(SlackMessage(payload["text"], hook, status, payload, headers))
            self._changed.notify_all()
        self._closing.wait(self.hang_seconds)
        return status, "ok" if status == 200 else "error"

    def _next_status(self) -> int:
        if isinstance(self.status, int):
            return self.status
        return self.status.pop(0) if len(self.status) > 1 else self.status[0]


@contextmanager
def refused_url() -> Iterator[str]:
    """Give a webhook URL at a port that refuses connections: it is held, but nobody listens there."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}{HOOK_PATH}{secrets.token_urlsafe(18)}"


def _payload(body: bytes) -> dict[str, Any] | None:
    try:
        payload = json.loads(body)
    except ValueError:
        return None
    understood = isinstance(payload, dict) and isinstance(payload.get("text"), str)
    return payload if understood else None


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, listener: SlackListener) -> None:
        self.listener = listener
        self._open: list[socket.socket] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._open.append(connection)
        return connection, address

    def hang_up(self) -> None:
        """End the connections that clients keep alive, and with them the threads that serve them."""
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about clients that went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        status, text = self.server.listener.receive(self.path, body, dict(self.headers.items()))
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: the path is a secret."""
