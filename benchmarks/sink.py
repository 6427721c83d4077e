"""A loop-back S3 that reads whole bodies, drops them and counts them: the other end of a benchmark.

It answers what an upload asks (HEAD, PUT object, multipart create, part, complete and abort, LIST), and
only after the whole body has been read: a server that answers early makes clients reconnect and falsifies
the times. Signatures and checksums are not checked. Its own CPU time is among its counts (GET /__counts),
so that a reader can tell how much of the machine the measuring took. By hand: ``python -m benchmarks.sink
--port 9000``.
"""

import argparse
import asyncio
import json
import signal
import sys
import time
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any, cast
from urllib.parse import unquote
from xml.sax.saxutils import escape

from benchmarks.contents import Contents, Stored, document
from benchmarks.http_request import LINE_LIMIT, Request

COUNTS_PATH = "/__counts"
_BUFFER_BYTES = 1024 * 1024
_REASONS = {200: "OK", 204: "No Content", 400: "Bad Request", 404: "Not Found", 501: "Not Implemented"}


@dataclass(slots=True)
class Counts:
    """What a sink was given since it started; ``bytes`` are those of whole object and part bodies."""

    requests: int = 0
    objects: int = 0
    parts: int = 0
    uploads_created: int = 0
    uploads_aborted: int = 0
    refused: int = 0
    bytes: int = 0
    connections: int = 0
    cpu_seconds: float = 0.0

    def since(self, earlier: "Counts") -> "Counts":
        """Return what was counted between two readings."""
        then = asdict(earlier)
        return Counts(**{name: value - then[name] for name, value in asdict(self).items()})


class Sink:
    """Answers requests and counts them; shared by all connections of one event loop."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.buffer = bytearray(_BUFFER_BYTES)  # one for all connections: what it holds is used up at once
        self.view = memoryview(self.buffer)
        self.contents = Contents()
        self._serial = count(1)

    def answer(self, request: Request) -> bytes:
        """Return the whole response to a request whose body has been read."""
        if request.method == "GET" and request.bucket == COUNTS_PATH[1:]:
            self.counts.cpu_seconds = time.process_time()
            return _response(200, json.dumps(asdict(self.counts)), content_type="application/json")
        self.counts.requests += 1
        match request.method, bool(request.key), request.query:
            case "PUT", True, _:
                return self._put(request)
            case "HEAD", False, _:
                return _response(200, headers="x-amz-bucket-region: us-east-1\r\n")
            case "HEAD", True, _:
                return self._head(request)
            case "GET", False, {"list-type": "2"} as query:
                after = unquote(query.get("continuation-token", ""))
                return _response(200, self.contents.page(unquote(request.bucket), query.get("prefix", ""), after))
            case "GET", False, {"uploads": _}:
                return _response(200, document("ListMultipartUploadsResult", "<IsTruncated>false</IsTruncated>"))
            case "POST", True, {"uploads": _}:
                return self._create(request)
            case "POST", True, {"uploadId": _}:
                return self._complete(request)
            case "DELETE", True, {"uploadId": _}:
                self.counts.uploads_aborted += 1
                return _response(204)
        self.counts.refused += 1
        return _response(501, "" if request.method == "HEAD" else _error("NotImplemented"))

    def refuse(self, code: str) -> bytes:
        """Return the answer to what cannot be read as a request; the connection has to go after it."""
        self.counts.requests += 1
        self.counts.refused += 1
        return _response(400, _error(code), headers="Connection: close\r\n")

    def _put(self, request: Request) -> bytes:
        size = request.payload_bytes
        etag = f"{next(self._serial):032x}"
        crc = request.header("x-amz-checksum-crc64nvme")
        if "partNumber" in request.query:
            self.counts.parts += 1
            self.contents.uploads.setdefault(request.query["uploadId"], {})[int(request.query["partNumber"])] = size
        else:
            self.counts.objects += 1
            self.contents.put(unquote(request.bucket), unquote(request.key), Stored(size, etag, crc))
        self.counts.bytes += size
        checksum = f"x-amz-checksum-crc64nvme: {crc}\r\n" if crc else ""
        return _response(200, headers=f'ETag: "{etag}"\r\n{checksum}')

    def _head(self, request: Request) -> bytes:
        stored = self.contents.get(unquote(request.bucket), unquote(request.key))
        if stored is None:
            return _response(404)
        crc = f"x-amz-checksum-crc64nvme: {stored.crc64nvme}\r\n" if stored.crc64nvme else ""
        return _response(200, headers=f'ETag: "{stored.etag}"\r\n{crc}', length=stored.size)

    def _create(self, request: Request) -> bytes:
        self.counts.uploads_created += 1
        return _response(
            200, _document("InitiateMultipartUploadResult", request, UploadId=f"upload-{next(self._serial)}")
        )

    def _complete(self, request: Request) -> bytes:
        self.counts.objects += 1
        sizes = self.contents.uploads.pop(request.query["uploadId"], {})
        etag = f"{next(self._serial):032x}-{len(sizes)}"
        crc = request.header("x-amz-checksum-crc64nvme")
        self.contents.put(unquote(request.bucket), unquote(request.key), Stored(sum(sizes.values()), etag, crc))
        return _response(200, _document("CompleteMultipartUploadResult", request, ETag=f'"{etag}"'))


class SinkProtocol(asyncio.BufferedProtocol):
    """One connection: HTTP/1.1 with keep-alive; every answer comes after its request's last byte."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._head = bytearray()
        self._request: Request | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self._sink.counts.connections += 1

    def get_buffer(self, sizehint: int) -> bytearray:
        """Lend the buffer which all connections share."""
        return self._sink.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Use up what has just arrived."""
        request = self._request
        if request is not None and nbytes < request.body.skip:  # in the middle of a body: the way of most bytes
            request.body.skip -= nbytes
            return
        try:
            self._feed(self._sink.view[:nbytes])
        except ValueError:
            self._send(self._sink.refuse("BadRequest"), close=True)

    def _feed(self, data: memoryview) -> None:
        while True:
            if self._request is None:
                data = self._read_head(data)
            if self._request is None:
                return
            data = data[self._request.body.feed(data) :]
            if not self._request.body.done:
                return
            request, self._request = self._request, None
            self._send(self._sink.answer(request), close=request.close)

    def _read_head(self, data: memoryview) -> memoryview:
        """Gather a request's head; return what follows it, and set the request once the head is whole."""
        before = len(self._head)
        self._head += data[:LINE_LIMIT]
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            if len(self._head) >= LINE_LIMIT:
                raise ValueError("a head without an end")
            return data[:0]
        rest = data[end + 4 - before :]
        self._request = Request(bytes(self._head[:end]))
        self._head.clear()
        if not rest and self._request.header("expect").lower() == "100-continue":
            self._send(b"HTTP/1.1 100 Continue\r\n\r\n", close=False)
        return rest

    def _send(self, response: bytes, *, close: bool) -> None:
        assert self._transport is not None
        self._transport.write(response)
        if close:
            self._transport.close()


