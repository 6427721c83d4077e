"""Watches a bucket while a run goes up: is a marker ever there before all the rest is?"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from .s3requests import Seen
from .s3server import ObjectSeen, S3Server

_WRITES = ("PutObject", "CompleteMultipartUpload")
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Early:
    """A moment at which markers lay in the bucket too early; names are relative to the run."""

    markers: tuple[str, ...]
    missing: tuple[str, ...]
    old: tuple[str, ...]


class MarkerWatcher:
    """Polls what lies below ``<prefix>/`` from a thread of its own, for the time of `with`.

    Of a poll, the markers are looked for first and the rest of the run is listed then: what is missing in that listing
    was missing while the marker was there. Polls that the server does not answer count as none.

    No marker may be there before all that is no marker is, and none of ``last`` before all the rest, markers too.
    """

    def __init__(
        self, server: S3Server, bucket: str, prefix: str, markers: Collection[str], last: Collection[str] = ()
    ) -> None:
        self._client = server.client()
        self._server = server
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/"
        self._markers = frozenset(markers) | frozenset(last)
        self._last_markers = frozenset(last)
        self._moments: list[tuple[tuple[str, ...], dict[str, ObjectSeen]]] = []
        self._begun = self._polls = self._last = 0
        self._stopped = threading.Event()
        self._polled = threading.Condition()
        self._thread = threading.Thread(target=self._watch, name="marker-watcher", daemon=True)

    def __enter__(self) -> MarkerWatcher:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join(30)

    @property
    def polls(self) -> int:
        """How many polls were answered."""
        return self._polls

    def look(self, timeout: float = 30) -> None:
        """Wait until a poll that began after this call was answered. TimeoutError if none is."""
        with self._polled:
            begun = self._begun
            if not self._polled.wait_for(lambda: self._last > begun, timeout):
                raise TimeoutError("no poll was answered")

    def early(self, run: Path, *, late: Collection[str] = ()) -> list[Early]:
        """Return the moments at which a marker was there before its time, or beside a file that is another one now.

        To be called when the folder ``run`` and what is uploaded of it are final. ``late`` are files (relative) that
        the instrument wrote after the marker.
        """
        final = self._listed()
        sizes = {name: path.stat().st_size for name, path in _files(run) if name not in late}
        found = []
        for markers, objects in self._moments:
            may_lack = self._last_markers if self._last_markers & set(markers) else self._markers
            wanted = [(name, size) for name, size in sizes.items() if name not in may_lack]
            missing = tuple(name for name, _ in wanted if name not in objects)
            old = tuple(
                name
                for name, size in wanted
                if name in objects and (objects[name].size != size or objects[name] != final.get(name))
            )
            if missing or old:
                found.append(Early(markers, missing, old))
        return found

    def differing(self, run: Path) -> list[str]:
        """Return the names of files that lie in the bucket otherwise than in the folder, or only in one of them."""
        here, there = dict(_files(run)), self._listed()
        return sorted(
            (here.keys() ^ there.keys())
            | {name for name in here.keys() & there.keys() if self._body(name) != here[name].read_bytes()}
        )

    def _watch(self) -> None:
        while not self._stopped.is_set():
            with self._polled:
                self._begun += 1
                number = self._begun
            try:
                markers = tuple(sorted(self._markers & self._root().keys()))
                moment = (markers, self._listed()) if markers else None
            except (BotoCoreError, ClientError):
                moment, answered = None, False
            else:
                answered = True
            if moment is not None and (not self._moments or self._moments[-1] != moment):
                self._moments.append(moment)
            if answered:
                with self._polled:
                    self._polls, self._last = self._polls + 1, number
                    self._polled.notify_all()
            self._stopped.wait(_POLL_SECONDS)

    def _root(self) -> dict[str, ObjectSeen]:
        return self._list(Delimiter="/")

    def _listed(self) -> dict[str, ObjectSeen]:
        return self._list()

    def _list(self, **keys: str) -> dict[str, ObjectSeen]:
        pages: Iterable[Any] = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix, **keys
        )
        return {
            entry["Key"].removeprefix(self._prefix): ObjectSeen(entry["Size"], entry["ETag"].strip('"'))
            for page in pages
            for entry in page.get("Contents", [])
        }

    def _body(self, name: str) -> bytes:
        return self._server.body(self._bucket, self._prefix + name)


def writes_after_marker(seen: Sequence[Seen], markers: Collection[str]) -> list[str]:
    """Return the keys of objects that a fault proxy saw being made after the first marker was, markers left out.

    Unlike a watcher it misses nothing, but it takes a proxy, and knows nothing of files that were never sent.
    """
    keys = [request.key for request in seen if request.operation in _WRITES and request.status == 200]
    is_marker = [key.rpartition("/")[2] in markers for key in keys]
    first = is_marker.index(True) if True in is_marker else len(keys)
    return [key for key, marker in zip(keys[first:], is_marker[first:], strict=True) if not marker]


def _files(folder: Path) -> list[tuple[str, Path]]:
    return [(path.relative_to(folder).as_posix(), path) for path in sorted(folder.rglob("*")) if path.is_file()]
