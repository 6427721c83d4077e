"""Comparing bytes with what S3 holds: what is the same, missing, different, and what nobody can tell."""

import asyncio
import hashlib
import os
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3_upload.transfer import parts
from async_s3_upload.transfer.engine import checksum
from async_s3_upload.transfer.engine.engine import Engine
from async_s3_upload.transfer.engine.etag import EtagSum, possible_part_sizes
from async_s3_upload.transfer.messages import Event, FileDone, FileFailed, FileItem, Limits, Mode
from async_s3_upload.transfer.plan import compare_job
from async_s3_upload.transfer.stores.retry import RetryPolicy
from async_s3_upload.transfer.stores.store import ObjectStore
from tests.contract.memory_store import DEFAULTS, MemoryStore, StoredObject
from tests.contract.scripted_store import ScriptedStore

BUCKET = "runs"
KEY = "run/file"
PART = 1000
BODY = random.Random(5).randbytes(4500)
CRC = checksum.as_header(checksum.crc_of(BODY))
OTHER = BODY[:-1] + bytes([BODY[-1] ^ 1])
READS = {"head"}


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_SIZE", PART)
    monkeypatch.setattr(parts, "MULTIPART_THRESHOLD", 2 * PART)


@pytest.fixture
def file(tmp_path: Path) -> FileItem:
    path = tmp_path / "file"
    path.write_bytes(BODY)
    found = path.stat()
    return FileItem(7, str(path), KEY, found.st_size, found.st_mtime_ns, found.st_ino, mode="compare")


def holding(*objects: StoredObject) -> MemoryStore:
    store = MemoryStore(BUCKET, min_part_size=PART)
    store.objects[BUCKET] = dict.fromkeys((KEY,), *objects) if objects else {}
    return store


def multipart_etag(body: bytes, step: int) -> str:
    digests = [hashlib.md5(body[start : start + step]).digest() for start in range(0, len(body), step)]
    return f"{hashlib.md5(b''.join(digests)).hexdigest()}-{len(digests)}"


async def compared(store: ObjectStore, item: FileItem, limits: Limits | None = None) -> FileDone | FileFailed:
    """Let an engine handle the file; returns its outcome."""
    events: list[Event] = []
    async with store:
        engine = Engine(store, limits or Limits(), events.append, RetryPolicy(attempts=2, base_s=0.001, cap_s=0.001))
        engine.submit(BUCKET, item, DEFAULTS)
        engine.close()
        async with asyncio.timeout(20):
            await engine.run()
    (outcome,) = (event for event in events if isinstance(event, (FileDone, FileFailed)))
    assert outcome.number == item.number
    return outcome


async def test_the_same_checksum_is_the_same_whatever_the_etag(file: FileItem) -> None:
    store = holding(StoredObject(BODY, "opaque", CRC, 0))

    outcome = await compared(store, file)

    assert outcome == FileDone(7, "opaque", len(BODY), file.mtime_ns, CRC, 0)
    assert set(store.requests) == READS


@pytest.mark.parametrize(
    ("stored", "kind", "said"),
    [
        (None, "missing", "no such object"),
        (StoredObject(BODY[:-1], "x", None, 0), "different", "4,499 bytes in S3"),
        (StoredObject(OTHER, "x", checksum.as_header(checksum.crc_of(OTHER)), 0), "different", "CRC64NVME"),
        (StoredObject(OTHER, hashlib.md5(OTHER).hexdigest(), None, 0), "different", "ETag"),
        (StoredObject(OTHER, multipart_etag(OTHER, PART), None, 5), "different", "in parts of 1,000 bytes"),
        (
            StoredObject(BODY, "opaque", None, 0),
            "unproved",
            "S3 keeps no CRC64NVME of it, and its ETag opaque is no MD5 sum",
        ),
        (StoredObject(BODY, multipart_etag(BODY, 700), None, 7), "unproved", "parts of unknown size"),
        (
            StoredObject(BODY, "0" * 32, None, 0, replace(DEFAULTS, server_side_encryption="aws:kms")),
            "unproved",
            "its ETag is no MD5 sum, since it is encrypted with a key of KMS or of the customer",
        ),
    ],
)
async def test_what_is_not_the_same_is_told_apart_and_nothing_is_sent(
    file: FileItem, stored: StoredObject | None, kind: str, said: str
) -> None:
    store = holding(*([stored] if stored else []))

    outcome = await compared(store, file)

    assert isinstance(outcome, FileFailed)
    assert outcome.kind == kind
    assert said in outcome.error
    assert set(store.requests) == READS


