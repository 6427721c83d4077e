"""AWS Signature Version 4 for PUTs of unsigned payload, with the signing key of the day kept.

Source: AWS, "Create a signed AWS API request" and "Authenticating Requests: Using the Authorization Header
(AWS Signature Version 4)". A property test holds it against botocore's signer; docs/adr/0005 has the gain.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"

Headers = Iterable[tuple[str, str]]
"""Pairs of name, in lower case, and value."""


@dataclass(frozen=True, slots=True)
class Keys:
    """A set of credentials; ``token`` belongs to temporary ones."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


class Signer:
    """Signs requests to one region with one set of keys."""

    def __init__(self, keys: Keys, region: str, service: str = "s3") -> None:
        self.keys = keys
        self.region = region
        self._service = service
        self._second = -1
        self._stamp = ""
        self._day = ""
        self._scope = ""
        self._key = b""

    def sign(self, path: str, query: str, host: str, headers: Headers, now: float) -> str:
        """Return the lines of the signed headers, ``host`` first, each with its line end.

        ``path`` and ``query`` as they stand in the request line: percent-encoded, the query's parameters in the
        order of their names. ``headers`` are those beside Host, date, token and payload hash. ``now`` is seconds
        since the epoch.
        """
        if int(now) != self._second:
            self._set_time(int(now))
        entries = [
            ("host", host),
            ("x-amz-content-sha256", UNSIGNED),
            ("x-amz-date", self._stamp),
            *headers,
        ]
        if self.keys.token is not None:
            entries.append(("x-amz-security-token", self.keys.token))
        entries.sort()
        names = ";".join([name for name, _ in entries])
        canonical = "".join([f"{name}:{' '.join(value.split())}\n" for name, value in entries])
        request = f"PUT\n{path}\n{query}\n{canonical}\n{names}\n{UNSIGNED}"
        digest = sha256(request.encode()).hexdigest()
        text = f"{ALGORITHM}\n{self._stamp}\n{self._scope}\n{digest}"
        signature = hmac.digest(self._key, text.encode(), "sha256").hex()
        lines = "".join([f"{name}: {value}\r\n" for name, value in entries])
        return (
            f"{lines}authorization: {ALGORITHM} Credential={self.keys.access_key}/{self._scope}, "
            f"SignedHeaders={names}, Signature={signature}\r\n"
        )

    def _set_time(self, second: int) -> None:
        self._second = second
        self._stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
        day = self._stamp[:8]
        if day != self._day:
            self._day = day
            self._scope = f"{day}/{self.region}/{self._service}/aws4_request"
            key = f"AWS4{self.keys.secret_key}".encode()
            for step in (day, self.region, self._service, "aws4_request"):
                key = hmac.digest(key, step.encode(), "sha256")
            self._key = key
