"""What a listing and the kept checksums tell about a run, held against its manifest."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from async_s3_upload.cli.verify.manifest_check import ManifestCheck
from async_s3_upload.cli.verify.report import VerifiedRun
from async_s3_upload.state.manifest_reading import Manifest
from async_s3_upload.state.records import FileRecord
from async_s3_upload.transfer.engine import checksum
from async_s3_upload.transfer.stores.store import ObjectInfo, Transient
from tests.contract.memory_store import DEFAULTS, MemoryStore
from tests.contract.scripted_store import Fail, Rule, ScriptedStore

P = "lab/RUN"
FILES = {f"{P}/a": b"aaa", f"{P}/Data/b\\c": b"bb", f"{P}/Data/d": b"", f"{P}/ü\t": b"tab"}
MARKERS = [f"{P}/CopyComplete.txt", f"{P}/RTAComplete.txt"]
OWN = [f"{P}/RUN.manifest.tsv", f"{P}/RUN.manifest.json"]


def crc(body: bytes) -> str:
    return checksum.as_header(checksum.crc_of(body))


async def put(store: MemoryStore, key: str, body: bytes, *, kept: bool = True) -> str:
    return await store.put_object("b", key, body, crc(body) if kept else None, DEFAULTS)


class SlashStore(MemoryStore):
    """Lists a backslash as a slash, and a listing breaks off once in its middle, after what is not there any more."""

    broken = True

    async def list_objects(self, bucket: str, prefix: str) -> AsyncIterator[ObjectInfo]:
        if self.broken:
            self.broken = False
            for key in (f"{P}/a", f"{P}/was extra"):
                yield ObjectInfo(key, 99, "other")
            raise Transient("cut off")
        async for found in super().list_objects(bucket, prefix):
            yield ObjectInfo(found.key.replace("\\", "/"), found.size, found.etag)


@pytest.fixture(params=[MemoryStore, SlashStore])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[MemoryStore]:
    kind: type[MemoryStore] = request.param
    async with kind("b") as opened:
        yield opened


async def filled(store: MemoryStore, *, kept: bool = True) -> Manifest:
    """Put all files and return their manifest."""
    manifest = Manifest("b", P, list(MARKERS))
    for key, body in FILES.items():
        manifest.add(key, len(body), crc(body), await put(store, key, body, kept=kept))
    return manifest


async def checked(store: MemoryStore | ScriptedStore, manifest: Manifest, *, deep: bool = False) -> VerifiedRun:
    check = ManifestCheck(store, "b", manifest, OWN)
    await check.ask_listing(3)
    if deep:
        await check.ask_checksums(3)
    row = VerifiedRun("RUN", "", "b", "lab", "deep" if deep else "quick")
    check.fill(row)
    return row


@pytest.mark.parametrize("deep", [False, True])
async def test_a_run_as_it_was_sent_has_no_findings(store: MemoryStore, deep: bool) -> None:
    manifest = await filled(store)
    for key in [*OWN, MARKERS[0]]:
        await put(store, key, b"x")
    row = await checked(store, manifest, deep=deep)
    assert (row.missing, row.different, row.unproved, row.extra) == ([], [], [], [])
    assert row.notes == ["1 marker in S3: CopyComplete.txt", "1 marker not in S3 (yet): RTAComplete.txt"]
    assert store.requests["head"] == isinstance(store, SlashStore) + (4 if deep else 0)


async def test_what_is_missing_different_or_extra_is_named(store: MemoryStore) -> None:
    manifest = await filled(store)
    del store.objects["b"][f"{P}/Data/d"]
    del store.objects["b"][f"{P}/Data/b\\c"]
    await put(store, f"{P}/a", b"AAA")
    await put(store, f"{P}/ü\t", b"longer")
    await put(store, f"{P}/new", b"x")
    row = await checked(store, manifest)
    assert [found.key for found in row.missing] == [f"{P}/Data/b\\c", f"{P}/Data/d"]
    assert [found.key for found in row.different] == [f"{P}/a", f"{P}/ü\t"]
    assert "ETag" in row.different[0].detail
    assert "6 bytes" in row.different[1].detail
    assert row.extra == [f"{P}/new"]


async def test_other_bytes_under_the_same_etag_are_found_by_deep_alone(store: MemoryStore) -> None:
    manifest = await filled(store)
    manifest.records[f"{P}/a"] = FileRecord(store.objects["b"][f"{P}/a"].etag, 3, 0, crc(b"AAA"))
    assert (await checked(store, manifest)).different == []
    (found,) = (await checked(store, manifest, deep=True)).different
    assert found.key == f"{P}/a"
    assert found.detail == f"its bytes differ: CRC64NVME {crc(b'aaa')} in S3, {crc(b'AAA')} in the manifest"


async def test_the_same_bytes_under_another_etag_are_right_for_deep(store: MemoryStore) -> None:
    manifest = await filled(store)
    await put(store, f"{P}/a", b"aaa")
    assert [found.key for found in (await checked(store, manifest)).different] == [f"{P}/a"]
    assert (await checked(store, manifest, deep=True)).different == []


async def test_what_s3_keeps_no_checksum_of_is_not_proved(store: MemoryStore) -> None:
    manifest = await filled(store, kept=False)
    row = await checked(store, manifest, deep=True)
    assert [found.key for found in row.unproved] == sorted(FILES)
    assert row.unproved[0].detail == "S3 keeps no CRC64NVME of it; size and ETag are as in the manifest"
    assert row.different == row.missing == []


async def test_a_file_of_which_only_the_etag_is_known_is_compared_by_that(store: MemoryStore) -> None:
    manifest = Manifest("b", P)
    manifest.add(f"{P}/a", None, None, await put(store, f"{P}/a", b"any"))
    assert (await checked(store, manifest, deep=True)).different == []
    await put(store, f"{P}/a", b"any")
    assert [found.key for found in (await checked(store, manifest, deep=True)).different] == [f"{P}/a"]


async def test_an_object_that_goes_meanwhile_is_missing(store: MemoryStore) -> None:
    manifest = await filled(store)
    check = ManifestCheck(store, "b", manifest, OWN)
    await check.ask_listing(2)
    del store.objects["b"][f"{P}/a"]
    await check.ask_checksums(2)
    assert list(check.missing) == [f"{P}/a"]


async def test_a_million_missing_files_cost_no_request_each() -> None:
    async with MemoryStore("b") as store:
        manifest = Manifest("b", P)
        for number in range(3000):
            manifest.add(f"{P}/{number}", 1, None, "etag")
        assert len((await checked(store, manifest)).missing) == 3000
        assert store.requests["head"] == 0


async def test_a_head_that_fails_once_is_made_again() -> None:
    inner = MemoryStore("b")
    async with ScriptedStore(inner, [Rule("head", Fail())]) as store:
        row = await checked(store, await filled(inner), deep=True)
        assert row.different == row.missing == row.unproved == []
