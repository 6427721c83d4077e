"""Dealing out with a thousand workers: what a round costs grows as they do, not with their square."""

from collections.abc import Sequence
from typing import cast

from async_s3_upload.transfer.coordination.dealer import Dealer
from async_s3_upload.transfer.lending import GiveBack
from async_s3_upload.transfer.messages import FileItem, Limits, Share
from async_s3_upload.transfer.workers.hand import Hand
from async_s3_upload.transfer.workers.pool import WorkerHandle


class CountingHand(Hand):
    """Counts how often it was looked at as one that might give something back."""

    looks = 0

    def __init__(self, files: int = 0) -> None:
        super().__init__()
        self.ready = True
        self.told: list[object] = []
        if files:
            items = tuple(FileItem(number, "", "", 1, 0, 0, None, False) for number in range(files))
            self.took(Share("bucket", items))

    @property
    def weight(self) -> int:
        type(self).looks += 1
        return super().weight

    def tell(self, message: object) -> None:
        self.told.append(message)


def deal(dealer: Dealer, hands: Sequence[Hand]) -> None:
    dealer.deal(cast("Sequence[WorkerHandle]", hands))


def test_hungry_workers_ask_the_fullest_ones_each_of_them_once() -> None:
    full = [CountingHand(files) for files in (20, 40, 30)]
    hungry = [CountingHand(), CountingHand()]
    dealer = Dealer(Limits(concurrency=16))
    for _ in range(2):  # who was asked has not answered yet
        deal(dealer, [*full, *hungry])
        assert [hand.told for hand in full] == [[], [GiveBack()], [GiveBack()]]
        assert [hand.told for hand in hungry] == [[], []]


def test_a_hungry_worker_with_work_of_its_own_asks_another_one() -> None:
    rich, poor = CountingHand(3), CountingHand(2)  # both could do more
    deal(Dealer(Limits(concurrency=16)), [rich, poor])
    assert [rich.told, poor.told] == [[GiveBack()], [GiveBack()]]


def test_many_hungry_workers_look_at_each_other_worker_once() -> None:
    CountingHand.looks = 0
    full, hungry = [CountingHand(20) for _ in range(500)], [CountingHand() for _ in range(500)]
    deal(Dealer(Limits(concurrency=16)), [*full, *hungry])
    assert all(hand.told for hand in full)
    assert CountingHand.looks <= 1_000
