import http.client
import json
import os
import socket
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest

from async_s3_upload.demo.run_folder import TINY, make_run_folder
from benchmarks import smoke
from benchmarks.__main__ import main
from benchmarks.destination import EndpointDestination, Received, SinkDestination, running_sink
from benchmarks.grid import Cell, Folder, Grid, failure_of
from benchmarks.http_request import Body
from benchmarks.process_tree import SAMPLE_SECONDS, Usage, measure
from benchmarks.results import MIB, Row, medians, table

# An uploader in a few lines: what it is told by LEAVES_OUT it does not send, and it ends as EXIT_CODE says.
STAND_IN = """
import http.client, json, os, sys, urllib.parse
options = dict(zip(sys.argv[2::1], sys.argv[3::1]))
root, prefix = options["--local-path"], options["--remote-path"]
assert os.listdir(options["--log-dir"]) == []
url = urllib.parse.urlsplit(os.environ["AWS_ENDPOINT_URL"])
connection = http.client.HTTPConnection(url.hostname, url.port)
def ask(method, path, body=None):
    connection.request(method, f"/{options['--bucket']}{path}", body)
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status == 200, text
    return text.decode()
ask("HEAD", "")
for parent, _, names in os.walk(root):
    for name in names:
        path = os.path.join(parent, name)
        key = f"/{prefix}/" + os.path.relpath(path, os.path.dirname(root))
        data = open(path, "rb").read()
        if name == os.environ.get("LEAVES_OUT"):
            continue
        if len(data) < 16 << 20:
            ask("PUT", key, data)
            continue
        upload = ask("POST", key + "?uploads").partition("<UploadId>")[2].partition("<")[0]
        for number, start in enumerate(range(0, len(data), 8 << 20), start=1):
            ask("PUT", f"{key}?partNumber={number}&uploadId={upload}", data[start : start + (8 << 20)])
        ask("POST", f"{key}?uploadId={upload}", b"<CompleteMultipartUpload/>")
print("what went wrong", file=sys.stderr)
sys.exit(int(os.environ.get("EXIT_CODE", "0")))
"""


@pytest.fixture(scope="module")
def sink() -> Iterator[SinkDestination]:
    with running_sink() as running:
        yield running


@pytest.fixture
def connection(sink: SinkDestination) -> Iterator[http.client.HTTPConnection]:
    sink.mark()
    url = urlsplit(sink.environment()["AWS_ENDPOINT_URL"])
    with closing(http.client.HTTPConnection("127.0.0.1", url.port, timeout=10)) as opened:
        yield opened


@pytest.fixture
def stand_in(tmp_path: Path) -> list[str]:
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    return [sys.executable, str(script)]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder.read(make_run_folder(str(tmp_path / "runs"), TINY))


def one_cell(folder: Folder, command: list[str]) -> Grid:
    return Grid(folder, [Cell(1, 4)], 1, "bucket", "here", command, warm_up=False, timeout_seconds=60)


