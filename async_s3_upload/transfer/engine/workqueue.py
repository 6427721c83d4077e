"""What a worker has been given and has not begun; about half of it can be taken back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from async_s3_upload.transfer.engine.budget import ByteBudget
from async_s3_upload.transfer.engine.upload import MultipartUpload
from async_s3_upload.transfer.messages import FileItem, ObjectSettings
from async_s3_upload.transfer.parts import Part, is_multipart

REQUEST_BYTES = 128 * 1024
"""A request takes about as long as sending so many bytes more: small files are weighed by their number."""


@dataclass(frozen=True, slots=True)
class FileUnit:
    """A file to be begun."""

    bucket: str
    item: FileItem
    settings: ObjectSettings

    @property
    def bytes(self) -> int:
        """Bytes that are sent."""
        return self.item.size

    @property
    def weight(self) -> int:
        """About how long it takes, in bytes."""
        return self.bytes + REQUEST_BYTES


@dataclass(frozen=True, slots=True)
class PartUnit:
    """A part to be sent; None: the upload is to be ended, all its parts are settled."""

    upload: MultipartUpload
    part: Part | None

    @property
    def item(self) -> FileItem:
        """The file it is of."""
        return self.upload.item

    @property
    def bytes(self) -> int:
        """Bytes that are sent."""
        return self.part.length if self.part else 0

    @property
    def weight(self) -> int:
        """About how long it takes, in bytes."""
        return self.bytes + REQUEST_BYTES


Unit = FileUnit | PartUnit


class WorkQueue:
    """Files, and parts of files that are begun; parts come first, so few uploads are open at a time.

    Nothing is given out while what was given out before waits for ``memory``: it would be begun no earlier, but could
    no longer be taken back.
    """

    def __init__(self, memory: ByteBudget) -> None:
        self._memory = memory
        self._files: deque[FileUnit] = deque()
        self._parts: deque[PartUnit] = deque()
        self._available = asyncio.Semaphore(0)
        self._closed = False
        self._dropping = False

    def __bool__(self) -> bool:
        """Whether anything is queued."""
        return bool(self._parts or self._files)

    def put(self, unit: Unit) -> None:
        """Queue a unit, unless the queue was dropped: then its file was just begun."""
        if self._dropping:
            return
        if isinstance(unit, PartUnit):
            self._parts.append(unit)
        else:
            self._files.append(unit)
        self._available.release()

    async def get(self) -> Unit | None:
        """Return the next unit once there is one; None once there will be none."""
        while True:
            await self._available.acquire()
            if self._memory.crowded:
                await self._memory.nobody_waits()
            if self._parts:
                return self._parts.popleft()
            if self._files:
                return self._files.popleft()
            if self._closed:
                return None

    def close(self, readers: int) -> None:
        """Let each of so many readers end when the queue is empty."""
        self._closed = True
        for _ in range(readers):
            self._available.release()

    def drop(self) -> None:
        """Forget everything, and what may still be put."""
        self._dropping = True
        self._files.clear()
        self._parts.clear()

    def forget(self, gone: Callable[[int], bool]) -> None:
        """Forget the units of the files with these numbers."""
        self._files = deque(unit for unit in self._files if not gone(unit.item.number))
        self._parts = deque(unit for unit in self._parts if not gone(unit.item.number))

    def take_back(self, idle: int) -> list[Unit]:
        """Remove and return about half of what ``idle`` readers will not begin at once, whole files first.

        At least one unit is returned if there is any. What would come last is taken: the rest stays in its order.
        """
        units: list[Unit] = [*(unit for unit in self._parts if unit.part is not None), *self._files]
        spare = units[self._begun_at_once(units, idle) :]
        # whole files first: nothing has to be told to their former owner
        spare.sort(key=lambda unit: isinstance(unit, FileUnit))
        half = sum(unit.weight for unit in spare) / 2
        taken: list[Unit] = []
        weight = 0
        while spare and (not taken or weight + spare[-1].weight <= half):
            taken.append(spare.pop())
            weight += taken[-1].weight
        gone = {id(unit) for unit in taken}
        self._files = deque(unit for unit in self._files if id(unit) not in gone)
        self._parts = deque(unit for unit in self._parts if id(unit) not in gone)
        taken.reverse()
        return taken

    def _begun_at_once(self, units: list[Unit], idle: int) -> int:
        """Return how many of the units, in their order, find a reader and memory now."""
        free = 0 if self._memory.crowded else self._memory.free
        for place, unit in enumerate(units[:idle]):
            if isinstance(unit, PartUnit) or not is_multipart(unit.bytes):
                free -= unit.bytes
            if free < 0:
                return place
        return min(idle, len(units))
