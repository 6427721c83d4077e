"""Joins what the listing and the comparison of bytes tell about one run."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable

from async_s3_upload.cli.verify.report import Finding, VerifiedRun
from async_s3_upload.cli.verify.stock import Stock
from async_s3_upload.state.manifest import manifest_names
from async_s3_upload.transfer.messages import FileDone, FileOutcome
from async_s3_upload.transfer.stores.inspect import compare_with_s3
from async_s3_upload.transfer.stores.store import ObjectStore

GONE = "the local file is not there any more; what S3 holds is as it was sent"


class Findings:
    """All dicts map names (relative to the run folder) to sentences; a name is in one of them at most."""

    def __init__(self, row: VerifiedRun, stock: Stock) -> None:
        self._row = row
        self.stock = stock
        self.missing: dict[str, str] = {}
        self.different: dict[str, str] = {}
        self.unproved: dict[str, str] = {}
        self.failed: dict[str, str] = {}
        self._extra: list[str] = []

    async def ask_listing(self, store: ObjectStore) -> None:
        """List the run's objects: presence, sizes and ETags.

        Raises:
            StoreError: S3 could not be asked.
        """
        stock, row = self.stock, self._row
        found = await compare_with_s3(store, row.bucket, row.prefix + "/", stock.expected)
        self.missing = {stock.names[key]: "there is no such object" for key in found.missing}
        self.different = {stock.names[key]: text for key, text in found.different.items()}
        # some servers list a backslash as a slash; HEAD told such objects from missing ones
        aliases = {key.replace("\\", "/") for key in stock.expected if "\\" in key}
        # the manifest is no file of the run, and explains itself
        manifests = {f"{row.prefix}/{name}" for name in manifest_names(row.run_id)}
        self._extra = [key for key in found.extra if key not in aliases and key not in manifests]
        for name, text in stock.changed.items():
            if name not in self.missing:
                self.different.setdefault(name, text)
        for name, reason in stock.unsendable.items():
            self.different.pop(name, None)
            self.missing[name] = f"it cannot be there: {reason}"

    def take(self, name: str, outcome: FileOutcome) -> None:
        """Take the outcome of comparing bytes: it says more than size and ETag, unless it proves nothing."""
        if isinstance(outcome, FileDone):
            self.different.pop(name, None)
        elif outcome.kind == "missing":
            self.different.pop(name, None)
            self.missing[name] = outcome.error
        elif outcome.kind == "different":
            self.different[name] = outcome.error
        elif name in self.different:
            return
        elif outcome.kind == "unproved":
            self.unproved[name] = outcome.error
        else:
            self.failed[name] = outcome.error

    def note_gone(self) -> None:
        """Name what was sent and cannot be compared, because it is not on the disk any more."""
        for name in self.stock.gone:
            if name not in self.missing and name not in self.different:
                self.unproved[name] = GONE

    def wrong(self) -> set[str]:
        """Return the names of what is missing or different."""
        return {*self.missing, *self.different}

    def fill(self, row: VerifiedRun, only: Collection[str] | None = None) -> None:
        """Write everything into a row; ``only`` restricts it to these names, but for extra objects."""
        row.missing = self._findings(self.missing, only)
        row.different = self._findings(self.different, only)
        row.unproved = self._findings(self.unproved, only)
        row.failed = self._findings(self.failed, only)
        row.extra = sorted(self._extra)

    def _findings(self, found: dict[str, str], only: Collection[str] | None) -> list[Finding]:
        names: Iterable[str] = found if only is None else (name for name in found if name in only)
        return [self.finding(name, found[name]) for name in sorted(names)]

    def finding(self, name: str, detail: str) -> Finding:
        """Return the entry for a name."""
        return Finding(os.path.join(self._row.run_path, name), f"{self._row.prefix}/{name}", detail)
