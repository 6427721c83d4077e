"""HTTP requests as a sink sees them: heads are read, bodies are only counted."""

from urllib.parse import parse_qsl, unquote, urlsplit

LINE_LIMIT = 64 * 1024
KEEP_LIMIT = 4 * 1024 * 1024


class Body:
    """A request body on its way in: nothing is kept of it, unless ``keep`` is true (at most 4 MiB then).

    ``skip`` is how many of the next bytes are data for certain, to be dropped without a look.
    """

    __slots__ = ("_chunked", "_line", "_trailer", "done", "kept", "received", "skip")

    def __init__(self, length: int | None, *, keep: bool = False) -> None:
        self._chunked = length is None
        self._line = bytearray()
        self._trailer = False
        self.kept = bytearray() if keep else None
        self.skip = length or 0
        self.received = self.skip
        self.done = length == 0

    @property
    def droppable(self) -> int:
        """How many of the next bytes nobody has to look at."""
        return self.skip if self.kept is None else 0

    def drop(self, size: int) -> None:
        """Take ``size`` bytes without their contents, not more than are droppable."""
        self.skip -= size
        self.done = not self.skip and not self._chunked

    def feed(self, data: memoryview) -> int:
        """Take what belongs to this body and return how many bytes it was; ValueError on a broken chunk."""
        taken = 0
        while taken < len(data) and not self.done:
            if self.skip:
                step = min(self.skip, len(data) - taken)
                if self.kept is not None:
                    self._keep(data[taken : taken + step])
                self.drop(step)
                taken += step
            else:
                taken += self._feed_line(bytes(data[taken : taken + 256]))
        return taken

    def _keep(self, data: memoryview) -> None:
        assert self.kept is not None
        if len(self.kept) + len(data) > KEEP_LIMIT:
            raise ValueError("too long for what has to be read")
        self.kept += data

    def _feed_line(self, data: bytes) -> int:
        text, newline, _ = data.partition(b"\n")
        self._line += text
        if newline:
            self._end_line(self._line.strip())
            self._line.clear()
        elif len(self._line) > LINE_LIMIT:
            raise ValueError("a chunk line without an end")
        return len(text) + len(newline)

    def _end_line(self, line: bytearray) -> None:
        if not line:
            self.done = self._trailer  # else it is the line end after a chunk's data
        elif not self._trailer:
            self.skip = int(line.partition(b";")[0], 16)
            self.received += self.skip
            self._trailer = not self.skip


class Request:
    """The head of one request, of which only what a sink needs is looked at.

    ``bucket`` and ``key`` are decoded; the key may be any text, with slashes at its ends too.
    """

    __slots__ = ("_lower", "_text", "body", "bucket", "close", "key", "method", "query")

    def __init__(self, head: bytes) -> None:
        self._text = head.decode("latin-1")
        self._lower = self._text.lower()
        self.method, target, version = self._text.partition("\r\n")[0].split(" ")
        if not target.startswith("/"):  # the absolute form, which proxies are given
            target = urlsplit(target)._replace(scheme="", netloc="").geturl() or "/"
        path, _, query = target.partition("?")
        self.query = dict(parse_qsl(query, keep_blank_values=True)) if query else {}
        bucket, _, key = path[1:].partition("/")
        self.bucket, self.key = unquote(bucket), unquote(key)
        self.close = version == "HTTP/1.0" or "close" in self.header("connection").lower()
        chunked = "chunked" in self.header("transfer-encoding").lower()
        length = None if chunked else int(self.header("content-length") or 0)
        self.body = Body(length, keep=self.method == "POST")

    def header(self, name: str) -> str:
        """Return one header's value, empty where there is none; ``name`` is in lower case."""
        start = self._lower.find(f"\r\n{name}:")
        if start < 0:
            return ""
        start += len(name) + 3
        end = self._lower.find("\r\n", start)
        return self._text[start : end if end >= 0 else None].strip()

    def lines(self, prefix: str) -> str:
        """Return the header lines whose names begin with ``prefix`` (in lower case), as they came, or nothing."""
        if f"\r\n{prefix}" not in self._lower:
            return ""
        lines = self._text.split("\r\n")[1:]
        return "".join(f"{line}\r\n" for line in lines if line.lower().startswith(prefix))

    @property
    def payload_bytes(self) -> int:
        """The object's own bytes: without the framing that aws-chunked puts around them."""
        return int(self.header("x-amz-decoded-content-length") or self.body.received)
