"""Holds what is remembered of a run against what S3 has: after damage, before a run counts as completed."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence

from async_s3_upload.runs.scan import LocalFile, Scan
from async_s3_upload.state.run_log import FileRecord
from async_s3_upload.state.run_state import RunState
from async_s3_upload.text import plural, printable
from async_s3_upload.transfer.inspect import (
    Differences,
    Expected,
    abort_uploads,
    check_keys,
    compare_with_s3,
    list_all,
    list_open_uploads,
)
from async_s3_upload.transfer.plan import key_for
from async_s3_upload.transfer.store import AccessDenied, ListedUpload, ObjectStore, StoreError

log = logging.getLogger(__name__)


class Reconciler:
    """Asks S3 about one run. Every method may raise StoreError where S3 cannot be asked."""

    def __init__(self, control: ObjectStore, bucket: str, prefix: str, state: RunState, found: Scan) -> None:
        """Take ``prefix`` as the start of the run's keys, without a slash at its end."""
        self._control = control
        self._bucket = bucket
        self._prefix = prefix
        self._state = state
        self._found = found

    def _key(self, name: str) -> str:
        return key_for(self._prefix, name)

    async def may_be_there(self, left: Sequence[LocalFile]) -> set[str]:
        """Something remembered was lost: return the names of files of which S3 has an object of that size.

        Uploads whose ids nobody knows any more are aborted.
        """
        prefix = self._prefix + "/"
        listed = await list_all(self._control, self._bucket, prefix)
        sizes = {found.key: found.size for found in listed.values()}
        there = {file.name for file in left if sizes.get(f"{prefix}{file.name}") == file.size}
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
        names = {file.name for file in left}
        state = self._state
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
        keys = {self._key(file.name) for file in self._found.files}
        try:
            found = await list_open_uploads(self._control, self._bucket, self._prefix + "/")
            strays = [(upload.key, upload.upload_id) for upload in found if upload.key in keys]
            await abort_uploads(self._control, self._bucket, strays, lambda _key, _upload_id: None)
        except StoreError as error:
            log.warning("%s: uploads left behind cannot be looked for: %s", printable(self._prefix), error)

    async def differences(self) -> tuple[list[LocalFile], list[str]]:
        """Compare what S3 lists with what is recorded of each file.

        Returns the files that have to be sent again, and sentences about objects that the replaced tool
        recorded and that S3 does not show so: it read each object back when it sent it, so its records are
        honoured, unless the object's size is not the file's.
        """
        files = {self._key(file.name): file for file in self._found.files}
        records = self._state.log.files
        expected = {key: _expected(records[file.name], file) for key, file in files.items()}
        wrong = await compare_with_s3(self._control, self._bucket, self._prefix + "/", expected)
        if not wrong:
            log.info("%s: verified, %s as sent", printable(self._prefix), plural(len(expected), "object"))
        again, doubts = [], []
        for key, why in _reasons(wrong).items():
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


def _expected(record: FileRecord, file: LocalFile) -> Expected:
    return Expected(file.size if record.size is None else record.size, record.etag)


def _reasons(found: Differences) -> Mapping[str, str]:
    return dict.fromkeys(found.missing, "it is missing") | found.different
