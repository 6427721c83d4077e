"""``LeanStore``: the store of the workers. The two calls that carry the bytes leave botocore's machinery aside.

What botocore decides once it decides here too (address, region, headers of the object's properties, proxy,
credentials); what it would do again for every request is done by a signer and a connection of ours.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, NoReturn

from botocore.httpsession import ProxyConfiguration, get_cert_path
from botocore.utils import get_environ_proxies, percent_encode

from async_s3_upload.transfer.messages import AwsAccess, ObjectSettings
from async_s3_upload.transfer.pace import Pace
from async_s3_upload.transfer.stores.lean.connection import Answer
from async_s3_upload.transfer.stores.lean.pool import ConnectionPool
from async_s3_upload.transfer.stores.lean.route import PROBE_KEY, NotServed, Origin, Route, route_of
from async_s3_upload.transfer.stores.lean.signer import Keys, Signer
from async_s3_upload.transfer.stores.store import Body
from async_s3_upload.transfer.stores.store_aiobotocore import PAGE_LIMIT_S, AiobotocoreStore
from async_s3_upload.transfer.stores.store_client import object_options
from async_s3_upload.transfer.stores.store_errors import error_of_answer

log = logging.getLogger(__name__)

CRC_HEADER = "x-amz-checksum-crc64nvme"
EXPRESS_SUFFIX = "--x-s3"
"""Of directory buckets, which take sessions (AWS, "Directory bucket naming rules")."""
REDIRECTS = (301, 302, 307, 308)
WRONG_REGION_CODES = ("AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException")

Settings = ObjectSettings | None
"""Properties of objects; None for parts, which take none."""


class _Prepared(Exception):
    def __init__(self, url: str, headers: dict[str, str]) -> None:
        super().__init__()
        self.url = url
        self.headers = headers


class LeanStore(AiobotocoreStore):
    """S3 with put_object and upload_part over plain asyncio connections, all else through aiobotocore.

    Where the lean path cannot serve (S3 Express sessions, SigV4A, another signature, an https:// proxy) these two
    go through aiobotocore as well; that is logged once for each bucket. A bucket that turns out to be in another
    region is asked for through aiobotocore, which finds and keeps the region, and is then served again.
    """

    streams = True

    def __init__(
        self, access: AwsAccess, connections: int, page_limit_s: float = PAGE_LIMIT_S, pace: Pace | None = None
    ) -> None:
        """Take ``pace`` to be awaited with the number of bytes before each slice of a body is sent."""
        super().__init__(access, connections, page_limit_s, pace)
        self._routes: dict[tuple[str, Settings], Route | None] = {}
        self._pools: dict[Origin, ConnectionPool] = {}
        self._signers: dict[tuple[str, str], Signer] = {}
        self._keys: Keys | None = None
        self._frozen: object = None
        self._tls: ssl.SSLContext | None = None

    async def _open(self) -> None:
        self._routes.clear()
        self._frozen = None
        await super()._open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections, and the client."""
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()
        await super().__aexit__(kind, error, trace)

    async def put_object(
        self, bucket: str, key: str, body: Body, crc64nvme: str | None, settings: ObjectSettings
    ) -> str:
        """PUT the object."""
        return await self._put(
            bucket,
            key,
            "",
            body,
            crc64nvme,
            settings,
            lambda: super(LeanStore, self).put_object(bucket, key, body, crc64nvme, settings),
        )

    async def upload_part(
        self, bucket: str, key: str, upload_id: str, number: int, body: Body, crc64nvme: str | None
    ) -> str:
        """PUT one part."""
        return await self._put(
            bucket,
            key,
            f"partNumber={number}&uploadId={percent_encode(upload_id)}",
            body,
            crc64nvme,
            None,
            lambda: super(LeanStore, self).upload_part(bucket, key, upload_id, number, body, crc64nvme),
        )

    async def _put(
        self,
        bucket: str,
        key: str,
        query: str,
        body: Body,
        crc64nvme: str | None,
        settings: Settings,
        through_aiobotocore: Callable[[], Awaitable[str]],
    ) -> str:
        with self._translated():
            try:
                route = self._routes[bucket, settings]
            except KeyError:
                route = await self._find_route(bucket, settings)
            if route is None:
                return await through_aiobotocore()
            answer = await self._send(route, key, query, body, crc64nvme)
            if answer.status == 200:
                return answer.headers["etag"].strip('"')
            if _is_redirect(answer):
                log.info("bucket %s: S3 answered %d, its region is asked for", bucket, answer.status)
                self._forget_routes(bucket)
                return await through_aiobotocore()
            raise error_of_answer(answer.status, answer.body)

    async def _send(self, route: Route, key: str, query: str, body: Body, crc64nvme: str | None) -> Answer:
        path = route.path + percent_encode(key, safe="/~")
        headers = (*route.signed, (CRC_HEADER, crc64nvme)) if crc64nvme else route.signed
        signer = await self._signer_for(route)
        lines = signer.sign(path, query, route.host, headers, time.time())
        pool = self._pools[route.origin]
        head = (
            f"PUT {route.target}{path}{'?' if query else ''}{query} HTTP/1.1\r\n{lines}{route.unsigned}"
            f"{pool.plain_proxy_header}content-length: {len(body)}\r\n\r\n"
        )
        return await pool.put(head.encode("ascii"), body, self._pace)

    async def _signer_for(self, route: Route) -> Signer:
        """Return the signer with the credentials of now: aiobotocore's provider refreshes those that end soon."""
        frozen = await self._credentials.get_frozen_credentials()
        if frozen != self._frozen:
            self._frozen = frozen
            self._keys = Keys(frozen.access_key, frozen.secret_key, frozen.token or None)
            self._signers.clear()
        scope = (route.region, route.service)
        signer = self._signers.get(scope)
        if signer is None:
            assert self._keys is not None
            signer = self._signers[scope] = Signer(self._keys, *scope)
        return signer

    async def _find_route(self, bucket: str, settings: Settings) -> Route | None:
        """Let botocore prepare a request and read off it where requests go; None: through aiobotocore."""
        route: Route | None = None
        try:
            if bucket.endswith(EXPRESS_SUFFIX):
                raise NotServed("the bucket takes S3 Express sessions")
            prepared = await self._prepare(bucket, settings)
            proxies = ProxyConfiguration(proxies=get_environ_proxies(prepared.url))
            route = route_of(prepared.url, prepared.headers, proxies.proxy_url_for(prepared.url))
        except NotServed as reason:
            log.warning("bucket %s is sent to through aiobotocore, not by the lean path: %s", bucket, reason)
        if route is not None and route.origin not in self._pools:
            self._pools[route.origin] = ConnectionPool(route.origin, self._tls_context)
        self._routes[bucket, settings] = route
        return route

    async def _prepare(self, bucket: str, settings: Settings) -> _Prepared:
        """Have botocore make and sign a request up to the moment before it is sent."""

        def stop(request: Any, **_: object) -> NoReturn:
            raise _Prepared(request.url, {name: _text(value) for name, value in request.headers.items()})

        options = object_options(settings) if settings is not None else {}
        events = self._client.meta.events
        events.register_first("before-send.s3.PutObject", stop)
        try:
            await self._client.put_object(Bucket=bucket, Key=PROBE_KEY, Body=b"", **options)
        except _Prepared as prepared:
            return prepared
        finally:
            events.unregister("before-send.s3.PutObject", stop)
        raise NotServed("botocore sends requests in an unknown way")

    def _forget_routes(self, bucket: str) -> None:
        for known in [known for known in self._routes if known[0] == bucket]:
            del self._routes[known]

    def _tls_context(self) -> ssl.SSLContext:
        """Return the context with the certificates that botocore would trust; one for all pools."""
        if self._tls is None:
            self._tls = ssl.create_default_context(cafile=self._ca_bundle or get_cert_path(True))
        return self._tls


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _is_redirect(answer: Answer) -> bool:
    return answer.status in REDIRECTS or (
        answer.status == 400 and any(f"<Code>{code}</Code>".encode() in answer.body for code in WRONG_REGION_CODES)
    )
