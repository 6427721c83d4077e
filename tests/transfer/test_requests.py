"""The one way to the store: places in flight, time limits, retries, fresh credentials."""

import asyncio
import logging

import pytest

from async_s3_upload.transfer.engine import gate as gating
from async_s3_upload.transfer.engine.pacer import Pacer
from async_s3_upload.transfer.engine.requests import Requests
from async_s3_upload.transfer.messages import BandwidthGrant, BandwidthWanted, Limits
from async_s3_upload.transfer.stores.retry import RetryPolicy
from async_s3_upload.transfer.stores.store import ExpiredCredentials, Rejected, Throttled, Transient
from tests.contract.memory_store import DEFAULTS, MemoryStore
from tests.contract.scripted_store import Fail, Hold, Rule, ScriptedStore
from tests.transfer.sending import BUCKET, DEADLINE_S

AT_ONCE = RetryPolicy(attempts=4, base_s=0)


def requests_to(store: MemoryStore | ScriptedStore, concurrency: int = 4, base_s: float = 30.0) -> Requests:
    return Requests(store, Limits(concurrency=concurrency, request_base_s=base_s), AT_ONCE)


async def put(requests: Requests, key: str, *, limit_s: float = 0.0) -> str:
    return await requests.make(
        f"PUT {key}", lambda _: requests.store.put_object(BUCKET, key, b"x", None, DEFAULTS), limit_s=limit_s
    )


async def test_each_attempt_is_told_its_number_and_counted(memory: MemoryStore) -> None:
    requests = requests_to(memory)
    numbers = []

    async def call(number: int) -> str:
        numbers.append(number)
        if number < 3:
            raise Transient("again")
        return "done"

    async with memory:
        assert await requests.make("call", call) == "done"
    assert numbers == [1, 2, 3]
    assert requests.attempts == 3


async def test_a_refusal_is_not_repeated(memory: MemoryStore) -> None:
    store = ScriptedStore(memory, [Rule("put_object", Fail(Rejected("no")))])
    requests = requests_to(store)
    async with store:
        with pytest.raises(Rejected):
            await put(requests, "a")
    assert requests.attempts == 1


async def test_waiting_for_a_place_does_not_count_as_time_of_the_request(memory: MemoryStore) -> None:
    gate = asyncio.Event()
    store = ScriptedStore(memory, [Rule(lambda call: call.key == "slow", Hold(gate))])
    requests = requests_to(store, concurrency=1, base_s=0.05)
    async with asyncio.timeout(DEADLINE_S), store:
        slow = asyncio.create_task(put(requests, "slow", limit_s=DEADLINE_S))
        await store.wait_for("put_object")
        waits = asyncio.create_task(put(requests, "waits"))
        await asyncio.wait([waits], timeout=0.3)  # several times its limit
        assert not waits.done()
        gate.set()
        await asyncio.gather(slow, waits)
    assert requests.attempts == 2, "it timed out while it waited"


async def test_the_time_of_an_attempt_is_limited(memory: MemoryStore) -> None:
    store = ScriptedStore(memory, [Rule("put_object", Hold(asyncio.Event()), times=None)])
    requests = requests_to(store, base_s=0.01)
    async with asyncio.timeout(DEADLINE_S), store:
        with pytest.raises(Transient, match="no answer within"):
            await put(requests, "a")
    assert requests.attempts == 4


async def test_a_pause_between_attempts_holds_no_place(memory: MemoryStore) -> None:
    store = ScriptedStore(memory, [Rule(lambda call: call.key == "unlucky", Fail())])
    requests = Requests(store, Limits(concurrency=1), RetryPolicy(attempts=2, base_s=600.0, cap_s=600.0))
    async with asyncio.timeout(DEADLINE_S), store:
        unlucky = asyncio.create_task(put(requests, "unlucky"))
        await store.wait_for("put_object")
        await put(requests, "lucky")
        assert not unlucky.done()
        unlucky.cancel()
        await asyncio.gather(unlucky, return_exceptions=True)


