"""What dooms a whole destination, and what only single files."""

from __future__ import annotations

import pytest

from async_s3_upload.transfer.coordination.doom import DENIED_LIMIT, RIGHT_TO_READ, DoomWatch
from async_s3_upload.transfer.messages import FailureKind, FileDone, FileFailed

DONE = FileDone(0, "etag", 1, 1, None, 1)


def failed(kind: FailureKind, error: str = "why") -> FileFailed:
    return FileFailed(1, kind, error)


def watch(*, some_succeeded: bool = False) -> DoomWatch:
    return DoomWatch("bucket-a", some_succeeded=some_succeeded)


@pytest.mark.parametrize("kind", ["no_such_bucket", "bad_credentials"])
@pytest.mark.parametrize("some_succeeded", [False, True])
def test_a_bucket_or_credentials_that_are_gone_doom_at_once(kind: FailureKind, some_succeeded: bool) -> None:
    found = watch(some_succeeded=some_succeeded)
    found.note(DONE)
    found.note(failed(kind, "the token has expired"))
    assert found.reason == "bucket bucket-a: the token has expired"


@pytest.mark.parametrize("kind", ["file", "changed", "request", "missing", "different", "unproved"])
def test_trouble_of_single_files_never_dooms(kind: FailureKind) -> None:
    found = watch()
    for _ in range(1000):
        found.note(failed(kind))
    found.at_end()
    assert found.reason is None


def test_a_403_for_one_key_is_a_failed_file() -> None:
    found = watch()
    found.note(failed("access_denied"))
    found.note(DONE)
    found.at_end()
    assert found.reason is None


def test_access_denied_for_everything_dooms_at_the_limit_and_not_before() -> None:
    found = watch()
    for _ in range(DENIED_LIMIT - 1):
        found.note(failed("access_denied"))
        assert not found.reason
    found.note(failed("access_denied", "policy 7 forbids it"))
    reason = str(found.reason)
    assert reason.startswith(f"bucket bucket-a: access was denied for every one of {DENIED_LIMIT} files tried")
    assert reason.endswith("lack the right to put objects there (s3:PutObject): policy 7 forbids it")


def test_once_one_file_was_accepted_many_refusals_are_failed_files() -> None:
    found = watch()
    found.note(DONE)
    for _ in range(10 * DENIED_LIMIT):
        found.note(failed("access_denied"))
    found.at_end()
    assert found.reason is None


def test_files_accepted_in_an_earlier_upload_count_too() -> None:
    found = watch(some_succeeded=True)
    for _ in range(DENIED_LIMIT):
        found.note(failed("access_denied"))
    found.at_end()
    assert found.reason is None


def test_of_a_few_files_all_refused_dooms_at_the_end() -> None:
    found = watch()
    for _ in range(2):
        found.note(failed("access_denied"))
    assert not found.reason
    found.at_end()
    assert "every one of 2 files" in str(found.reason)


def test_nothing_tried_is_nothing_doomed() -> None:
    found = watch()
    found.at_end()
    assert found.reason is None


def test_the_right_that_is_missing_is_named() -> None:
    found = DoomWatch("bucket-a", some_succeeded=False, right=RIGHT_TO_READ)
    found.note(failed("access_denied"))
    found.at_end()
    assert "lack the right to ask for objects there (s3:GetObject)" in str(found.reason)


def test_the_first_reason_stays() -> None:
    found = watch()
    found.note(failed("no_such_bucket", "there is no such bucket"))
    for _ in range(DENIED_LIMIT):
        found.note(failed("access_denied"))
    found.at_end()
    assert found.reason == "bucket bucket-a: there is no such bucket"
