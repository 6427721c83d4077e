"""What S3 holds of a run is compared as it is listed, and asked for a few objects at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from typing import cast

import pytest

from async_s3_upload.transfer.stores import inspect
from async_s3_upload.transfer.stores.inspect import HEADS_AT_A_TIME, Expected, check_keys, compare_with_s3
from async_s3_upload.transfer.stores.retry import RetryPolicy
from async_s3_upload.transfer.stores.store import ObjectInfo, ObjectStore, Rejected, Transient

SAME = Expected(1, "e")


class Listed:
    """Objects, of which the listing shows some; it breaks off once after so many, and then shows others."""

    def __init__(self, listed: Sequence[ObjectInfo], first: Sequence[ObjectInfo] | None = None) -> None:
        self.attempts = [listed] if first is None else [first, listed]
        self.there = {info.key: info for info in listed}
        self.asked: list[str] = []
        self.at_once = 0
        self.most_at_once = 0
        self.refused: Collection[str] = ()

    async def refresh(self) -> None:
        pass

    async def list_objects(self, _bucket: str, _prefix: str) -> AsyncIterator[ObjectInfo]:
        listed = self.attempts.pop(0)
        for info in listed:
            yield info
        if self.attempts:
            raise Transient("the connection broke")

    async def head(self, _bucket: str, key: str) -> ObjectInfo | None:
        if key in self.refused:
            raise Rejected("no")
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        self.asked.append(key)
        return self.there.get(key)


def store(listed: Listed) -> ObjectStore:
    return cast("ObjectStore", listed)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect, "_POLICY", RetryPolicy(attempts=3, base_s=0.0, cap_s=0.0))


async def test_each_way_in_which_s3_may_differ_is_told() -> None:
    listed = Listed([ObjectInfo("p/same", 1, "e"), ObjectInfo("p/other", 1, "f"), ObjectInfo("p/extra", 9, "x")])
    expected = dict.fromkeys(["p/same", "p/other", "p/lost"], SAME)
    found = await compare_with_s3(store(listed), "b", "p/", expected)
    assert (found.missing, list(found.different), found.extra) == (["p/lost"], ["p/other"], ["p/extra"])
    assert listed.asked == ["p/lost"]


async def test_a_listing_that_breaks_off_counts_no_more() -> None:
    whole = [ObjectInfo("p/a", 1, "e"), ObjectInfo("p/b", 1, "e"), ObjectInfo("p/x", 1, "e")]
    broken = [ObjectInfo("p/a", 1, "old"), ObjectInfo("p/gone", 1, "e"), ObjectInfo("p/y", 1, "e")]
    expected = dict.fromkeys(["p/a", "p/b", "p/gone"], SAME)
    found = await compare_with_s3(store(Listed(whole, broken)), "b", "p/", expected)
    assert (found.missing, found.different, found.extra) == (["p/gone"], {}, ["p/x"])


async def test_however_many_objects_are_missing_a_few_are_asked_for_at_a_time() -> None:
    keys = [f"p/{number}" for number in range(5 * HEADS_AT_A_TIME)]
    listed = Listed([])
    tasks = len(asyncio.all_tasks())
    asking = asyncio.create_task(check_keys(store(listed), "b", dict.fromkeys(keys, SAME), keys))
    most = 0
    while not asking.done():
        most = max(most, len(asyncio.all_tasks()) - tasks - 1)
        await asyncio.sleep(0)
    assert sorted((await asking).missing) == sorted(listed.asked) == sorted(keys)
    assert (listed.most_at_once, most) == (HEADS_AT_A_TIME, HEADS_AT_A_TIME)


async def test_a_refusal_ends_the_asking_and_leaves_no_task_behind() -> None:
    keys = [f"p/{number}" for number in range(5 * HEADS_AT_A_TIME)]
    listed = Listed([])
    listed.refused = {keys[3]}
    before = asyncio.all_tasks()
    with pytest.raises(Rejected):
        await check_keys(store(listed), "b", dict.fromkeys(keys, SAME), keys)
    assert asyncio.all_tasks() == before
