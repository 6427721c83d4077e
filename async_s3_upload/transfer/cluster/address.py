"""Where the scheduler of a Dask cluster is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Self

from async_s3_upload.errors import ClusterError
from async_s3_upload.scheduler import check_scheduler
from async_s3_upload.text import printable


@dataclass(frozen=True, slots=True)
class SchedulerAddress:
    """An address (``tcp://host:8786``) or the path of a scheduler file, which holds one; the other one is None."""

    address: str | None
    file: str | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what an option or a key of the config names.

        Raises:
            ValueError: with the reason, where it names none.
        """
        checked = check_scheduler(text)
        return cls(checked, None) if "://" in checked else cls(None, checked)

    def contact(self) -> str:
        """Return the address to connect to. A scheduler file is read now: each start of a scheduler writes it anew.

        Raises:
            ClusterError: the file is not there, or names no address. (Dask itself would wait for it without end.)
        """
        if self.address is not None:
            return self.address
        try:
            with open(self.file or "", encoding="utf-8") as file:
                found = json.load(file)
            return check_scheduler(_address_in(found))
        except OSError as error:
            raise ClusterError(
                f"scheduler file {self} cannot be read: {error.strerror or error}; "
                "start the scheduler with this --scheduler-file, in a folder that this machine sees too"
            ) from error
        except ValueError as error:
            raise ClusterError(
                f"{self} is no scheduler file of Dask: its address {printable(str(error))}; "
                "start the scheduler with --scheduler-file"
            ) from error

    def __str__(self) -> str:
        return printable(self.address or self.file or "")


def _address_in(found: object) -> str:
    address = found.get("address") if isinstance(found, dict) else None
    if not isinstance(address, str) or "://" not in address:
        raise ValueError("is not there")
    return address