def _response(
    status: int, body: str = "", *, headers: str = "", content_type: str = "application/xml", length: int | None = None
) -> bytes:
    """Return the bytes of an answer; ``length`` is that of an object whose bytes HEAD does not send."""
    size = len(body.encode()) if length is None else length
    length_line = "" if status == 204 else f"Content-Length: {size}\r\n"
    kind = f"Content-Type: {content_type}\r\n" if body else ""
    return f"HTTP/1.1 {status} {_REASONS[status]}\r\n{kind}{length_line}{headers}\r\n{body}".encode()


def _document(name: str, request: Request, **fields: str) -> str:
    inner = {"Bucket": unquote(request.bucket), "Key": unquote(request.key), **fields}
    return document(name, "".join(f"<{field}>{escape(value)}</{field}>" for field, value in inner.items()))


def _error(code: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{code}</Message></Error>'


async def serve(port: int, *, until_stdin_closes: bool = False) -> None:
    """Serve on the loop-back address until SIGTERM, SIGINT or, if asked to, the end of the standard input.

    The first line on the standard output tells the port as JSON; port 0 takes a free one.
    """
    sink, loop, ended = Sink(), asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if until_stdin_closes:  # so that it does not outlive whoever started it
        loop.add_reader(sys.stdin.fileno(), ended.set)
    server = await loop.create_server(lambda: SinkProtocol(sink), "127.0.0.1", port, backlog=1024)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await ended.wait()
    server.close()


def main(arguments: list[str] | None = None) -> int:
    """Run a sink as a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sink", description=main.__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end when the standard input does")
    options = parser.parse_args(arguments)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(options.port, until_stdin_closes=options.until_stdin_closes))
    return 0


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:  # it costs less CPU, that is all
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    sys.exit(main())
