"""TLS 1.3 for a sink: a real handshake, but bodies are dropped record by record without being decrypted.

OpenSSL does the handshake, decrypts nothing afterwards, and encrypts the answers. What arrives after the
handshake is read here: a record's length is in its clear header, so one that lies wholly inside a request
body can be counted and dropped; heads, ends of bodies and everything short are decrypted. The client
cannot tell: it does all the work that it does for any server. It takes a third of the CPU of decrypting
all (docs/benchmarks.md), and whatever a sink takes on the same machine makes differences of clients
smaller than they are. Nothing here protects anything: the sink is for made-up data.
"""

import hmac
import os
import ssl
from collections.abc import Callable
from typing import Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HEADER_BYTES = 5
RECORD_LIMIT = 16384 + 256
_TAG_BYTES = 17  # the tag of the cipher and the inner type of the record
_DROP_FROM = 1024  # shorter ones may be anything (a key update, an alert), so they are looked at
_APPLICATION_DATA, _ALERT = 23, 21
_KINDS = range(20, 24)
_RANDOM = slice(11, 43)  # of a ClientHello in its record


class Inner(Protocol):
    """Takes what is in the records."""

    @property
    def droppable(self) -> int:
        """How many of the next bytes nobody has to look at."""

    def drop(self, size: int) -> None:
        """Take that many bytes without their contents."""

    def feed(self, data: memoryview) -> None:
        """Take these bytes."""


class KeyLog:
    """The secrets of a context's connections, as OpenSSL logs them; they are never on a disk."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._file = os.memfd_create("tls-keys")
        self._secrets: dict[bytes, bytes] = {}
        context.keylog_filename = f"/proc/self/fd/{self._file}"

    def client_secret(self, random: bytes) -> bytes:
        """Return, once, the traffic secret of the client whose hello had this random; ValueError if unknown."""
        for line in os.pread(self._file, os.fstat(self._file).st_size, 0).splitlines():
            if line.startswith(b"CLIENT_TRAFFIC_SECRET_0 "):
                _, name, secret = line.split()
                self._secrets[bytes.fromhex(name.decode())] = bytes.fromhex(secret.decode())
        os.ftruncate(self._file, 0)  # it is written in append mode
        if random not in self._secrets:
            raise ValueError("a client whose secret was not logged")
        return self._secrets.pop(random)


class TlsConnection:
    """One server connection; ``send`` puts bytes on the wire, ``inner`` takes what the client said."""

    __slots__ = ("_cipher", "_incoming", "_inner", "_iv", "_keys", "_left", "_object", "_outgoing", "_plain",
                 "_random", "_send", "_sequence", "closed", "pending")  # fmt: skip

    def __init__(self, context: ssl.SSLContext, keys: KeyLog, inner: Inner, send: Callable[[bytes], None]) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._keys, self._inner, self._send = keys, inner, send
        self._cipher: AESGCM | None = None
        self._random = b""
        self._iv = 0
        self._sequence = 0
        self._left = self._plain = 0  # of the record that is being dropped: bytes to come, and its contents
        self.closed = False
        self.pending = b""  # the beginning of a record; has to stand before what is fed next

    def seal(self, data: bytes) -> bytes:
        """Return what has to go on the wire to say ``data``."""
        self._object.write(data)
        return self._outgoing.read()

    def feed(self, data: memoryview) -> None:
        """Take what came over the wire, ``pending`` first; ValueError or SSLError if it is no TLS 1.3."""
        position = min(self._left, len(data))
        if self._left:
            self._left -= position
            if self._left:
                return
            self._inner.drop(self._plain)
        end = len(data)
        while end - position >= HEADER_BYTES and not self.closed:
            kind, length = data[position], data[position + 3] << 8 | data[position + 4]
            following = position + HEADER_BYTES + length
            plain = length - _TAG_BYTES
            if kind == _APPLICATION_DATA and length >= _DROP_FROM and self._cipher and plain <= self._inner.droppable:
                self._sequence += 1
                if following > end:
                    self._left, self._plain, position = following - end, plain, end
                    break
                self._inner.drop(plain)
            elif kind not in _KINDS or length > RECORD_LIMIT:
                raise ValueError("no TLS")
            elif following > end:
                break
            else:
                self._record(kind, data[position:following])
            position = following
        self.pending = bytes(data[position:])

    def _record(self, kind: int, record: memoryview) -> None:
        if self._cipher is None:
            self._handshake(record)
        elif kind == _APPLICATION_DATA:
            nonce = (self._iv ^ self._sequence).to_bytes(12, "big")
            self._sequence += 1
            text = self._cipher.decrypt(nonce, bytes(record[HEADER_BYTES:]), bytes(record[:HEADER_BYTES]))
            size = len(text.rstrip(b"\0")) if not text[-1] else len(text)
            if text[size - 1] == _APPLICATION_DATA:
                self._inner.feed(memoryview(text)[: size - 1])
            elif text[size - 1] == _ALERT:
                self.closed = True
            else:
                raise ValueError("a message of the handshake after its end")

    def _handshake(self, record: memoryview) -> None:
        self._random = self._random or bytes(record[_RANDOM])
        self._incoming.write(record)
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            pass
        else:
            self._take_over()
        finally:
            self._send(self._outgoing.read())

    def _take_over(self) -> None:
        cipher = self._object.cipher()
        assert cipher is not None
        if "AES" not in cipher[0]:
            raise ValueError("a client without AES")
        secret = self._keys.client_secret(self._random)
        digest = "sha384" if cipher[0].endswith("SHA384") else "sha256"
        key = expand_label(secret, b"key", 16 if "AES_128" in cipher[0] else 32, digest)
        self._iv = int.from_bytes(expand_label(secret, b"iv", 12, digest), "big")
        self._cipher = AESGCM(key)


def expand_label(secret: bytes, label: bytes, size: int, digest: str) -> bytes:
    """HKDF-Expand-Label of RFC 8446 with an empty context, for at most one block."""
    name = b"tls13 " + label
    info = size.to_bytes(2, "big") + bytes([len(name)]) + name + b"\0"
    return hmac.digest(secret, info + b"\x01", digest)[:size]
