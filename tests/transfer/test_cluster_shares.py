"""When a share has nothing left to do, whatever comes first: the share, what is wanted no more, or what was done."""

from hypothesis import given
from hypothesis import strategies as st

from async_s3_upload.transfer.cluster.opening import Bye
from async_s3_upload.transfer.cluster.shares import Shares
from async_s3_upload.transfer.ending import UploadFailed, UploadReady
from async_s3_upload.transfer.lending import CutOff, CutOffDone, GiveBack, Returned
from async_s3_upload.transfer.messages import (
    Event,
    Events,
    FileDone,
    FileFailed,
    FileItem,
    KnownPart,
    PartDone,
    Ready,
    Share,
    Stop,
    UploadBegun,
)
from async_s3_upload.transfer.rows import rows_of


def share_of(*numbers: int) -> Share:
    return Share("runs", tuple(FileItem(number, f"/{number}", f"run/{number}", 1, 1, 1) for number in numbers))


def numbers_of(share: Share | None) -> list[int]:
    return [] if share is None else [item.number for item in share.items]


def told(*events: Event) -> Events:
    return Events(rows_of(events))


def done(number: int) -> FileDone:
    return FileDone(number, "etag", 1, 1, None, 1)


def test_a_share_ends_with_its_last_file_however_that_ends() -> None:
    shares = Shares()
    left, settled = shares.add(share_of(0, 1, 2, 3, 4))
    other, settled_too = shares.add(share_of(5))
    assert (numbers_of(left), numbers_of(other)) == ([0, 1, 2, 3, 4], [5])
    part = KnownPart(1, 1, "etag", None)
    shares.said(told(UploadBegun(1, "u", 8, True), PartDone(1, "u", part), done(0)))
    shares.said(told(FileFailed(2, "file", "gone"), UploadReady(1, "u", 8, 1, 8, None, (part,), 8)))
    shares.said(told(UploadFailed(3, "u", "changed", "it changed")))
    shares.said(Ready())
    shares.told(GiveBack())
    assert not settled.is_set()
    shares.said(Returned((4,), ()))
    assert settled.is_set()
    assert not settled_too.is_set()
    shares.end()
    assert settled_too.is_set()
    shares.said(Bye())


def test_what_was_cut_off_before_it_came_is_not_begun() -> None:
    shares = Shares()
    shares.told(CutOff(2, 4))
    shares.said(CutOffDone(2))
    left, settled = shares.add(share_of(1, 2, 3, 4))
    assert numbers_of(left) == [1, 4]
    shares.said(told(done(1), done(4)))
    assert settled.is_set()
    nothing, settled = shares.add(share_of(2, 3))
    assert nothing is None
    assert settled.is_set()


def test_what_is_cut_off_ends_when_the_worker_has_done_so() -> None:
    shares = Shares()
    _, settled = shares.add(share_of(0, 1))
    _, untouched = shares.add(share_of(2))
    shares.told(CutOff(0, 2))
    assert not settled.is_set()
    shares.said(CutOffDone(0))
    assert settled.is_set()
    assert not untouched.is_set()


def test_after_stop_no_share_is_begun() -> None:
    shares = Shares()
    _, before = shares.add(share_of(0))
    shares.told(Stop(3.0))
    left, after = shares.add(share_of(1))
    assert left is None
    assert after.is_set()
    assert not before.is_set()
    shares.end()
    assert before.is_set()


@given(
    st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=6, unique=True), max_size=6),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=4),
)
def test_every_share_ends_once_all_is_told(shares_of: list[list[int]], cuts: list[tuple[int, int]]) -> None:
    """Each file that was begun is told, each cut is answered; then no share is left."""
    shares = Shares()
    free = set(range(31))
    ends, begun = [], set()
    for place, numbers in enumerate(shares_of):
        if place < len(cuts):
            shares.told(CutOff(*cuts[place]))
        mine = [number for number in numbers if number in free]
        free -= set(mine)
        if mine:
            left, settled = shares.add(share_of(*mine))
            begun.update(numbers_of(left))
            ends.append((set(numbers_of(left)), settled))
    cut = {number for first, end in cuts[: len(shares_of)] for number in range(first, end)}
    shares.said(told(*(done(number) for number in begun - cut)))
    assert all(settled.is_set() == (not left & cut) for left, settled in ends)
    for first, _ in cuts[: len(shares_of)]:
        shares.said(CutOffDone(first))
    assert all(settled.is_set() for _, settled in ends)
