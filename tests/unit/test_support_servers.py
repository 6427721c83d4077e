"""The test servers do what the tests that stand on them believe."""

import base64
import hashlib
import http.client
import json
import secrets
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiobotocore.session import get_session
from awscrt import checksums
from botocore.exceptions import BotoCoreError, ClientError

from tests.support import servers
from tests.support.command import CommandTimeoutError, RunningCommand
from tests.support.process import free_ports
from tests.support.proxy import (
    Answer,
    Cut,
    Delay,
    DropAnswer,
    FaultProxy,
    FlipByte,
    Rule,
    Stall,
    every,
    on,
)
from tests.support.s3requests import Request
from tests.support.servers import ObjectSeen, S3Server
from tests.support.slack import SlackListener, refused_url

MIB = 1024 * 1024
ODD_KEYS = ["a b+c&d?e=f#g%h", "quote'\"[x]{y}", "Ärger/日本.bcl", ".hidden"]

BucketName = Callable[..., str]
ProxyFor = Callable[..., tuple[FaultProxy, S3Server]]


def crc64nvme(content: bytes) -> str:
    return base64.b64encode(checksums.crc64nvme(content).to_bytes(8)).decode()


def error_of(call: Callable[[], Any]) -> tuple[int, str]:
    with pytest.raises(ClientError) as caught:
        call()
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


