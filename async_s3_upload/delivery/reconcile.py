"""Holds what is remembered of a run against what S3 has: after damage, before a run counts as completed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from async_s3_upload.runs.file_table import FileTable, LocalFile
from async_s3_upload.runs.scan import Scan
from async_s3_upload.state.records import FileRecord, Records, as_records, packed_state
from async_s3_upload.state.run_state import RunState
from async_s3_upload.text import plural, printable
from async_s3_upload.transfer.plan import key_for
from async_s3_upload.transfer.stores.inspect import (
    Differences,
    Expected,
    abort_uploads,
    check_keys,
    compare_with_s3,
    list_all,
    list_open_uploads,
)
from async_s3_upload.transfer.stores.store import AccessDenied, ListedUpload, ObjectInfo, ObjectStore, StoreError

log = logging.getLogger(__name__)


class Reconciler:
    """Asks S3 about one run. Every method may raise StoreError where S3 cannot be asked."""

    found: Scan
    """What the run folder held when it was last looked through."""

    def __init__(self, control: ObjectStore, bucket: str, prefix: str, state: RunState, found: Scan) -> None:
        """Take ``prefix`` as the start of the run's keys, without a slash at its end."""
        self._control = control
        self._bucket = bucket
        self._prefix = prefix
        self._state = state
        self.found = found

    def _key(self, name: str) -> str:
        return key_for(self._prefix, name)

    async def may_be_there(self, left: Sequence[LocalFile]) -> set[str]:
        """Something remembered was lost: return the names of files of which S3 has an object of that size.

        Uploads whose ids nobody knows any more are aborted.
        """
        prefix = self._prefix + "/"
        sizes = {f"{prefix}{file.name}": file.size for file in left}
        there: set[str] = set()

        def fresh() -> Callable[[ObjectInfo], None]:
            there.clear()
            return take

        def take(found: ObjectInfo) -> None:
            if sizes.get(found.key) == found.size:
                there.add(found.key.removeprefix(prefix))

        await list_all(self._control, self._bucket, prefix, fresh)
        log.info("%s: %s may be in S3 already, they are compared", printable(prefix), plural(len(there), "file"))
        known = {upload.upload_id for upload in self._state.uploads.values()}
        unknown = [
            (upload.key, upload.upload_id)
            for upload in await self._open_uploads(prefix)
            if upload.upload_id not in known
        ]
        await abort_uploads(self._control, self._bucket, unknown, lambda _key, _upload_id: None)
        return there

    async def abort_leftovers(self, left: Sequence[LocalFile]) -> None:
        """Abort uploads that are begun, of files that are not to be sent any more."""
        state = self._state
        begun = state.uploads.keys() | state.planned.keys()
        names = {name for file in left if (name := file.name) in begun} if begun else set()
        gone = {upload.upload_id: name for name, upload in state.uploads.items() if name not in names}
        uploads = [(state.uploads[name].key, upload_id) for upload_id, name in gone.items()]
        lost = [(key, name) for name, key in state.planned.items() if name not in names]
        for key, _ in lost:
            listed = await self._open_uploads(key)
            uploads += [(key, found.upload_id) for found in listed if found.key == key]

        def aborted(_key: str, upload_id: str) -> None:
            if upload_id in gone:
                state.upload_gone(gone[upload_id], upload_id)

        await abort_uploads(self._control, self._bucket, uploads, aborted)
        for _, name in lost:  # not before: what could not be aborted is looked for by the next start
            state.planned.pop(name)

    async def _open_uploads(self, prefix: str) -> list[ListedUpload]:
        """List uploads in progress; without the right to list them there are none to abort."""
        try:
            return await list_open_uploads(self._control, self._bucket, prefix)
        except AccessDenied as error:
            log.warning("%s: uploads left behind cannot be looked for: %s", printable(prefix), error)
            return []

    async def abort_strays(self) -> None:
        """Abort uploads of the run's keys: a request that was given up may have begun one afterwards."""
        try:
            found = await list_open_uploads(self._control, self._bucket, self._prefix + "/")
            begun = {upload.key for upload in found}
            keys = {key for name in self.found.files.names() if (key := self._key(name)) in begun} if begun else set()
            strays = [(upload.key, upload.upload_id) for upload in found if upload.key in keys]
            await abort_uploads(self._control, self._bucket, strays, lambda _key, _upload_id: None)
        except StoreError as error:
            log.warning("%s: uploads left behind cannot be looked for: %s", printable(self._prefix), error)

    async def differences(self, unsent: Collection[str] = ()) -> tuple[list[LocalFile], list[str]]:
        """Compare what S3 lists with what is recorded of each file; those named in ``unsent`` are not yet.

        Returns the files that have to be sent again, and sentences about objects that the replaced tool
        recorded and that S3 does not show so: it read each object back when it sent it, so its records are
        honoured, unless the object's size is not the file's.
        """
        records = self._state.log.files
        expected = _AsRecorded(self._prefix + "/", self.found.files, as_records(records), unsent)
        wrong = await compare_with_s3(self._control, self._bucket, self._prefix + "/", expected)
        reasons = _reasons(wrong)
        files = {key: file for file in self.found.files if (key := self._key(file.name)) in reasons} if reasons else {}
        if not wrong:
            log.info("%s: verified, %s as sent", printable(self._prefix), plural(len(expected), "object"))
        again, doubts = [], []
        for key, why in reasons.items():
            if records[files[key].name].size is None and key not in wrong.other_size:
                doubts.append(f"{printable(key)} was recorded by s3_upload, but in S3 {why}")
            else:
                log.error("%s in S3 is not what was sent and is sent again: %s", printable(key), why)
                again.append(files[key])
        return again, doubts

    async def still_wrong(self, files: Collection[LocalFile]) -> dict[str, str]:
        """Compare the objects of these files once more; returns name -> what is wrong."""
        by_key = {self._key(file.name): file for file in files}
        expected = {key: _expected(self._state.log.files[file.name], file) for key, file in by_key.items()}
        wrong = await check_keys(self._control, self._bucket, expected, list(by_key))
        return {by_key[key].name: why for key, why in _reasons(wrong).items()}


class _AsRecorded(Mapping[str, Expected]):
    """What S3 should have of the files of a run, by key, made when it is asked for."""

    def __init__(self, prefix: str, files: FileTable, records: Records, unsent: Collection[str]) -> None:
        self._prefix = prefix
        self._unsent = unsent
        self._files = files
        self._records = records
        self._sizes: dict[str, int] = {}
        """Of the files of which the log knows no size: those that the replaced tool sent."""
        for block in files.blocks():
            recorded = records.folder(block.folder)
            for base, size in zip(block.bases, block.sizes, strict=True):
                if base not in recorded and block.folder + base in unsent:
                    continue
                if packed_state(recorded[base])[0] is None:
                    self._sizes[block.folder + base] = size

    def __getitem__(self, key: str) -> Expected:
        name = key.removeprefix(self._prefix)
        record = self._records[name]
        return Expected(self._sizes[name] if record.size is None else record.size, record.etag)

    def __iter__(self) -> Iterator[str]:
        for name in self._files.names():
            if not (self._unsent and name in self._unsent):
                yield self._prefix + name

    def __len__(self) -> int:
        return len(self._files) - len(self._unsent)


def _expected(record: FileRecord, file: LocalFile) -> Expected:
    return Expected(file.size if record.size is None else record.size, record.etag)


def _reasons(found: Differences) -> Mapping[str, str]:
    return dict.fromkeys(found.missing, "it is missing") | found.different
