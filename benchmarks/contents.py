"""What a sink was given, without the bytes: enough to answer HEAD, LIST and ListParts truly."""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from urllib.parse import quote
from xml.sax.saxutils import escape

PAGE = 1000
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_TIME = "2026-01-01T00:00:00.000Z"


@dataclass(slots=True)
class Stored:
    """One object or part: ``size`` in bytes, ``etag`` without quotes, the rest as header lines that HEAD repeats."""

    size: int
    etag: str
    crc64nvme: str = ""
    metadata: str = ""


@dataclass(slots=True)
class Upload:
    """A multipart upload in progress."""

    bucket: str
    key: str
    metadata: str
    parts: dict[int, Stored] = field(default_factory=dict)


@dataclass(slots=True)
class Contents:
    """Objects by ``bucket/key`` and uploads in progress by their ids."""

    objects: dict[str, Stored] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    _sorted: list[str] | None = None

    def put(self, bucket: str, key: str, stored: Stored) -> None:
        """Keep an object."""
        name = f"{bucket}/{key}"
        if name not in self.objects:
            self._sorted = None
        self.objects[name] = stored

    def get(self, bucket: str, key: str) -> Stored | None:
        """Return an object, if it is there."""
        return self.objects.get(f"{bucket}/{key}")

    def delete(self, bucket: str, key: str) -> None:
        """Forget an object, if it is there."""
        if self.objects.pop(f"{bucket}/{key}", None):
            self._sorted = None

    def begin(self, upload_id: str, bucket: str, key: str, metadata: str) -> None:
        """Begin a multipart upload."""
        self.uploads[upload_id] = Upload(bucket, key, metadata)

    def complete(self, upload_id: str, crc64nvme: str) -> Stored | None:
        """Make an object of the parts and return it; None where there is no such upload."""
        upload = self.uploads.pop(upload_id, None)
        if upload is None:
            return None
        parts = [upload.parts[number] for number in sorted(upload.parts)]
        digests = b"".join(bytes.fromhex(part.etag) for part in parts)
        etag = f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"
        stored = Stored(sum(part.size for part in parts), etag, crc64nvme, upload.metadata)
        self.put(upload.bucket, upload.key, stored)
        return stored

    def page(self, bucket: str, query: Mapping[str, str]) -> str:
        """Return the answer of ListObjectsV2, or of ListObjects where ``query`` does not ask for version 2.

        The names are sorted anew only where objects came since: a listing is linear in what it lists.
        """
        version_2 = query.get("list-type") == "2"
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        limit = min(int(query.get("max-keys") or PAGE), PAGE)
        after = query.get("continuation-token") or query.get("start-after", "") if version_2 else query.get("marker")
        spelled = quote if query.get("encoding-type") == "url" else str
        entries, last, more = self._entries(f"{bucket}/", prefix, delimiter, after or "", limit)
        shown = "".join(_entry(escape(spelled(key)), stored) for key, stored in entries)
        next_field = "NextContinuationToken" if version_2 else "NextMarker"
        inner = (
            f"<Name>{bucket}</Name><Prefix>{escape(spelled(prefix))}</Prefix><MaxKeys>{limit}</MaxKeys>"
            + (f"<Delimiter>{escape(spelled(delimiter))}</Delimiter>" if delimiter else "")
            + ("<EncodingType>url</EncodingType>" if spelled is quote else "")
            + (f"<KeyCount>{len(entries)}</KeyCount>" if version_2 else "")
            + f"<IsTruncated>{str(more).lower()}</IsTruncated>"
            # A token is given back as it is, a marker is decoded like a key.
            + (f"<{next_field}>{escape(last if version_2 else spelled(last))}</{next_field}>" if more else "")
        )
        return document("ListBucketResult", inner + shown)

    def _entries(
        self, start: str, prefix: str, delimiter: str, after: str, limit: int
    ) -> tuple[list[tuple[str, Stored | None]], str, bool]:
        """Return a page of keys, or common prefixes (with None), the last of them, and whether more follow."""
        if self._sorted is None:
            self._sorted = sorted(self.objects)
        names = self._sorted
        first = bisect_left(names, start + prefix)
        if after:  # what has a common prefix that was on the page before comes not again
            skipped = after + "\U0010ffff" if delimiter and after.endswith(delimiter) else after
            first = max(first, bisect_right(names, start + skipped))
        found: list[tuple[str, Stored | None]] = []
        for name in islice(names, first, None):
            if not name.startswith(start + prefix):
                break
            key = name[len(start) :]
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            shown = key if cut < 0 else key[: cut + len(delimiter)]
            if found and found[-1][0] == shown:
                continue
            if len(found) == limit:
                return found, found[-1][0] if found else "", True
            found.append((shown, self.objects[name] if cut < 0 else None))
        return found, "", False

    def parts_page(self, upload_id: str, query: Mapping[str, str]) -> str | None:
        """Return the answer of ListParts; None where there is no such upload."""
        upload = self.uploads.get(upload_id)
        if upload is None:
            return None
        after = int(query.get("part-number-marker") or 0)
        numbers = sorted(number for number in upload.parts if number > after)
        shown = numbers[: min(int(query.get("max-parts") or PAGE), PAGE)]
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><LastModified>{_TIME}</LastModified>"
            f"<ETag>&quot;{upload.parts[number].etag}&quot;</ETag><Size>{upload.parts[number].size}</Size></Part>"
            for number in shown
        )
        more = len(shown) < len(numbers)
        marker = f"<NextPartNumberMarker>{shown[-1]}</NextPartNumberMarker>" if more else ""
        return document(
            "ListPartsResult",
            f"<Bucket>{upload.bucket}</Bucket><Key>{escape(upload.key)}</Key><UploadId>{upload_id}</UploadId>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{marker}{parts}",
        )

    def uploads_page(self, bucket: str) -> str:
        """Return the answer of ListMultipartUploads: all of a bucket, on one page."""
        shown = "".join(
            f"<Upload><Key>{escape(upload.key)}</Key><UploadId>{upload_id}</UploadId>"
            f"<Initiated>{_TIME}</Initiated></Upload>"
            for upload_id, upload in self.uploads.items()
            if upload.bucket == bucket
        )
        return document("ListMultipartUploadsResult", f"<IsTruncated>false</IsTruncated>{shown}")


def document(name: str, inner: str) -> str:
    """Return an XML document in S3's namespace."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{name} xmlns="{_NAMESPACE}">{inner}</{name}>'


def _entry(key: str, stored: Stored | None) -> str:
    if stored is None:
        return f"<CommonPrefixes><Prefix>{key}</Prefix></CommonPrefixes>"
    return (
        f"<Contents><Key>{key}</Key><LastModified>{_TIME}</LastModified><ETag>&quot;{stored.etag}&quot;</ETag>"
        f"<Size>{stored.size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
    )
