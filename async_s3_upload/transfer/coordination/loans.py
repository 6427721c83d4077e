"""Who sends which parts of whose uploads, as the coordinator knows it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from async_s3_upload.transfer.lending import PartShare
from async_s3_upload.transfer.workers.pool import WorkerHandle


@dataclass(slots=True, eq=False)
class Loan:
    """Parts of one upload that others send than its ``owner``; None: the owner died."""

    owner: WorkerHandle | None
    share: PartShare
    where: dict[int, WorkerHandle] = field(default_factory=dict)


class Loans:
    """All parts that are lent, by the number of their file."""

    def __init__(self) -> None:
        self._loans: dict[int, Loan] = {}

    def owner_of(self, share: PartShare, lender: WorkerHandle) -> WorkerHandle | None:
        """Return who completes the upload: who gave parts back, unless it had borrowed them itself."""
        loan = self._loans.get(share.item.number)
        return lender if loan is None else loan.owner

    def lend(self, share: PartShare, owner: WorkerHandle | None, borrower: WorkerHandle) -> None:
        """Note that ``borrower`` sends these parts from now on."""
        loan = self._loans.setdefault(share.item.number, Loan(owner, share))
        loan.where.update(dict.fromkeys(share.parts, borrower))

    def settle(self, number: int, part: int, worker: WorkerHandle) -> WorkerHandle | None:
        """Note that ``worker`` no longer sends a part; if it had borrowed it, returns the owner as long as he lives."""
        loan = self._loans.get(number)
        if loan is None or loan.where.get(part) is not worker:
            return None
        del loan.where[part]
        if not loan.where:
            del self._loans[number]
        return loan.owner

    def __contains__(self, number: object) -> bool:
        """Whether parts of the file are lent."""
        return number in self._loans

    def lost(self, worker: WorkerHandle) -> list[tuple[WorkerHandle, PartShare]]:
        """Note that a worker died; returns the parts that it had borrowed, for their owners as far as these live."""
        found = []
        for number, loan in list(self._loans.items()):
            if loan.owner is worker:
                loan.owner = None
            parts = tuple(part for part, borrower in loan.where.items() if borrower is worker)
            for part in parts:
                self.settle(number, part, worker)
            if parts and loan.owner is not None:
                found.append((loan.owner, replace(loan.share, parts=parts)))
        return found

    def forget(self, numbers: range) -> None:
        """Forget the files with these numbers."""
        for number in [number for number in self._loans if number in numbers]:
            del self._loans[number]