class TestSink:
    def received(self, sink: SinkDestination) -> Received:
        return sink.received("bucket", "any")

    def ask(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection.request(method, path, body, {"x-amz-checksum-crc64nvme": "AAAAAAAAAAA="})
        answer = connection.getresponse()
        return answer, answer.read()

    def test_it_counts_objects_bytes_and_requests(
        self, sink: SinkDestination, connection: http.client.HTTPConnection
    ) -> None:
        tags = set()
        answer, _ = self.ask(connection, "HEAD", "/bucket")
        assert answer.status == 200
        for size in (0, 1, 70_000, 3 * MIB):
            answer, _ = self.ask(connection, "PUT", f"/bucket/key{size}", b"x" * size)
            assert answer.status == 200
            assert answer.headers["x-amz-checksum-crc64nvme"] == "AAAAAAAAAAA="
            tags.add(answer.headers["ETag"])
        assert len(tags) == 4
        found = self.received(sink)
        assert (found.objects, found.bytes, found.requests) == (4, 70_001 + 3 * MIB, 5)
        assert found.sink_cpu_seconds is not None
        assert found.sink_cpu_seconds >= 0

    def test_a_multipart_upload_is_one_object_of_its_parts_bytes(
        self, sink: SinkDestination, connection: http.client.HTTPConnection
    ) -> None:
        _, text = self.ask(connection, "POST", "/bucket/a%20%26%20b?uploads")
        created = {child.tag.rpartition("}")[2]: child.text for child in ET.fromstring(text)}
        assert created["Key"] == "a & b"
        where = f"/bucket/a%20%26%20b?uploadId={created['UploadId']}"
        for number in (1, 2):
            self.ask(connection, "PUT", f"{where}&partNumber={number}", b"y" * MIB)
        _, text = self.ask(connection, "POST", where, b"<CompleteMultipartUpload/>")
        assert ET.fromstring(text).tag.endswith("CompleteMultipartUploadResult")
        found = self.received(sink)
        assert (found.objects, found.bytes, found.requests) == (1, 2 * MIB, 4)

    def test_an_aborted_upload_is_no_object(
        self, sink: SinkDestination, connection: http.client.HTTPConnection
    ) -> None:
        before = sink.counts()
        answer, _ = self.ask(connection, "DELETE", "/bucket/key?uploadId=u")
        assert answer.status == 204
        after = sink.counts().since(before)
        assert (after.uploads_aborted, after.objects) == (1, 0)

    def test_what_it_does_not_know_is_refused_and_the_connection_goes_on(
        self, sink: SinkDestination, connection: http.client.HTTPConnection
    ) -> None:
        before = sink.counts()
        answer, text = self.ask(connection, "GET", "/bucket/key")
        assert answer.status == 501
        assert ET.fromstring(text).findtext("Code") == "NotImplemented"
        answer, _ = self.ask(connection, "PUT", "/bucket/key?tagging", b"<Tagging/>")
        assert answer.status == 501
        assert sink.counts().since(before).refused == 2

    def test_what_it_was_given_is_shown_by_head_and_list(
        self, sink: SinkDestination, connection: http.client.HTTPConnection
    ) -> None:
        keys = [f"listed/run/{number:04d} a&b" for number in range(1003)]
        for key in keys:
            self.ask(connection, "PUT", "/bucket/" + quote(key), b"12345")
        answer, _ = self.ask(connection, "HEAD", "/bucket/" + quote(keys[0]))
        assert (answer.status, answer.getheader("Content-Length")) == (200, "5")
        assert self.ask(connection, "HEAD", "/bucket/listed/none")[0].status == 404
        listed: list[str] = []
        token = ""
        for _ in range(2):
            _, text = self.ask(
                connection, "GET", f"/bucket?list-type=2&prefix=listed/run/&continuation-token={quote(token)}"
            )
            page = ET.fromstring(text)
            listed += [unquote(key.text or "") for key in page.findall(".//{*}Key")]
            token = page.findtext("{*}NextContinuationToken") or ""
        assert listed == keys
        assert not token

    def test_chunked_bodies_are_counted_without_their_framing(
        self, sink: SinkDestination, connection: http.client.HTTPConnection
    ) -> None:
        pieces = [b"abc", b"d" * 100_000, b"e"]
        connection.request("PUT", "/bucket/chunked", body=iter(pieces), encode_chunked=True)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
        connection.request("PUT", "/bucket/plain", body=b"next on the same connection")
        connection.getresponse().read()
        assert self.received(sink).bytes == 100_004 + 27

    def test_aws_chunked_bodies_are_counted_by_their_decoded_length(
        self, sink: SinkDestination, connection: http.client.HTTPConnection
    ) -> None:
        framed = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
        headers = {"content-encoding": "aws-chunked", "x-amz-decoded-content-length": "5"}
        connection.request("PUT", "/bucket/key", framed, headers)
        connection.getresponse().read()
        assert self.received(sink).bytes == 5

    def test_it_says_continue_when_asked_and_answers_only_after_the_last_byte(
        self, sink: SinkDestination, connection: http.client.HTTPConnection
    ) -> None:
        with socket.create_connection(("127.0.0.1", connection.port), timeout=5) as raw:
            raw.sendall(b"PUT /bucket/key HTTP/1.1\r\nHost: sink\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
            assert raw.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
            raw.sendall(b"abc")
            raw.settimeout(0.1)
            with pytest.raises(TimeoutError):
                raw.recv(1000)
            raw.settimeout(5)
            raw.sendall(b"d")
            assert raw.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")

    def test_two_requests_in_one_packet_get_two_answers(
        self, sink: SinkDestination, connection: http.client.HTTPConnection
    ) -> None:
        before = sink.counts()
        put = b"PUT /bucket/key HTTP/1.1\r\nHost: sink\r\nContent-Length: 2\r\n\r\nab"
        last = put.replace(b"Host: sink", b"Connection: close")
        with socket.create_connection(("127.0.0.1", connection.port), timeout=5) as raw:
            raw.sendall(put + last)
            with raw.makefile("rb") as file:
                assert file.read().count(b"HTTP/1.1 200 OK") == 2
        assert sink.counts().since(before).objects == 2
        assert self.received(sink).objects == 1  # the same one twice

    @pytest.mark.parametrize(
        "head", [b"nonsense\r\n\r\n", b"PUT /b/k HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"y" * 70_000]
    )
    def test_what_is_no_request_is_answered_with_400_and_the_connection_closed(
        self, connection: http.client.HTTPConnection, head: bytes
    ) -> None:
        with socket.create_connection(("127.0.0.1", connection.port), timeout=5) as raw:
            raw.sendall(head)
            assert raw.recv(1000).startswith(b"HTTP/1.1 400 Bad Request\r\n")


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_a_chunked_body_ends_at_its_last_byte_however_it_arrives(step: int) -> None:
    framed = b"3;sig=1\r\nabc\r\n00a\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n"
    body, taken = Body(None), 0
    data = framed + b"PUT"
    while not body.done:
        taken += body.feed(memoryview(data)[taken : taken + step])
    assert taken == len(framed)
    assert body.received == 13


class TestProcessTree:
    def test_memory_and_cpu_of_a_grandchild_are_seen(self) -> None:
        inner = f"import time; x = bytearray(100 << 20); time.sleep({8 * SAMPLE_SECONDS})"
        outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}], check=True)"
        usage = measure([sys.executable, "-c", outer], timeout_seconds=60)
        assert usage.exit_code == 0
        assert usage.peak_processes == 2
        assert 100 * MIB < usage.peak_pss_bytes <= usage.peak_rss_bytes < 200 * MIB
        assert 0 < usage.cpu_seconds < usage.seconds + 1
        assert usage.samples > 1

    def test_the_exit_code_is_handed_on(self) -> None:
        assert measure([sys.executable, "-c", "raise SystemExit(7)"]).exit_code == 7

    def test_a_time_out_ends_the_command_and_is_told(self) -> None:
        usage = measure([sys.executable, "-c", "import time; time.sleep(60)"], timeout_seconds=0.2)
        assert usage.timed_out
        assert usage.exit_code < 0
        assert usage.seconds < 10


