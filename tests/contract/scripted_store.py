"""``ScriptedStore``: wraps any ObjectStore and lets chosen calls fail, lose their answers, wait or hang."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self, TypeAlias, TypeVar

from async_s3_upload.transfer.messages import ObjectSettings
from async_s3_upload.transfer.stores.store import (
    Body,
    ListedPart,
    ListedUpload,
    ObjectInfo,
    ObjectStore,
    StoreError,
    Transient,
    UploadedPart,
)

T = TypeVar("T")
DEADLINE_S = 20.0


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the store. ``name`` is the method's; ``part`` is the part's number in ``upload_part``."""

    name: str
    key: str = ""
    part: int | None = None


class Act(Protocol):
    """What becomes of a call; ``proceed`` is the call of the store behind."""

    async def act(self, proceed: Callable[[], Awaitable[T]]) -> T: ...


@dataclass(frozen=True, slots=True)
class Ok:
    """The call goes through."""

    async def act(self, proceed: Callable[[], Awaitable[T]]) -> T:
        return await proceed()


@dataclass(frozen=True, slots=True)
class Fail:
    """The call raises ``error`` before it takes effect, or ``after`` it did: then its answer is lost."""

    error: Exception = field(default_factory=lambda: Transient("scripted"))
    after: bool = False

    async def act(self, proceed: Callable[[], Awaitable[T]]) -> T:
        if self.after:
            await proceed()
        raise type(self.error)(*self.error.args)


@dataclass(frozen=True, slots=True)
class Hang:
    """The call has no effect and never ends."""

    async def act(self, proceed: Callable[[], Awaitable[T]]) -> T:
        await asyncio.Event().wait()
        return await proceed()


@dataclass(frozen=True, slots=True)
class Hold:
    """The call waits for ``gate`` and then goes through."""

    gate: asyncio.Event

    async def act(self, proceed: Callable[[], Awaitable[T]]) -> T:
        await self.gate.wait()
        return await proceed()


@dataclass(frozen=True, slots=True)
class Do:
    """Run ``effect`` (say, on the local file) and let the call go through."""

    effect: Callable[[], None]

    async def act(self, proceed: Callable[[], Awaitable[T]]) -> T:
        self.effect()
        return await proceed()


Match: TypeAlias = Callable[[Call], bool]


@dataclass(slots=True, eq=False)
class Rule:
    """Do ``act`` with matching calls: not with the first ``skip``, at most ``times`` (None: always).

    ``match`` is a method's name, "" for any call, or a function.
    """

    match: str | Match
    act: Act
    times: int | None = 1
    skip: int = 0
    _matched: int = 0
    _taken: int = 0

    def takes(self, call: Call) -> bool:
        """Say whether this rule handles the call, and count it."""
        matches = self.match in ("", call.name) if isinstance(self.match, str) else self.match(call)
        if not matches:
            return False
        self._matched += 1
        if self._matched <= self.skip or (self.times is not None and self._taken >= self.times):
            return False
        self._taken += 1
        return True


_LETTERS: dict[str, Act] = {".": Ok(), "E": Fail(), "L": Fail(after=True), "H": Hang()}


