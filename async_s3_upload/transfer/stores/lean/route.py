"""Where requests to a bucket go and how they are signed: botocore decides, once, and is then asked no more."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from async_s3_upload.transfer.stores.lean.signer import ALGORITHM

PROBE_KEY = "k"
"""Key of the request that botocore prepares and that is never sent."""
OWN_HEADERS = frozenset(
    {
        "authorization",
        "content-length",
        "expect",
        "host",
        "transfer-encoding",
        "x-amz-content-sha256",
        "x-amz-date",
        "x-amz-security-token",
        "amz-sdk-invocation-id",
        "amz-sdk-request",
    }
)
"""Headers of each request's own; all others are the same for every object of a bucket with the same properties."""


class NotServed(Exception):
    """The lean path cannot make such requests; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The other end of a connection; ``proxy`` is the address of an HTTP proxy before it, with its credentials."""

    secure: bool
    host: str
    port: int
    proxy: str | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """Requests for one bucket with one set of object properties.

    ``host`` is the Host header, ``path`` what stands before the quoted key, ``target`` what stands before that in
    the request line (an HTTP proxy wants the whole address). ``signed`` and ``unsigned`` are the headers that
    botocore gives every such request.
    """

    origin: Origin
    host: str
    path: str
    target: str
    region: str
    service: str
    signed: tuple[tuple[str, str], ...]
    unsigned: str


def route_of(url: str, headers: dict[str, str], proxy: str | None) -> Route:
    """Read the route off a request for PROBE_KEY that botocore prepared; header names in any case.

    Raises:
        NotServed: signed in another way, or through a proxy of another kind.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    region, service = _scope(lower.get("authorization", ""))
    if "x-amz-s3session-token" in lower:
        raise NotServed("the bucket takes S3 Express sessions")
    address = urlsplit(url)
    if not address.hostname or address.scheme not in ("http", "https") or not address.path.endswith("/" + PROBE_KEY):
        raise NotServed("its address is of an unknown kind")
    path = address.path[: -len(PROBE_KEY)]
    others = {name: value for name, value in lower.items() if name not in OWN_HEADERS}
    for value in others.values():
        if not value.isascii() or not value.isprintable():
            raise NotServed("an object property is no plain text")
    return Route(
        origin_of(address, proxy),
        address.netloc.rpartition("@")[2],
        path,
        f"http://{address.netloc}" if proxy and address.scheme == "http" else "",
        region,
        service,
        tuple((name, value) for name, value in sorted(others.items()) if name.startswith("x-amz-")),
        "".join(f"{name}: {value}\r\n" for name, value in sorted(others.items()) if not name.startswith("x-amz-")),
    )


def origin_of(address: SplitResult, proxy: str | None) -> Origin:
    """Return where to connect to for a URL.

    Raises:
        NotServed: through a proxy that is not reached by plain HTTP.
    """
    if proxy is not None and urlsplit(proxy).scheme != "http":
        raise NotServed("the proxy is no http:// one")
    secure = address.scheme == "https"
    assert address.hostname is not None
    return Origin(secure, address.hostname, address.port or (443 if secure else 80), proxy)


def _scope(authorization: str) -> tuple[str, str]:
    """Return region and service that botocore signed for."""
    algorithm, _, rest = authorization.partition(" ")
    if algorithm != ALGORITHM:
        raise NotServed(f"requests are signed with {algorithm or 'nothing'}, not {ALGORITHM}")
    credential = rest.partition("Credential=")[2].partition(",")[0]
    _, _, region, service, _ = credential.rsplit("/", 4)
    return region, service


@dataclass(frozen=True, slots=True)
class ProxyAddress:
    """An HTTP proxy; ``credentials`` are ``user:password`` or empty."""

    host: str
    port: int
    credentials: str


def proxy_address(url: str) -> ProxyAddress:
    """Read the address of a proxy: ``http://user:password@proxy:3128``."""
    parts = urlsplit(url)
    credentials = ""
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return ProxyAddress(parts.hostname or "", parts.port or 80, credentials)