class TestServers:
    @pytest.fixture(params=["seaweed", "moto_server"])
    def server(self, request: pytest.FixtureRequest) -> S3Server:
        server: S3Server = request.getfixturevalue(request.param)
        return server

    def test_what_is_put_is_listed_and_read_back(self, server: S3Server, bucket_name: BucketName) -> None:
        bucket = server.make_bucket(bucket_name())
        for key in ODD_KEYS:
            server.client().put_object(Bucket=bucket, Key=key, Body=key.encode())
        assert set(server.objects(bucket)) == set(ODD_KEYS)
        assert server.objects(bucket)[".hidden"] == ObjectSeen(7, hashlib.md5(b".hidden").hexdigest())
        assert [server.body(bucket, key).decode() for key in ODD_KEYS] == ODD_KEYS

    def test_uploads_in_progress_are_listed_until_aborted(self, server: S3Server, bucket_name: BucketName) -> None:
        bucket = server.make_bucket(bucket_name())
        upload = server.client().create_multipart_upload(Bucket=bucket, Key="big/file")["UploadId"]
        assert server.uploads_in_progress(bucket) == ["big/file"]
        server.client().abort_multipart_upload(Bucket=bucket, Key="big/file", UploadId=upload)
        assert server.uploads_in_progress(bucket) == []

    def test_a_bucket_that_is_not_there_is_not_made_by_a_put(self, server: S3Server, bucket_name: BucketName) -> None:
        put = server.client().put_object
        assert error_of(lambda: put(Bucket=bucket_name(), Key="k", Body=b"x")) == (404, "NoSuchBucket")

    def test_seaweedfs_refuses_a_wrong_key(self, seaweed: S3Server, bucket_name: BucketName) -> None:
        bucket = seaweed.make_bucket(bucket_name())
        stranger = S3Server(seaweed.endpoint, seaweed.access_key, secrets.token_hex(20))
        try:
            put = stranger.client().put_object
            assert error_of(lambda: put(Bucket=bucket, Key="k", Body=b"x")) == (403, "SignatureDoesNotMatch")
        finally:
            stranger.close()

    def test_seaweedfs_checks_crc64nvme(self, seaweed: S3Server, bucket_name: BucketName) -> None:
        bucket = seaweed.make_bucket(bucket_name())

        def put(body: bytes, crc: str) -> Any:
            return seaweed.client().put_object(Bucket=bucket, Key="k", Body=body, ChecksumCRC64NVME=crc)

        assert error_of(lambda: put(b"some bytes", crc64nvme(b"other bytes"))) == (400, "BadDigest")
        assert seaweed.objects(bucket) == {}
        put(b"some bytes", crc64nvme(b"some bytes"))
        assert seaweed.body(bucket, "k") == b"some bytes"

    def test_keys_do_not_show_in_a_repr(self) -> None:
        key = secrets.token_hex(8)
        assert key not in repr(S3Server("http://127.0.0.1:1", "name", key))

    def test_a_port_taken_meanwhile_is_replaced(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            offers = iter([[taken.getsockname()[1]], free_ports(1)])
            with servers.moto(ports=lambda _count: next(offers)) as server:
                assert server.client().list_buckets()["Buckets"] == []
                endpoint = urlsplit(server.endpoint)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((endpoint.hostname or "", endpoint.port or 0)).close()

    def test_a_server_that_cannot_start_shows_its_log(self) -> None:
        with (
            pytest.raises(servers.ServerStartError, match=r"(?i)port must be"),
            servers.moto(ports=lambda _: [-1]),
        ):
            pass


class TestProxy:
    @pytest.fixture
    def bucket(self, seaweed: S3Server, bucket_name: BucketName) -> str:
        return seaweed.make_bucket(bucket_name())

    def test_signed_requests_pass_unchanged_and_are_counted(
        self, seaweed: S3Server, bucket: str, proxy_for: ProxyFor
    ) -> None:
        proxy, behind = proxy_for(seaweed)
        body = secrets.token_bytes(9 * MIB)
        behind.client().put_object(Bucket=bucket, Key="a b/ü", Body=body, ChecksumCRC64NVME=crc64nvme(body))
        behind.client().head_object(Bucket=bucket, Key="a b/ü")
        assert behind.body(bucket, "a b/ü") == body
        assert list(behind.objects(bucket)) == ["a b/ü"]
        seen = [(one.operation, one.key, one.status, one.bytes) for one in proxy.seen]
        assert seen == [
            ("PutObject", "a b/ü", 200, len(body)),
            ("HeadObject", "a b/ü", 200, 0),
            ("GetObject", "a b/ü", 200, 0),
            ("ListObjectsV2", "", 200, 0),
        ]
        assert proxy.seen[0].path == f"/{bucket}/a%20b/%C3%BC"

    def test_it_serves_moto_too(self, moto_server: S3Server, bucket_name: BucketName, proxy_for: ProxyFor) -> None:
        _, behind = proxy_for(moto_server)
        bucket = behind.make_bucket(bucket_name())
        behind.client().put_object(Bucket=bucket, Key="k", Body=b"x" * MIB)
        assert moto_server.objects(bucket)["k"].size == MIB

    async def test_it_serves_aiobotocore_which_expects_100_continue(
        self, seaweed: S3Server, bucket: str, proxy_for: ProxyFor
    ) -> None:
        proxy, behind = proxy_for(seaweed, Rule(on("PutObject"), Answer(503, "SlowDown"), times=1))
        body = secrets.token_bytes(5 * MIB)
        async with get_session().create_client(
            "s3",
            endpoint_url=behind.endpoint,
            aws_access_key_id=behind.access_key,
            aws_secret_access_key=behind.secret_key,
            region_name="us-east-1",
        ) as s3:
            await s3.put_object(Bucket=bucket, Key="k", Body=body)
        assert seaweed.body(bucket, "k") == body
        assert [(one.status, one.bytes) for one in proxy.seen] == [(503, len(body)), (200, len(body))]
        assert proxy.seen[0].headers["expect"] == "100-continue"

    def test_multipart_operations_have_their_names(self, seaweed: S3Server, bucket: str, proxy_for: ProxyFor) -> None:
        proxy, behind = proxy_for(seaweed)
        s3, target = behind.client(), {"Bucket": bucket, "Key": "big"}
        upload = target | {"UploadId": s3.create_multipart_upload(**target)["UploadId"]}
        part = s3.upload_part(**upload, PartNumber=1, Body=b"x")
        s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
        s3.abort_multipart_upload(**target, UploadId=s3.create_multipart_upload(**target)["UploadId"])
        behind.uploads_in_progress(bucket)
        s3.head_bucket(Bucket=bucket)
        assert [one.operation for one in proxy.seen] == [
            "CreateMultipartUpload",
            "UploadPart",
            "CompleteMultipartUpload",
            "CreateMultipartUpload",
            "AbortMultipartUpload",
            "ListMultipartUploads",
            "HeadBucket",
        ]
        assert proxy.count(on("UploadPart", key_ends="big", part=1)) == 1
        assert proxy.count(on(part=2)) == 0

    @pytest.mark.parametrize("after_body", [True, False])
    def test_a_scripted_answer_reaches_the_client_and_not_the_server(
        self, seaweed: S3Server, bucket: str, proxy_for: ProxyFor, after_body: bool
    ) -> None:
        rule = Rule(on("PutObject"), Answer(503, "SlowDown", after_body), times=2, skip=1)
        proxy, behind = proxy_for(seaweed, rule)

        def put(key: str) -> Any:
            return behind.client().put_object(Bucket=bucket, Key=key, Body=b"x" * 3 * MIB)

        put("first")
        assert error_of(lambda: put("second")) == (503, "SlowDown")
        assert error_of(lambda: put("third")) == (503, "SlowDown")
        put("fourth")
        assert sorted(seaweed.objects(bucket)) == ["first", "fourth"]
        assert [one.status for one in proxy.seen] == [200, 503, 503, 200]
        assert (proxy.seen[1].bytes == 3 * MIB) is after_body
        assert rule.taken == 2

    @pytest.mark.parametrize("reset", [True, False])
    @pytest.mark.parametrize("after_bytes", [0, 100_000, None])
    def test_a_cut_connection_gives_no_answer_and_stores_nothing(
        self, seaweed: S3Server, bucket: str, proxy_for: ProxyFor, after_bytes: int | None, reset: bool
    ) -> None:
        proxy, behind = proxy_for(seaweed, Rule(every, Cut(after_bytes, reset), times=1))
        with pytest.raises(BotoCoreError):
            behind.client().put_object(Bucket=bucket, Key="k", Body=b"x" * MIB)
        assert seaweed.objects(bucket) == {}
        assert proxy.seen[0].status is None
        behind.client().put_object(Bucket=bucket, Key="k", Body=b"x" * MIB)

    def test_a_dropped_answer_leaves_the_object_stored(
        self, seaweed: S3Server, bucket: str, proxy_for: ProxyFor
    ) -> None:
        proxy, behind = proxy_for(seaweed, Rule(on("PutObject"), DropAnswer(), times=1))
        with pytest.raises(BotoCoreError):
            behind.client().put_object(Bucket=bucket, Key="k", Body=b"bytes")
        assert seaweed.body(bucket, "k") == b"bytes"
        assert [(one.status, one.bytes) for one in proxy.seen] == [(None, 5)]

    def test_a_flipped_byte_changes_one_bit_and_is_caught_by_a_checksum(
        self, seaweed: S3Server, moto_server: S3Server, bucket: str, proxy_for: ProxyFor
    ) -> None:
        body = bytes(MIB)
        _, behind = proxy_for(seaweed, Rule(on("PutObject"), FlipByte(700_000)))
        put = behind.client().put_object
        checksum = crc64nvme(body)
        assert error_of(lambda: put(Bucket=bucket, Key="k", Body=body, ChecksumCRC64NVME=checksum)) == (
            400,
            "BadDigest",
        )
        _, careless = proxy_for(moto_server, Rule(on("PutObject"), FlipByte(700_000)))
        careless.make_bucket(bucket)
        careless.client().put_object(Bucket=bucket, Key="k", Body=body)
        stored = moto_server.body(bucket, "k")
        assert stored[700_000] == 1
        assert stored.count(0) == MIB - 1

    def test_a_delay_comes_before_the_answer(self, seaweed: S3Server, bucket: str, proxy_for: ProxyFor) -> None:
        _, behind = proxy_for(seaweed, Rule(on("HeadBucket"), Delay(0.4)))
        started = time.monotonic()
        behind.client().head_bucket(Bucket=bucket)
        assert time.monotonic() - started >= 0.4

    @pytest.mark.parametrize("after_bytes", [0, None])
    def test_a_stalled_request_is_never_answered(self, seaweed: S3Server, bucket: str, after_bytes: int | None) -> None:
        with FaultProxy(seaweed.endpoint, Rule(every, Stall(after_bytes))) as proxy:
            address = urlsplit(proxy.endpoint)
            with socket.create_connection((address.hostname or "", address.port or 0)) as client:
                client.sendall(f"PUT /{bucket}/k HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody".encode())
                proxy.wait_for(on("PutObject"))
                client.settimeout(0.3)
                with pytest.raises(TimeoutError):
                    client.recv(1)
        assert proxy.seen[0].status is None
        assert seaweed.objects(bucket) == {}

    def test_a_big_body_that_stalls_keeps_its_sender_waiting(self) -> None:
        with FaultProxy("http://127.0.0.1:1", Rule(every, Stall(after_bytes=0))) as proxy:
            address = urlsplit(proxy.endpoint)
            with socket.create_connection((address.hostname or "", address.port or 0), timeout=0.5) as client:
                client.sendall(b"PUT /bucket/key HTTP/1.1\r\nHost: x\r\nContent-Length: 33554432\r\n\r\n")
                with pytest.raises(TimeoutError):
                    client.sendall(bytes(8 * MIB))

    def test_a_server_that_is_down_looks_like_a_cut_connection(self) -> None:
        with FaultProxy("http://127.0.0.1:1") as proxy, pytest.raises(http.client.RemoteDisconnected):
            urllib.request.urlopen(f"{proxy.endpoint}/bucket", timeout=10)

    def test_many_requests_at_once_each_get_their_own_answer(
        self, seaweed: S3Server, bucket: str, proxy_for: ProxyFor
    ) -> None:
        proxy, behind = proxy_for(seaweed)
        s3 = behind.client()

        def round_trip(number: int) -> bool:
            body = secrets.token_bytes(number * 1000)
            s3.put_object(Bucket=bucket, Key=f"k{number}", Body=body)
            return behind.body(bucket, f"k{number}") == body

        with ThreadPoolExecutor(8) as threads:
            assert all(threads.map(round_trip, range(40)))
        assert proxy.count(on("PutObject")) == 40
        assert {one.status for one in proxy.seen} == {200}


class Echo:
    """A server that answers each request with what it got, in chunks, and lets its client close."""

    def __enter__(self) -> "Echo":
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as stream:
                head = b"".join(iter(stream.readline, b"\r\n"))
                if b"100-continue" in head:
                    stream.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                    stream.flush()
                ending = b"0\r\n" if b"chunked" in head.lower() else b"END"
                body = b""
                while not body.endswith(ending):
                    body += stream.read(1)
                if ending == b"0\r\n":
                    body += stream.readline()
                got = head + b"|" + body
                stream.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                stream.write(f"{len(got):x}\r\n".encode() + got + b"\r\n0\r\nX-Trailer: 1\r\n\r\n")
                stream.flush()
                stream.read(1)


class TestProxyOnTheWire:
    @pytest.fixture
    def echo(self) -> Iterator[Echo]:
        with Echo() as echo:
            yield echo

    @staticmethod
    def connect(proxy: FaultProxy) -> socket.socket:
        address = urlsplit(proxy.endpoint)
        return socket.create_connection((address.hostname or "", address.port or 0), timeout=10)

    @staticmethod
    def read_until(client: socket.socket, end: bytes) -> bytes:
        got = b""
        while not got.endswith(end):
            piece = client.recv(1)
            assert piece, f"closed after {got!r}"
            got += piece
        return got

    def test_heads_and_chunks_pass_byte_for_byte_on_one_connection(self, echo: Echo) -> None:
        head = b"PUT /b/k?x=%20 HTTP/1.1\r\nHost:  example.test:80 \r\nX-oDd: \xe4\r\n"
        head += b"Transfer-Encoding: chunked\r\n"
        body = b"3;ext=1\r\nabc\r\n0\r\n\r\n"
        with FaultProxy(echo.endpoint) as proxy, self.connect(proxy) as client:
            for _ in range(2):
                client.sendall(head + b"\r\n" + body)
                answer = self.read_until(client, b"X-Trailer: 1\r\n\r\n")
                assert head + b"|" + body in answer
        assert [(one.query, one.bytes, one.status) for one in proxy.seen] == [("x=%20", 3, 200)] * 2

    def test_flip_counts_content_and_not_the_framing_of_chunks(self, echo: Echo) -> None:
        with FaultProxy(echo.endpoint, Rule(every, FlipByte(4))) as proxy, self.connect(proxy) as client:
            client.sendall(b"PUT /b/k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            client.sendall(b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n")
            assert b"3\r\nabc\r\n3\r\nddf\r\n0\r\n\r\n" in self.read_until(client, b"X-Trailer: 1\r\n\r\n")

    def test_the_servers_100_continue_is_passed_on(self, echo: Echo) -> None:
        with FaultProxy(echo.endpoint) as proxy, self.connect(proxy) as client:
            client.sendall(b"PUT /b/k HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 7\r\n\r\n")
            assert self.read_until(client, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.sendall(b"bodyEND")
            assert b"|bodyEND" in self.read_until(client, b"X-Trailer: 1\r\n\r\n")

    def test_a_scripted_answer_asks_for_an_expected_body_only_when_it_reads_it(self) -> None:
        head = b"PUT /b/k HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        with FaultProxy("http://127.0.0.1:1") as proxy:
            proxy.rules.append(Rule(every, Answer(500, "InternalError"), times=1))
            proxy.rules.append(Rule(every, Answer(503, after_body=False, headers={"Retry-After": "1"})))
            with self.connect(proxy) as client:
                client.sendall(head)
                assert self.read_until(client, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
                client.sendall(b"body")
                assert self.read_until(client, b"</Error>").startswith(b"HTTP/1.1 500 ")
                client.sendall(head)
                answer = self.read_until(client, b"\r\n\r\n")
                assert answer.startswith(b"HTTP/1.1 503 ")
                assert b"Retry-After: 1\r\n" in answer
                assert b"Connection: close\r\n" in answer
                assert client.recv(1) == b""
        assert [(one.status, one.bytes) for one in proxy.seen] == [(500, 4), (503, 0)]

    def test_a_failing_rule_is_not_swallowed(self) -> None:
        def broken(_request: Request) -> bool:
            raise ZeroDivisionError

        def provoke() -> None:
            with (
                FaultProxy("http://127.0.0.1:1", Rule(broken, Cut())) as proxy,
                self.connect(proxy) as client,
            ):
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                assert client.recv(1) == b""

        with pytest.raises(ExceptionGroup, match="fault proxy"):
            provoke()


class TestSlack:
    @staticmethod
    def post(url: str, body: bytes, timeout: float = 10) -> int:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json", "X-Mark": "1"})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                status: int = answer.status
        except urllib.error.HTTPError as error:
            with error:
                status = error.code
        return status

    def test_messages_are_recorded_in_order_with_hook_and_headers(self, slack: SlackListener) -> None:
        assert self.post(slack.url, json.dumps({"text": "one"}).encode()) == 200
        assert self.post(slack.url_of("alert"), json.dumps({"text": "zwei ✓"}).encode()) == 200
        first, second = slack.wait_for(2)
        assert (first.text, first.hook, second.text, second.hook) == ("one", "default", "zwei ✓", "alert")
        assert first.headers["Content-Type"] == "application/json"
        assert first.headers["X-Mark"] == "1"
        assert slack.texts("alert") == ["zwei ✓"]
        assert "/services/T000/B000/" in slack.url

    def test_statuses_follow_the_script(self) -> None:
        with SlackListener(status=[500, 429, 200]) as slack:
            assert [self.post(slack.url, b'{"text": "x"}') for _ in range(4)] == [500, 429, 200, 200]
            assert [message.answered for message in slack.messages] == [500, 429, 200, 200]

    def test_what_slack_would_refuse_is_refused(self, slack: SlackListener) -> None:
        assert self.post(slack.url, b"no json") == 400
        assert self.post(slack.url, b'{"message": "x"}') == 400
        assert self.post(slack.url + "x", b'{"text": "x"}') == 404
        assert slack.messages == []
        assert slack.malformed == [b"no json", b'{"message": "x"}']

    def test_a_hanging_slack_has_heard_and_does_not_keep_the_test_waiting(self) -> None:
        started = time.monotonic()
        with SlackListener(hang_seconds=60) as slack:
            with pytest.raises(TimeoutError):
                self.post(slack.url, b'{"text": "x"}', timeout=0.3)
            assert slack.texts() == ["x"]
        assert time.monotonic() - started < 10

    def test_kept_alive_connections_end_with_the_listener(self) -> None:
        with SlackListener() as slack:
            address = urlsplit(slack.url)
            client = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
            for _ in range(2):
                client.request("POST", address.path, b'{"text": "x"}')
                assert client.getresponse().read() == b"ok"
            connection = client.sock
        assert connection.recv(1) == b""
        client.close()

    def test_a_refused_url_refuses(self) -> None:
        with refused_url() as url, pytest.raises(urllib.error.URLError, match="refused"):
            urllib.request.urlopen(url, b"{}", timeout=5)


class TestCommand:
    @staticmethod
    def python(code: str, **options: Any) -> RunningCommand:
        return RunningCommand([sys.executable, "-c", code], **options)

    def test_the_environment_is_clean_and_then_the_servers_and_then_the_tests(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_PROFILE", "outside")
        server = S3Server("http://127.0.0.1:1", "name", secrets.token_hex(8))
        code = "import os, json; print(json.dumps(dict(os.environ)))"
        with self.python(code, server=server, env={"AWS_REGION": "eu-west-2"}) as command:
            seen = command.wait().json
            home = Path(seen["HOME"])
            assert home.is_dir()
        expected = server.environment() | {"AWS_REGION": "eu-west-2"}
        assert {name: value for name, value in seen.items() if name.startswith("AWS_")} == expected
        assert not home.exists()

    def test_exit_code_and_output_come_back(self) -> None:
        with self.python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)") as command:
            done = command.wait()
        assert (done.exit_code, done.stdout, done.stderr) == (3, "out\n", "err\n")

    def test_a_signal_reaches_the_command(self) -> None:
        code = "import signal; print('ready', flush=True); signal.pause()"
        with self.python(code) as command:
            while "ready" not in command.stdout:
                time.sleep(0.01)
            command.signal(signal.SIGTERM)
            assert command.wait(10).exit_code == -signal.SIGTERM

    def test_a_command_that_does_not_end_is_killed_with_its_children(self) -> None:
        code = (
            "import subprocess, sys, time; print('begun', flush=True)\n"
            "subprocess.run([sys.executable, '-c', 'import time; print(1, flush=True); time.sleep(60)'])"
        )
        with self.python(code) as command:
            while "1" not in command.stdout:
                time.sleep(0.01)
            with pytest.raises(CommandTimeoutError, match="begun"):
                command.wait(0.1)
            command.wait(1)

    def test_children_left_behind_end_with_the_test(self) -> None:
        code = (
            "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', "
            '\'import socket, sys, time; s = socket.create_connection(("127.0.0.1", int(sys.argv[1]))); '
            "time.sleep(60)', sys.argv[1]])"
        )
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(10)
            argv = [sys.executable, "-W", "ignore", "-c", code, str(listener.getsockname()[1])]
            with RunningCommand(argv) as command:
                assert command.wait().exit_code == 0
                connection, _ = listener.accept()
            with connection:
                connection.settimeout(10)
                assert connection.recv(1) == b""
