"""Which multipart uploads in progress nothing will go on with: a pure decision."""

import pytest

from async_s3_upload.cli.stale_uploads import DAY_S, Destination, Reason, abort_stale, judge, look
from async_s3_upload.state.known_runs import Protection
from async_s3_upload.transfer.stores.store import ListedUpload
from tests.contract.memory_store import DEFAULTS, MemoryStore

NOW = 100 * DAY_S
GUARDED = Protection({"needed"}, {"runs/run_1/planned"}, {"damaged"}, ())
UNDER_RUNS = Destination("b", "/runs/", known_runs_only=False)
AT_ROOT = Destination("b", "/", known_runs_only=True)


@pytest.mark.parametrize(
    ("key", "upload_id", "days", "reason"),
    [
        ("runs/run_1/a", "x", 7.0, "stale"),
        ("runs/run_1/a", "x", 6.9, "young"),
        ("runs/run_1/a", "needed", 99.0, "journal"),
        ("runs/run_1/planned", "x", 99.0, "journal"),
        ("runs/damaged/a", "x", 99.0, "unreadable_journal"),
        ("runs/damaged_not/a", "x", 99.0, "stale"),
        ("runs/damaged", "x", 99.0, "stale"),
        ("runs/unknown/a", "x", 99.0, "stale"),
    ],
)
def test_under_a_path_of_ours_all_is_ours(key: str, upload_id: str, days: float, reason: Reason) -> None:
    upload = ListedUpload(key, upload_id, NOW - days * DAY_S)
    assert judge(upload, UNDER_RUNS, {"run_1"}, GUARDED, 7 * DAY_S, NOW) == reason


@pytest.mark.parametrize(
    ("key", "reason"),
    [("run_1/a", "stale"), ("run_10/a", "not_ours"), ("run_1", "not_ours"), ("damaged/a", "unreadable_journal")],
)
def test_at_the_root_only_remembered_runs_are_ours(key: str, reason: Reason) -> None:
    assert judge(ListedUpload(key, "x", 0.0), AT_ROOT, {"run_1", "damaged"}, GUARDED, 7 * DAY_S, NOW) == reason


async def test_what_one_of_two_destinations_claims_is_listed_once(tmp_path: object) -> None:
    store = MemoryStore("b")
    async with store:
        for key in ("runs/run_1/a", "else/b"):
            await store.create_multipart("b", key, checksum=False, settings=DEFAULTS)
        uploads, problems = await look(store, [AT_ROOT, UNDER_RUNS], str(tmp_path), 0.0, 1e12)
        await abort_stale(store, uploads)

    assert problems == []
    assert {upload.key: (upload.reason, upload.action) for upload in uploads} == {
        "runs/run_1/a": ("stale", "aborted"),
        "else/b": ("not_ours", "kept"),
    }
    assert [upload.key for upload in store.uploads.values()] == ["else/b"]


async def test_a_bucket_that_cannot_be_listed_does_not_stop_the_others(tmp_path: object) -> None:
    store = MemoryStore("b")
    gone = Destination("gone", "runs", known_runs_only=False)
    async with store:
        await store.create_multipart("b", "runs/run_1/a", checksum=False, settings=DEFAULTS)
        uploads, problems = await look(store, [gone, UNDER_RUNS], str(tmp_path), 0.0, 1e12)

    assert [upload.key for upload in uploads] == ["runs/run_1/a"]
    assert len(problems) == 1
    assert problems[0].startswith("bucket gone: multipart uploads cannot be listed")