async def test_being_throttled_halves_the_places_and_success_gives_them_back(
    memory: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gating, "HALVE_EVERY_S", 3600.0)
    store = ScriptedStore(memory, [Rule("put_object", Fail(Throttled("SlowDown")), times=6)])
    requests = requests_to(store, concurrency=8)
    async with asyncio.timeout(DEADLINE_S), store:
        await asyncio.gather(*(put(requests, str(number)) for number in range(8)))
        assert requests.gate.least == 4, "six refusals of one moment count once"
        for number in range(60):
            await put(requests, str(number))
    assert requests.gate.limit == 8


async def test_other_trouble_does_not_change_the_places(memory: MemoryStore) -> None:
    store = ScriptedStore(memory, "EEE")
    requests = requests_to(store, concurrency=8)
    async with store:
        await put(requests, "a")
    assert requests.gate.limit == requests.gate.least == 8


async def test_expired_credentials_are_refreshed_before_the_next_attempt(memory: MemoryStore) -> None:
    requests = requests_to(memory)
    async with memory:
        await put(requests, "before")
        memory.expire()
        await put(requests, "after")
        await put(requests, "later")
    assert memory.refreshes == 1
    assert requests.attempts == 4


async def test_credentials_that_stay_expired_fail_after_all_attempts(memory: MemoryStore) -> None:
    store = ScriptedStore(memory, [Rule("put_object", Fail(ExpiredCredentials("ExpiredToken")), times=None)])
    requests = requests_to(store)
    async with store:
        with pytest.raises(ExpiredCredentials):
            await put(requests, "a")
    assert requests.attempts == 4


async def test_fresh_credentials_that_hang_are_cut_off(memory: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Say, an instance role or an SSO server that does not answer."""

    async def hang() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(memory, "refresh", hang)
    requests = requests_to(memory, base_s=0.01)
    async with asyncio.timeout(5), memory:
        with pytest.raises(Transient, match="no answer within"):
            await put(requests, "a")


async def test_the_first_retry_is_told_quietly_the_next_ones_aloud(
    memory: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "async_s3_upload")
    store = ScriptedStore(memory, "EE.")
    async with store:
        await put(requests_to(store), "a")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("DEBUG", "PUT a: attempt 1 failed, trying again: scripted"),
        ("WARNING", "PUT a: attempt 2 failed, trying again: scripted"),
    ]


async def test_waiting_for_bandwidth_is_no_stall_and_retries_are_paid_too(memory: MemoryStore) -> None:
    asked = asyncio.Event()
    pacer = Pacer(lambda _: asked.set())
    requests = Requests(memory, Limits(request_base_s=0.05, min_rate=10**9), AT_ONCE, pacer)

    async def call(number: int) -> str:
        await pacer.take(1000)
        if number == 1:
            raise Transient("503")
        return "done"

    async with asyncio.timeout(DEADLINE_S), memory:
        making = asyncio.create_task(requests.make("PUT", call, size=1000))
        for attempt in (1, 2):
            await asked.wait()
            await asyncio.wait([making], timeout=0.3)  # several times the limit
            assert (making.done(), requests.attempts) == (False, attempt)
            asked.clear()
            pacer.granted(BandwidthGrant(1000, 1000))
        assert await making == "done"
    assert requests.attempts == 2


async def test_a_server_that_stalls_after_the_bytes_went_is_noticed(memory: MemoryStore) -> None:
    def lend(_: BandwidthWanted) -> None:
        asyncio.get_running_loop().call_soon(pacer.granted, BandwidthGrant(1000, 1000))

    pacer = Pacer(lend)
    requests = Requests(memory, Limits(request_base_s=0.05, min_rate=10**9), AT_ONCE, pacer)

    async def call(_: int) -> None:
        await pacer.take(1000)
        await asyncio.Event().wait()

    async with asyncio.timeout(DEADLINE_S), memory:
        with pytest.raises(Transient, match="no answer within"):
            await requests.make("PUT", call, size=1000)
    assert requests.attempts == 4


async def test_requests_without_a_body_do_not_wait_for_bandwidth(memory: MemoryStore) -> None:
    pacer = Pacer(lambda _: None)  # nothing is ever lent
    requests = Requests(memory, Limits(), AT_ONCE, pacer)
    async with asyncio.timeout(DEADLINE_S), memory, pacer.body(10**9):
        assert await requests.make("HEAD a", lambda _: memory.head(BUCKET, "a")) is None