class TestGrid:
    def test_a_good_upload_is_a_time(self, sink: SinkDestination, folder: Folder, stand_in: list[str]) -> None:
        (row,) = one_cell(folder, stand_in).run(sink, print)
        assert row.failure == ""
        assert (row.files, row.bytes, row.requests) == (folder.files, folder.bytes, folder.files + 1)
        assert row.seconds > 0
        assert row.peak_pss_mb > 1

    def test_a_failing_command_is_not_a_time(
        self,
        sink: SinkDestination,
        folder: Folder,
        stand_in: list[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("EXIT_CODE", "3")
        (row,) = one_cell(folder, stand_in).run(sink, print)
        assert row.failure == "exit code 3: what went wrong"
        assert medians([row])[0].seconds is None

    def test_an_upload_that_leaves_a_file_out_is_not_a_time(
        self,
        sink: SinkDestination,
        folder: Folder,
        stand_in: list[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("LEAVES_OUT", "RunInfo.xml")
        (row,) = one_cell(folder, stand_in).run(sink, print)
        assert row.failure == f"{row.bytes} of {folder.bytes} bytes arrived"
        monkeypatch.setenv("LEAVES_OUT", "CopyComplete.txt")
        (row,) = one_cell(folder, stand_in).run(sink, print)
        assert row.failure == f"{folder.files - 1} of {folder.files} files arrived"

    def test_a_failed_warm_up_ends_the_grid(self, sink: SinkDestination, folder: Folder) -> None:
        grid = replace(one_cell(folder, [sys.executable, "-c", "raise SystemExit(1)"]), warm_up=True)
        rows = grid.run(sink, print)
        assert [(row.repeat, row.exit_code) for row in rows] == [(0, 1)]

    def test_a_time_out_is_named(self, folder: Folder) -> None:
        usage = Usage(-15, 1.0, 0.1, 1, 1, 1, 1, timed_out=True)
        assert failure_of(usage, Received(folder.files, folder.bytes), folder) == "timed out"

    def test_the_command_writes_tsv_and_json_and_prints_medians(
        self, tmp_path: Path, stand_in: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "out"
        options = ["grid", "--shape", "tiny", "--cores", "1", "2", "--concurrency", "4", "--repeats", "1"]
        assert main([*options, "--out", str(out), "--command", " ".join(stand_in)]) == 0
        (tsv,) = out.glob("s3_upload_benchmark_????????_??????.tsv")
        lines = [line.split("\t") for line in tsv.read_text().splitlines()]
        assert lines[0][:4] == ["cores", "threads", "elapsed time (h:m:s)", "maximum resident set size (mb)"]
        assert [line[:3] for line in lines[1:]] == [["1", "4", lines[1][2]], ["2", "4", lines[2][2]]]
        assert lines[1][2].startswith("00:00:")
        found = json.loads(tsv.with_suffix(".json").read_text())
        assert [row["repeat"] for row in found["rows"]] == [0, 1, 1]
        assert (found["seed"], found["shape"], found["folder"]["files"]) == (1, "tiny", TINY.files)
        assert [median["times"] for median in found["medians"]] == [1, 1]
        assert found["versions"]["aiobotocore"]
        assert "cores  concurrency  seconds" in capsys.readouterr().out

    def test_the_command_ends_with_1_where_an_upload_failed(
        self, tmp_path: Path, folder: Folder, stand_in: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("EXIT_CODE", "3")
        options = ["grid", "--local-path", folder.path, "--out", str(tmp_path)]
        assert main([*options, "--command", " ".join(stand_in)]) == 1
        (tsv,) = tmp_path.glob("*.tsv")
        line = tsv.read_text().splitlines()[1].split("\t")
        assert line[2:3] + line[5:6] + line[12:] == ["failed", "", "3", "exit code 3: what went wrong", ""]

    def test_smoke_counts_a_file_in_parts_too(self, stand_in: list[str]) -> None:
        assert smoke.run(stand_in) == 0
        assert smoke.run([sys.executable, "-c", "pass"]) == 1

    def test_medians_are_taken_of_times_only(self) -> None:
        row = Row(1, 4, 1, 3.0, 10, 9, 1.0, 5, 6_000_000, 6, 0)
        rows = [row, replace(row, seconds=1.0), replace(row, seconds=2.0), replace(row, repeat=0, seconds=99)]
        (found,) = medians([*rows, replace(row, seconds=0.1, failure="exit code 1")])
        assert (found.seconds, found.mb_per_s, found.times, found.failed) == (2.0, 3.0, 3, 1)
        assert table(rows).splitlines()[1].split()[:4] == ["1", "4", "2.00", "3.00"]


def test_a_real_endpoint_is_left_as_it_was_found(
    folder: Folder, stand_in: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from moto.server import ThreadedMotoServer

    for name, value in {"ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "s", "REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = EndpointDestination(f"http://{host}:{port}")
        client = endpoint._client
        client.create_bucket(Bucket="bucket")
        client.put_object(Bucket="bucket", Key="here/1x4-10/of others", Body=b"stays")
        client.create_multipart_upload(Bucket="bucket", Key="here/1x4-1/unfinished")
        (row,) = one_cell(folder, stand_in).run(endpoint, print)
        assert (row.failure, row.files, row.bytes, row.requests) == ("", folder.files, folder.bytes, None)
        left = client.list_objects_v2(Bucket="bucket")["Contents"]
        assert [entry["Key"] for entry in left] == ["here/1x4-10/of others"]
        assert "Uploads" not in client.list_multipart_uploads(Bucket="bucket")
        with pytest.raises(ValueError, match="whole bucket"):
            endpoint.received("bucket", "/")
        client.close()
    finally:
        server.stop()


def test_the_sink_hides_the_users_own_aws_settings(sink: SinkDestination, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "lab")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    found = sink.environment()
    assert not {"AWS_PROFILE", "HTTPS_PROXY"} & found.keys()
    assert found["AWS_CONFIG_FILE"] == os.devnull


def test_a_part_size_is_asked_of_builds_that_know_it_only(
    tmp_path: Path, folder: Folder, stand_in: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["grid", "--local-path", folder.path, "--out", str(tmp_path), "--part-sizes", "8", "16", "--repeats", "1"]
    assert main([*options, "--command", " ".join([sys.executable, "-c", "'print()'"])]) == 2
    assert "no option --part-size" in capsys.readouterr().err
    knows = tmp_path / "knows.py"
    knows.write_text("import sys\nif '--help' in sys.argv: sys.exit(print('--part-size'))\n" + STAND_IN)
    options += ["--cores", "1", "--concurrency", "2"]
    assert main([*options, "--command", " ".join([sys.executable, str(knows)])]) == 0
    (found,) = tmp_path.glob("*.json")
    assert [median["part_size_mib"] for median in json.loads(found.read_text())["medians"]] == [8, 16]
    assert sorted(path.name[-9:] for path in tmp_path.glob("*.[ps][nv]g")) == [
        "_heat.png",
        "_heat.svg",
        "lines.png",
        "lines.svg",
    ]
