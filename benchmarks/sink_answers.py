"""What a sink says: enough of S3 for every uploader that is compared.

An ETag is what S3's would be where the client says the MD5 of what it sends (``Content-MD5``), which
those do that compare it afterwards; otherwise it is a number, as it is no MD5 with some kinds of
encryption either.
"""

import json
import time
from base64 import b64decode
from dataclasses import asdict, dataclass
from email.utils import formatdate
from itertools import count
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from benchmarks.contents import Contents, Stored, document
from benchmarks.http_request import Request

COUNTS_PATH = "/__counts"
FORGET_PATH = "/__forget"
_CONTROLS = (COUNTS_PATH[1:], FORGET_PATH[1:])
_REASONS = {200: "OK", 204: "No Content", 400: "Bad Request", 404: "Not Found", 501: "Not Implemented"}
_MODIFIED = formatdate(1767225600, usegmt=True)


@dataclass(slots=True)
class Counts:
    """What a sink was given since it started; ``bytes`` are those of whole object and part bodies.

    ``kept_objects`` and ``kept_bytes`` are what it now holds: an object that came twice is there once.
    """

    requests: int = 0
    objects: int = 0
    parts: int = 0
    uploads_created: int = 0
    uploads_aborted: int = 0
    refused: int = 0
    bytes: int = 0
    connections: int = 0
    cpu_seconds: float = 0.0
    kept_objects: int = 0
    kept_bytes: int = 0

    def since(self, earlier: "Counts") -> "Counts":
        """Return what was counted between two readings."""
        then = asdict(earlier)
        return Counts(**{name: value - then[name] for name, value in asdict(self).items()})


