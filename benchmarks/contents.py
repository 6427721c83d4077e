"""What a sink was given, without the bytes: enough to answer HEAD and LIST truly."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from itertools import islice
from urllib.parse import quote
from xml.sax.saxutils import escape

PAGE = 1000
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_TIME = "2026-01-01T00:00:00.000Z"


@dataclass(slots=True)
class Stored:
    """One object: ``size`` in bytes, ``etag`` without quotes, ``crc64nvme`` as it was sent."""

    size: int
    etag: str
    crc64nvme: str = ""


@dataclass(slots=True)
class Contents:
    """Objects by ``bucket/key`` and the sizes of the parts of uploads in progress, by upload id."""

    objects: dict[str, Stored] = field(default_factory=dict)
    uploads: dict[str, dict[int, int]] = field(default_factory=dict)
    _sorted: list[str] = field(default_factory=list)

    def put(self, bucket: str, key: str, stored: Stored) -> None:
        """Keep an object."""
        self.objects[f"{bucket}/{key}"] = stored

    def get(self, bucket: str, key: str) -> Stored | None:
        """Return an object, if it is there."""
        return self.objects.get(f"{bucket}/{key}")

    def page(self, bucket: str, prefix: str, after: str) -> str:
        """Return a ListObjectsV2 answer: 1,000 objects under ``prefix`` whose keys come after ``after``.

        The names are sorted anew only where objects came since: a listing is linear in what it lists.
        """
        if len(self._sorted) != len(self.objects):
            self._sorted = sorted(self.objects)
        names, start = self._sorted, f"{bucket}/{prefix}"
        first = bisect_right(names, f"{bucket}/{after}") if after else bisect_left(names, start)
        found = [name for name in islice(names, first, first + PAGE + 1) if name.startswith(start)]
        more = len(found) > PAGE
        entries = "".join(self._entry(name, name[len(bucket) + 1 :]) for name in found[:PAGE])
        last = found[PAGE - 1][len(bucket) + 1 :] if more else ""
        token = f"<NextContinuationToken>{quote(last, safe='')}</NextContinuationToken>" if more else ""
        return document(
            "ListBucketResult",
            f"<Name>{bucket}</Name><EncodingType>url</EncodingType><KeyCount>{min(len(found), PAGE)}</KeyCount>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{entries}",
        )

    def _entry(self, name: str, key: str) -> str:
        stored = self.objects[name]
        return (
            f"<Contents><Key>{escape(quote(key))}</Key><LastModified>{_TIME}</LastModified>"
            f"<ETag>&quot;{stored.etag}&quot;</ETag><Size>{stored.size}</Size>"
            f"<StorageClass>STANDARD</StorageClass></Contents>"
        )


def document(name: str, inner: str) -> str:
    """Return an XML document in S3's namespace."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{name} xmlns="{_NAMESPACE}">{inner}</{name}>'
