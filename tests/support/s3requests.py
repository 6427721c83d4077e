"""Requests as the fault proxy sees them, in the words of S3, and ways to pick some of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import parse_qs, unquote

# (method, level of the path, query parameter that decides) -> operation; the first that fits counts.
_OPERATIONS = (
    ("PUT", "key", "partNumber", "UploadPart"),
    ("PUT", "key", "", "PutObject"),
    ("PUT", "bucket", "", "CreateBucket"),
    ("POST", "key", "uploads", "CreateMultipartUpload"),
    ("POST", "key", "uploadId", "CompleteMultipartUpload"),
    ("DELETE", "key", "uploadId", "AbortMultipartUpload"),
    ("DELETE", "key", "", "DeleteObject"),
    ("HEAD", "key", "", "HeadObject"),
    ("HEAD", "bucket", "", "HeadBucket"),
    ("GET", "key", "uploadId", "ListParts"),
    ("GET", "key", "", "GetObject"),
    ("GET", "bucket", "uploads", "ListMultipartUploads"),
    ("GET", "bucket", "list-type", "ListObjectsV2"),
    ("GET", "root", "", "ListBuckets"),
)


@dataclass(frozen=True, slots=True)
class Request:
    """A request by its head. `path` and `query` are as sent (percent-encoded), header names in lower case."""

    method: str
    path: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def bucket(self) -> str:
        """Bucket of a path-style request."""
        return unquote(self.path.lstrip("/").partition("/")[0])

    @property
    def key(self) -> str:
        """Object key, decoded; empty for requests about a bucket."""
        return unquote(self.path.lstrip("/").partition("/")[2])

    @property
    def part_number(self) -> int | None:
        """Number of the part that an UploadPart brings."""
        values = parse_qs(self.query).get("partNumber")
        return int(values[0]) if values else None

    @property
    def operation(self) -> str:
        """Name of the S3 operation, empty for one not in the table."""
        level = "key" if self.key else "bucket" if self.bucket else "root"
        parameters = parse_qs(self.query, keep_blank_values=True)
        fits = (
            operation
            for method, where, parameter, operation in _OPERATIONS
            if (method, where) == (self.method, level) and (not parameter or parameter in parameters)
        )
        return next(fits, "")


@dataclass(frozen=True, slots=True)
class Seen(Request):
    """A request that reached the proxy, and what became of it so far.

    `status` is what the client was answered: None while there is no answer, and for ever when there was none.
    `bytes` is the content of the body that the proxy read.
    """

    status: int | None = None
    bytes: int = 0


Match: TypeAlias = Callable[[Request], bool]


def every(_request: Request) -> bool:
    """Match every request."""
    return True


def on(*operations: str, key_ends: str = "", part: int | None = None) -> Match:
    """Match the named S3 operations (any, if none is named), on keys of that ending, for that part number."""

    def match(request: Request) -> bool:
        return (
            (not operations or request.operation in operations)
            and request.key.endswith(key_ends)
            and (part is None or request.part_number == part)
        )

    return match
