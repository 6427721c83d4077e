"""The floor: the cheapest sender that Python can be, to show what no uploader on this machine can beat by much.

Two processes with a few connections each and one thread a connection, requests one after another. No signing,
no checksums, no retries, no state: over HTTP ``sendfile``, over HTTPS 1 MiB slices from one reused buffer a
connection. Files of more than 64 MiB go up in parts, so that one file can use both processes. It imports
nothing of this project, so that nothing else has to start: ``python floor.py FOLDER URL BUCKET PREFIX CONNECTIONS``.
"""

import multiprocessing
import os
import socket
import ssl
import sys
import threading
from collections.abc import Sequence
from urllib.parse import quote, urlsplit

_PROCESSES = 2
_PART_BYTES = 64 * 1024 * 1024
_SLICE_BYTES = 1024 * 1024

Piece = tuple[str, str, int, int]  # local path, request target, offset, size


class Sender:
    """One connection; requests go one after another."""

    def __init__(self, url: str, ca_file: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self._head = f"Host: {parts.netloc}\r\n"
        self._socket = socket.create_connection((parts.hostname, parts.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = memoryview(bytearray(_SLICE_BYTES))
        self._tls = parts.scheme == "https"
        if self._tls:
            context = ssl.create_default_context(cafile=ca_file)
            self._socket = context.wrap_socket(self._socket, server_hostname=parts.hostname)

    def put(self, piece: Piece) -> None:
        """Send one file or part."""
        path, target, offset, size = piece
        head = f"PUT {target} HTTP/1.1\r\n{self._head}Content-Length: {size}\r\n\r\n".encode()
        handle = os.open(path, os.O_RDONLY)
        try:
            if self._tls or size <= _SLICE_BYTES // 2:
                self._slices(head, handle, offset, size)
            else:
                self._socket.sendall(head, socket.MSG_MORE)
                while size:
                    sent = os.sendfile(self._socket.fileno(), handle, offset, size)
                    offset, size = offset + sent, size - sent
        finally:
            os.close(handle)
        self._answer()

    def ask(self, method: str, target: str) -> str:
        """Send a request without a body and return the answer's."""
        self._socket.sendall(f"{method} {target} HTTP/1.1\r\n{self._head}Content-Length: 0\r\n\r\n".encode())
        return self._answer()

    def _slices(self, head: bytes, handle: int, offset: int, size: int) -> None:
        begun = len(head)  # the first slice goes out with the head, in one write
        self._buffer[:begun] = head
        while True:
            got = os.preadv(handle, [self._buffer[begun : begun + size]], offset)
            if not got and size:
                raise OSError("a file became shorter")
            self._socket.sendall(self._buffer[: begun + got])
            offset, size, begun = offset + got, size - got, 0
            if not size:
                return

    def _answer(self) -> str:
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, body = data.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise OSError(head.decode(errors="replace"))
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        while len(body) < length:
            body += self._more()
        return body.decode()

    def _more(self) -> bytes:
        data = self._socket.recv(65536)
        if not data:
            raise OSError("the server closed the connection")
        return data


def pieces_of(files: Sequence[tuple[str, str, int]], sender: Sender) -> tuple[list[Piece], list[str]]:
    """Return what to send, and the targets which complete the multipart uploads that were begun for it."""
    pieces: list[Piece] = []
    complete = []
    for path, target, size in files:
        if size <= _PART_BYTES:
            pieces.append((path, target, 0, size))
            continue
        upload = sender.ask("POST", f"{target}?uploads").partition("<UploadId>")[2].partition("<")[0]
        complete.append(f"{target}?uploadId={upload}")
        for number, offset in enumerate(range(0, size, _PART_BYTES), start=1):
            where = f"{target}?partNumber={number}&uploadId={upload}"
            pieces.append((path, where, offset, min(_PART_BYTES, size - offset)))
    return pieces, complete


def _send_all(url: str, ca_file: str, shares: Sequence[Sequence[Piece]]) -> None:
    failed = []

    def send(share: Sequence[Piece]) -> None:
        try:
            sender = Sender(url, ca_file)
            for piece in share:
                sender.put(piece)
        except OSError as error:
            failed.append(str(error))

    threads = [threading.Thread(target=send, args=(share,)) for share in shares if share]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise SystemExit(failed[0])


def main(arguments: Sequence[str]) -> int:
    """Send a folder."""
    folder, url, bucket, prefix, connections = arguments
    ca_file = os.environ.get("SSL_CERT_FILE", "")
    files = []
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            key = f"{prefix}/{os.path.relpath(path, folder)}"
            files.append((path, f"/{bucket}/{quote(key)}", os.path.getsize(path)))
    sender = Sender(url, ca_file)
    pieces, complete = pieces_of(files, sender)
    pieces.sort(key=lambda piece: -piece[3])
    lanes = [pieces[start :: _PROCESSES * int(connections)] for start in range(_PROCESSES * int(connections))]
    fork = multiprocessing.get_context("fork")
    processes = [
        fork.Process(target=_send_all, args=(url, ca_file, lanes[start::_PROCESSES])) for start in range(_PROCESSES)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    for target in complete:
        sender.ask("POST", target)
    return max(abs(process.exitcode or 0) for process in processes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
