"""Compares what S3 holds with a manifest: by listing, and by the checksums that S3 keeps."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator

from async_s3_upload.cli.verify.report import Finding, VerifiedRun
from async_s3_upload.state.manifest_reading import Manifest
from async_s3_upload.state.records import split_name
from async_s3_upload.text import plural
from async_s3_upload.transfer.stores.inspect import Expected, difference, each, head, list_all
from async_s3_upload.transfer.stores.store import ObjectInfo, ObjectStore

_PLAIN = re.compile(r"[ -\[\]-~]*")
"""Keys that every server lists as they are; some list a backslash otherwise."""
MISSING = "there is no such object"


class ManifestCheck:
    """Checks one run. What is found is in ``missing``, ``different`` and ``unproved``, by key, and in ``extra``.

    ``own`` are keys that are not extra though the manifest does not have them: its own. Beyond the manifest it holds
    some 50 bytes for each object that was not seen yet. Methods that ask raise StoreError where S3 cannot be asked.
    """

    def __init__(self, store: ObjectStore, bucket: str, manifest: Manifest, own: Collection[str]) -> None:
        self._store = store
        self._bucket = bucket
        self._manifest = manifest
        self._own = own
        self._unseen: dict[str, set[str]] = {}
        self.missing: dict[str, str] = {}
        self.different: dict[str, str] = {}
        self.unproved: dict[str, str] = {}
        self.extra: dict[str, None] = {}
        self.markers_there: set[str] = set()

    async def ask_listing(self, at_a_time: int) -> None:
        """List everything under the prefix: presence, sizes and ETags."""
        prefix = self._manifest.prefix + "/" if self._manifest.prefix else ""
        await list_all(self._store, self._bucket, prefix, self._begin)
        left = [folder + base for folder, bases in self._unseen.items() for base in bases]
        self._unseen = {}
        self.missing = {key: MISSING for key in left if _PLAIN.fullmatch(key)}
        odd = [key for key in left if key not in self.missing]
        await each(odd, self._ask_for_one, at_a_time)

    def _begin(self) -> Callable[[ObjectInfo], None]:
        self._unseen = {folder: set(bases) for folder, bases, _ in self._manifest.records.folders()}
        self.different, self.extra, self.markers_there = {}, {}, set()
        markers = frozenset(self._manifest.markers)

        def take(found: ObjectInfo) -> None:
            folder, base = split_name(found.key)
            bases = self._unseen.get(folder, ())
            if base in bases:
                assert isinstance(bases, set)
                bases.remove(base)
                self._compare(found)
            elif found.key in markers:
                self.markers_there.add(found.key)
            elif found.key not in self._own and found.key not in self._manifest.records:
                self.extra[found.key] = None

        return take

    def _compare(self, found: ObjectInfo) -> None:
        record = self._manifest.records[found.key]
        text = difference(Expected(record.size, record.etag), found)
        if text is not None:
            self.different[found.key] = text

    async def _ask_for_one(self, key: str) -> None:
        """Ask for an object whose name a server may list otherwise."""
        found = await head(self._store, self._bucket, key)
        if found is None:
            self.missing[key] = MISSING
            return
        self._compare(found)
        self.extra.pop(key.replace("\\", "/"), None)

    async def ask_checksums(self, at_a_time: int) -> None:
        """Compare the CRC64NVME that S3 keeps of each object that is there with the manifest's."""
        await each(self._with_crc(), self._compare_checksum, at_a_time)

    def _with_crc(self) -> Iterator[str]:
        records = self._manifest.records
        return (key for key in records if key not in self.missing and records[key].crc64nvme is not None)

    async def _compare_checksum(self, key: str) -> None:
        record, found = self._manifest.records[key], await head(self._store, self._bucket, key)
        if found is None:
            self.different.pop(key, None)
            self.missing[key] = MISSING
        elif record.size is not None and found.size != record.size:
            self._compare(found)
        elif found.crc64nvme is None:
            if key not in self.different:
                self.unproved[key] = "S3 keeps no CRC64NVME of it; size and ETag are as in the manifest"
        elif found.crc64nvme == record.crc64nvme:
            self.different.pop(key, None)  # the same bytes under another ETag
        else:
            self.different[key] = (
                f"its bytes differ: CRC64NVME {found.crc64nvme} in S3, {record.crc64nvme} in the manifest"
            )

    def fill(self, row: VerifiedRun) -> None:
        """Write what was found into a row."""
        row.missing, row.different, row.unproved = (
            [Finding("", key, found[key]) for key in sorted(found)]
            for found in (self.missing, self.different, self.unproved)
        )
        row.extra = sorted(self.extra)
        start = len(self._manifest.prefix) + 1 if self._manifest.prefix else 0
        for there, what in ((True, "in S3"), (False, "not in S3 (yet)")):
            names = [key[start:] for key in self._manifest.markers if (key in self.markers_there) == there]
            if names:
                row.notes.append(f"{plural(len(names), 'marker')} {what}: {', '.join(names)}")