@pytest.mark.parametrize(
    ("etag", "recorded", "part_size"),
    [
        (hashlib.md5(BODY).hexdigest(), None, None),
        (hashlib.md5(BODY).hexdigest().upper(), None, None),
        (multipart_etag(BODY, PART), None, PART),
        (multipart_etag(BODY, PART), 700, PART),
        (multipart_etag(BODY, 700), 700, 700),
        (multipart_etag(BODY, 1499), 1499, 1499),
    ],
)
async def test_without_a_checksum_the_etag_proves_it(
    file: FileItem, etag: str, recorded: int | None, part_size: int | None
) -> None:
    outcome = await compared(holding(StoredObject(BODY, etag, None, 0)), replace(file, part_size=recorded))

    assert outcome == FileDone(7, etag, len(BODY), file.mtime_ns, CRC, 0, part_size)


@pytest.mark.parametrize("mode", ["probe", "compare"])
async def test_a_probe_sends_what_a_comparison_only_names(file: FileItem, mode: Mode) -> None:
    store = holding(StoredObject(OTHER, "x", checksum.as_header(checksum.crc_of(OTHER)), 0))

    outcome = await compared(store, replace(file, mode=mode))

    assert isinstance(outcome, FileDone if mode == "probe" else FileFailed)
    assert store.objects[BUCKET][KEY].body == (BODY if mode == "probe" else OTHER)


async def test_a_file_that_changed_since_it_was_listed_is_no_difference(file: FileItem) -> None:
    os.utime(file.path, ns=(1, 1))

    outcome = await compared(holding(StoredObject(BODY, "x", CRC, 0)), file)

    assert isinstance(outcome, FileFailed)
    assert outcome.kind == "changed"


async def test_a_server_that_does_not_answer_is_no_difference(file: FileItem) -> None:
    store = ScriptedStore(holding(StoredObject(BODY, "x", CRC, 0)), "HH")

    outcome = await compared(store, file, Limits(request_base_s=0.05, min_rate=10**9))

    assert isinstance(outcome, FileFailed)
    assert outcome.kind == "request"


async def test_reading_stays_within_the_byte_budget(file: FileItem) -> None:
    events: list[Event] = []
    async with holding(StoredObject(BODY, "x", CRC, 0)) as store:
        engine = Engine(store, Limits(memory_bytes=PART), events.append)
        for number in range(4):
            engine.submit(BUCKET, replace(file, number=number), DEFAULTS)
        engine.close()
        await engine.run()

    assert len(events) == 4
    assert all(isinstance(event, FileDone) for event in events)
    assert engine.memory.peak == PART


def test_a_job_of_comparisons_knows_the_recorded_part_sizes(file: FileItem) -> None:
    class Local:
        def __init__(self, name: str) -> None:
            self.name, self.size, self.mtime_ns, self.inode = name, 1, 2, 3

    job = compare_job(BUCKET, "run", "/seq/run", [Local("a"), Local("b")], {"b": 700})

    assert [(item.key, item.mode, item.part_size) for item in job.items] == [
        ("run/a", "compare", None),
        ("run/b", "compare", 700),
    ]


@given(st.binary(max_size=200), st.integers(1, 60), st.lists(st.integers(1, 50)))
def test_etags_do_not_depend_on_how_the_bytes_arrive(body: bytes, step: int, cuts: list[int]) -> None:
    whole, parted = EtagSum(None), EtagSum(step)
    rest = body
    for cut in [*cuts, len(body)]:
        piece, rest = rest[:cut], rest[cut:]
        whole.update(piece)
        parted.update(piece)

    assert whole.etag() == hashlib.md5(body).hexdigest()
    if body:
        assert parted.etag() == multipart_etag(body, step)


def test_the_part_size_follows_from_record_and_number_of_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    md5, mib = "0" * 32, parts.MiB
    huge = 100_000 * mib

    assert possible_part_sizes(md5, 20 * mib, 8 * mib) == [None]
    assert possible_part_sizes(f"{md5}-3", 20 * mib, None) == [8 * mib]
    assert possible_part_sizes(f"{md5}-3", 20 * mib, 7 * mib) == [7 * mib]
    assert possible_part_sizes(f"{md5}-3", 20 * mib, 5 * mib) == [8 * mib]
    assert possible_part_sizes(f"{md5}-4", 20 * mib, None) == []
    assert possible_part_sizes(f"{md5}-1", 0, 8 * mib) == [8 * mib]
    assert possible_part_sizes(f"{md5}-{-(-huge // (16 * mib))}", huge, None) == [16 * mib]
    assert possible_part_sizes(f"{md5}-{-(-huge // parts.part_size(huge))}", huge, None) == [parts.part_size(huge)]
    for no_md5 in ("opaque", md5[1:], f"{md5}-0", f"{md5}-x", f"{md5}-3-4", ""):
        assert possible_part_sizes(no_md5, 20 * mib, 8 * mib) == []