class ScriptedStore:
    """Passes calls on to ``inner`` unless the script says otherwise.

    A script is a string with a letter a call, whatever call it is (``.`` ok, ``E`` Transient error before the
    call takes effect, ``L`` the same after it took effect, so its answer is lost, ``H`` hang; ok after the
    end), or rules, of which the first that takes a call decides. ``calls`` are those begun, in order; to
    refresh is no call.
    """

    streams = False

    def __init__(self, inner: ObjectStore, script: str | Sequence[Rule] = "") -> None:
        self.inner = inner
        self.calls: list[Call] = []
        self.ended = 0
        self._letters = iter(script) if isinstance(script, str) else iter("")
        self._rules = () if isinstance(script, str) else tuple(script)
        self._changed = asyncio.Condition()

    def count(self, name: str) -> int:
        """Return how many calls of that name were begun."""
        return sum(call.name == name for call in self.calls)

    async def wait_for(self, name: str, times: int = 1) -> None:
        """Return once so many calls of that name were begun; TimeoutError if that does not happen soon."""
        async with asyncio.timeout(DEADLINE_S), self._changed:
            await self._changed.wait_for(lambda: self.count(name) >= times)

    async def __aenter__(self) -> Self:
        await self.inner.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.inner.__aexit__(kind, error, trace)

    async def refresh(self) -> None:
        await self.inner.refresh()

    async def check_bucket(self, bucket: str) -> None:
        await self._do(Call("check_bucket"), lambda: self.inner.check_bucket(bucket))

    async def put_object(
        self, bucket: str, key: str, body: Body, crc64nvme: str | None, settings: ObjectSettings
    ) -> str:
        return await self._do(
            Call("put_object", key), lambda: self.inner.put_object(bucket, key, body, crc64nvme, settings)
        )

    async def create_multipart(self, bucket: str, key: str, *, checksum: bool, settings: ObjectSettings) -> str:
        return await self._do(
            Call("create_multipart", key),
            lambda: self.inner.create_multipart(bucket, key, checksum=checksum, settings=settings),
        )

    async def upload_part(
        self, bucket: str, key: str, upload_id: str, number: int, body: Body, crc64nvme: str | None
    ) -> str:
        return await self._do(
            Call("upload_part", key, number),
            lambda: self.inner.upload_part(bucket, key, upload_id, number, body, crc64nvme),
        )

    async def complete_multipart(
        self, bucket: str, key: str, upload_id: str, parts: Sequence[UploadedPart], crc64nvme: str | None
    ) -> str:
        return await self._do(
            Call("complete_multipart", key),
            lambda: self.inner.complete_multipart(bucket, key, upload_id, parts, crc64nvme),
        )

    async def abort_multipart(self, bucket: str, key: str, upload_id: str) -> None:
        await self._do(Call("abort_multipart", key), lambda: self.inner.abort_multipart(bucket, key, upload_id))

    async def head(self, bucket: str, key: str) -> ObjectInfo | None:
        return await self._do(Call("head", key), lambda: self.inner.head(bucket, key))

    async def get_object(self, bucket: str, key: str) -> AsyncGenerator[bytes, None]:
        await self._do(Call("get_object", key), _nothing)
        async for piece in self.inner.get_object(bucket, key):
            yield piece

    async def list_parts(self, bucket: str, key: str, upload_id: str) -> list[ListedPart]:
        return await self._do(Call("list_parts", key), lambda: self.inner.list_parts(bucket, key, upload_id))

    async def list_uploads(self, bucket: str, prefix: str) -> AsyncIterator[ListedUpload]:
        await self._do(Call("list_uploads", prefix), _nothing)
        async for entry in self.inner.list_uploads(bucket, prefix):
            yield entry

    async def list_objects(self, bucket: str, prefix: str) -> AsyncIterator[ObjectInfo]:
        await self._do(Call("list_objects", prefix), _nothing)
        async for entry in self.inner.list_objects(bucket, prefix):
            yield entry

    async def _do(self, call: Call, proceed: Callable[[], Awaitable[T]]) -> T:
        act = self._act_for(call)
        self.calls.append(call)
        async with self._changed:
            self._changed.notify_all()
        try:
            return await act.act(proceed)
        finally:
            self.ended += 1

    def _act_for(self, call: Call) -> Act:
        letter = next(self._letters, None)
        if letter is not None:
            return _LETTERS[letter]
        return next((rule.act for rule in self._rules if rule.takes(call)), Ok())


async def _nothing() -> None:
    return None


def denied(error: StoreError, name: str = "") -> Rule:
    """Return a rule that refuses every call of that name, whatever its key."""
    return Rule(name, Fail(error), times=None)