class Sink:
    """Answers requests and counts them; shared by all connections."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.contents = Contents()
        self._serial = count(1)

    def connected(self) -> None:
        """Count a connection."""
        self.counts.connections += 1

    def is_control(self, request: Request) -> bool:
        """Say whether a request is the harness's own."""
        return request.bucket in _CONTROLS

    def answer(self, request: Request) -> bytes:
        """Return the whole response to a request whose body has been read."""
        if self.is_control(request):
            return self._control(request)
        self.counts.requests += 1
        answer = self._object(request) if request.key else self._bucket(request)
        if answer is None:
            self.counts.refused += 1
            answer = _error(501, "NotImplemented", request)
        return answer

    def refuse(self, code: str) -> bytes:
        """Return the answer to what cannot be read as a request; the connection has to go after it."""
        self.counts.requests += 1
        self.counts.refused += 1
        return _response(400, _text_of(code), headers="Connection: close\r\n")

    def _control(self, request: Request) -> bytes:
        if request.bucket == FORGET_PATH[1:]:
            self.contents = Contents()
        self.counts.cpu_seconds = time.process_time()
        self.counts.kept_objects = len(self.contents.objects)
        self.counts.kept_bytes = sum(stored.size for stored in self.contents.objects.values())
        return _response(200, json.dumps(asdict(self.counts)), content_type="application/json")

    def _bucket(self, request: Request) -> bytes | None:
        match request.method, request.query:
            case "HEAD", _:
                return _response(200, headers="x-amz-bucket-region: us-east-1\r\n")
            case "PUT", {}:
                return _response(200, headers=f"Location: /{request.bucket}\r\n")
            case "GET", {"location": _}:
                return _response(200, document("LocationConstraint", ""))
            case "GET", {"versioning": _}:
                return _response(200, document("VersioningConfiguration", ""))
            case "GET", {"uploads": _}:
                return _response(200, self.contents.uploads_page(request.bucket))
            case "GET", query if query.keys() <= _LISTING and request.bucket:
                return _response(200, self.contents.page(request.bucket, query))
            case "GET", _ if not request.bucket:
                return _response(200, document("ListAllMyBucketsResult", "<Buckets></Buckets>"))
            case "POST", {"delete": _}:
                return self._delete_many(request)
            case "DELETE", query if not query.keys() - {"x-id"}:
                return _response(204)
        return None

    def _object(self, request: Request) -> bytes | None:
        match request.method, request.query:
            case "PUT", {"partNumber": number, "uploadId": upload_id}:
                return self._put_part(request, int(number), upload_id)
            case "PUT", query if query.keys() <= {"x-id"} and not request.header("x-amz-copy-source"):
                return self._put(request)
            case "HEAD", _:
                return self._head(request)
            case "POST", {"uploads": _}:
                return self._create(request)
            case "POST", {"uploadId": upload_id}:
                return self._complete(request, upload_id)
            case "GET", {"uploadId": upload_id} as query:
                page = self.contents.parts_page(upload_id, query)
                return _error(404, "NoSuchUpload", request) if page is None else _response(200, page)
            case "DELETE", {"uploadId": upload_id}:
                self.counts.uploads_aborted += 1
                self.contents.uploads.pop(upload_id, None)
                return _response(204)
            case "DELETE", query if query.keys() <= {"x-id"}:
                self.contents.delete(request.bucket, request.key)
                return _response(204)
        return None

    def _put(self, request: Request) -> bytes:
        stored = Stored(
            request.payload_bytes,
            self._etag(request),
            request.lines("x-amz-checksum-crc64nvme:"),
            request.lines("x-amz-meta-"),
        )
        self.counts.objects += 1
        self.counts.bytes += stored.size
        self.contents.put(request.bucket, request.key, stored)
        return _response(200, headers=f'ETag: "{stored.etag}"\r\n{request.lines("x-amz-checksum-")}')

    def _put_part(self, request: Request, number: int, upload_id: str) -> bytes:
        size, etag = request.payload_bytes, self._etag(request)
        upload = self.contents.uploads.get(upload_id)
        if upload is None:
            return _error(404, "NoSuchUpload", request)
        upload.parts[number] = Stored(size, etag)
        self.counts.parts += 1
        self.counts.bytes += size
        return _response(200, headers=f'ETag: "{etag}"\r\n{request.lines("x-amz-checksum-")}')

    def _head(self, request: Request) -> bytes:
        stored = self.contents.get(request.bucket, request.key)
        if stored is None:
            return _response(404)
        about = f'ETag: "{stored.etag}"\r\nLast-Modified: {_MODIFIED}\r\n{stored.crc64nvme}{stored.metadata}'
        return _response(200, headers=about, length=stored.size)

    def _create(self, request: Request) -> bytes:
        self.counts.uploads_created += 1
        upload_id = f"upload-{next(self._serial)}"
        self.contents.begin(upload_id, request.bucket, request.key, request.lines("x-amz-meta-"))
        return _response(200, _about("InitiateMultipartUploadResult", request, UploadId=upload_id))

    def _complete(self, request: Request, upload_id: str) -> bytes:
        stored = self.contents.complete(upload_id, request.lines("x-amz-checksum-crc64nvme:"))
        if stored is None:
            return _error(404, "NoSuchUpload", request)
        self.counts.objects += 1
        return _response(200, _about("CompleteMultipartUploadResult", request, ETag=f'"{stored.etag}"'))

    def _delete_many(self, request: Request) -> bytes | None:
        try:
            keys = [key.text or "" for key in ElementTree.fromstring(request.body.kept or b"").findall(".//{*}Key")]
        except ElementTree.ParseError:
            return _error(400, "MalformedXML", request)
        for key in keys:
            self.contents.delete(request.bucket, key)
        deleted = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
        return _response(200, document("DeleteResult", deleted))

    def _etag(self, request: Request) -> str:
        md5 = request.header("content-md5")
        return b64decode(md5).hex() if md5 else f"{next(self._serial):032x}"


_LISTING = {"list-type", "prefix", "delimiter", "max-keys", "marker", "continuation-token", "start-after",
            "encoding-type", "fetch-owner", "x-id"}  # fmt: skip


def _response(
    status: int, body: str = "", *, headers: str = "", content_type: str = "application/xml", length: int | None = None
) -> bytes:
    """Return the bytes of an answer; ``length`` is that of an object whose bytes HEAD does not send."""
    data = body.encode()
    length_line = "" if status == 204 else f"Content-Length: {len(data) if length is None else length}\r\n"
    kind = f"Content-Type: {content_type}\r\n" if body else ""
    return f"HTTP/1.1 {status} {_REASONS[status]}\r\n{kind}{length_line}{headers}\r\n".encode("latin-1") + data


def _error(status: int, code: str, request: Request) -> bytes:
    return _response(status, "" if request.method == "HEAD" else _text_of(code))


def _text_of(code: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{code}</Message></Error>'


def _about(name: str, request: Request, **fields: str) -> str:
    inner = {"Bucket": request.bucket, "Key": request.key, **fields}
    return document(name, "".join(f"<{field}>{escape(value)}</{field}>" for field, value in inner.items()))
