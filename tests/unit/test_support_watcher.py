"""The watcher of markers finds what it is there for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.proxy import FaultProxy
from tests.support.s3server import S3Server
from tests.support.watcher import Early, MarkerWatcher, writes_after_marker

MARKERS = {"CopyComplete.txt", "RTAComplete.txt"}
FILES = {"RunInfo.xml": b"<RunInfo/>", "Data/one.cbcl": b"1" * 100, "Data/two.cbcl": b"2" * 200}


class Bucket:
    """A run of three files and its marker, and a bucket to put them into one by one."""

    def __init__(self, server: S3Server, name: str, run: Path) -> None:
        self.server, self.name, self.run = server, name, run
        for path, content in {**FILES, "CopyComplete.txt": b""}.items():
            (run / path).parent.mkdir(parents=True, exist_ok=True)
            (run / path).write_bytes(content)

    def put(self, name: str, content: bytes | None = None, server: S3Server | None = None) -> None:
        body = (self.run / name).read_bytes() if content is None else content
        (server or self.server).client().put_object(Bucket=self.name, Key=f"runs/{self.run.name}/{name}", Body=body)

    def watcher(self, *last: str) -> MarkerWatcher:
        return MarkerWatcher(self.server, self.name, f"/runs/{self.run.name}", MARKERS, last)


@pytest.fixture
def bucket(moto_server: S3Server, bucket_name: Callable[..., str], tmp_path: Path) -> Bucket:
    return Bucket(moto_server, moto_server.make_bucket(bucket_name("watched")), tmp_path / "run_1")


def test_a_marker_after_all_the_rest_is_never_early(bucket: Bucket) -> None:
    with bucket.watcher() as watcher:
        for name in (*FILES, "CopyComplete.txt"):
            bucket.put(name)
            watcher.look()
    assert watcher.early(bucket.run) == []
    assert watcher.differing(bucket.run) == []
    assert watcher.polls >= 4


def test_a_marker_that_is_uploaded_first_is_early_until_the_last_file_is_there(bucket: Bucket) -> None:
    with bucket.watcher() as watcher:
        for name in ("CopyComplete.txt", *FILES):
            bucket.put(name)
            watcher.look()
    found = watcher.early(bucket.run)
    assert Early(("CopyComplete.txt",), ("Data/one.cbcl", "Data/two.cbcl", "RunInfo.xml"), ()) in found
    assert found[-1] == Early(("CopyComplete.txt",), ("Data/two.cbcl",), ())
    assert watcher.differing(bucket.run) == []


def test_the_last_marker_is_early_before_the_other_markers_and_those_are_not_before_it(bucket: Bucket) -> None:
    (bucket.run / "RTAComplete.txt").write_bytes(b" ")
    for first, second in (("RTAComplete.txt", "CopyComplete.txt"), ("CopyComplete.txt", "RTAComplete.txt")):
        with bucket.watcher("CopyComplete.txt") as watcher:
            for name in (*FILES, first):
                bucket.put(name)
            watcher.look()
            bucket.put(second)
            watcher.look()
        expected = [Early(("CopyComplete.txt",), ("RTAComplete.txt",), ())] if first == "CopyComplete.txt" else []
        assert watcher.early(bucket.run) == expected
        for name in (first, second):
            bucket.server.client().delete_object(Bucket=bucket.name, Key=f"runs/{bucket.run.name}/{name}")


@pytest.mark.parametrize("content", [b"2" * 150, b"x" * 200], ids=["another size", "the same size"])
def test_a_marker_beside_an_old_file_is_early(bucket: Bucket, content: bytes) -> None:
    with bucket.watcher() as watcher:
        for name in FILES:
            bucket.put(name)
        bucket.put("Data/two.cbcl", content)
        bucket.put("CopyComplete.txt")
        watcher.look()
        bucket.put("Data/two.cbcl")
    assert watcher.early(bucket.run)[0] == Early(("CopyComplete.txt",), (), ("Data/two.cbcl",))
    assert watcher.differing(bucket.run) == []


def test_what_the_instrument_wrote_after_the_marker_may_come_late(bucket: Bucket) -> None:
    with bucket.watcher() as watcher:
        for name in (*FILES, "CopyComplete.txt"):
            bucket.put(name)
        watcher.look()
        (bucket.run / "wash.log").write_bytes(b"washed")
        bucket.put("wash.log")
        watcher.look()
    assert watcher.early(bucket.run, late={"wash.log"}) == []
    assert watcher.early(bucket.run) == [Early(("CopyComplete.txt",), ("wash.log",), ())]


def test_files_that_are_missing_extra_or_others_in_the_end_are_named(bucket: Bucket) -> None:
    with bucket.watcher() as watcher:
        bucket.put("RunInfo.xml")
        bucket.put("Data/one.cbcl", b"0" * 100)
    (bucket.run / "RunInfo.xml").rename(bucket.run / "RunInfo.bak")
    assert watcher.differing(bucket.run) == [
        "CopyComplete.txt",
        "Data/one.cbcl",
        "Data/two.cbcl",
        "RunInfo.bak",
        "RunInfo.xml",
    ]


def test_another_run_is_not_looked_at(bucket: Bucket) -> None:
    with bucket.watcher() as watcher:
        bucket.server.client().put_object(Bucket=bucket.name, Key="runs/run_10/CopyComplete.txt", Body=b"")
        watcher.look()
    assert watcher.early(bucket.run) == []


def test_writes_after_a_marker_are_read_from_a_proxys_log(
    bucket: Bucket, proxy_for: Callable[..., tuple[FaultProxy, S3Server]]
) -> None:
    proxy, behind = proxy_for(bucket.server)
    for name in ("RunInfo.xml", "Data/one.cbcl"):
        bucket.put(name, server=behind)
    assert writes_after_marker(proxy.seen, MARKERS) == []
    for name in ("CopyComplete.txt", "Data/two.cbcl"):
        bucket.put(name, server=behind)
    assert writes_after_marker(proxy.seen, MARKERS) == ["runs/run_1/Data/two.cbcl"]
