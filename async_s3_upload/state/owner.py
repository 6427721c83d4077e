"""Who holds a lock: numbered records in a folder beside the lock file (``<lock>.owner/<number>``).

The highest number counts. A file is only ever made with O_EXCL, of which file servers let one succeed, and no number is
given twice; so of those who want to follow on the same holder one does, without any lock of the file system. A record
is written anew in place, always with the same length. See docs/adr/0010.
"""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass

from async_s3_upload.state.this_host import Process

SUFFIX = ".owner"
MOST_BYTES = 4096
"""No record is as long."""
GONE = (errno.ENOENT, errno.ESTALE, errno.ENOTDIR)
"""What opening or reading a file fails with that is there no more; ESTALE is NFS's word."""


@dataclass(frozen=True, slots=True)
class Owner:
    """What a record says. ``token`` is the holder's own for this time; ``beat`` grows while it is at work."""

    process: Process
    token: str
    beat: int = 0
    held: bool = True

    def encode(self) -> bytes:
        """Return the record; its length depends neither on ``beat`` nor on ``held``."""
        state = {"state": "held" if self.held else "free", "beat": f"{self.beat:012}", "token": self.token}
        return json.dumps(state | asdict(self.process)).encode() + b"\n"


def decode(data: bytes) -> Owner | None:
    """Return what a record says; None where it is not a whole one (yet)."""
    try:
        found = json.loads(data)
        texts = [found.pop(key) for key in ("state", "beat", "token")]
        process = Process(**found)
        whole = all(isinstance(text, str) for text in (*texts, process.host, process.machine, process.boot))
        if not whole or type(process.pid) is not int or texts[0] not in ("held", "free"):
            return None
        return Owner(process, texts[2], int(texts[1]), texts[0] == "held")
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


class Records:
    """The records of one lock. All methods raise OSError where the file system does not do what they need."""

    def __init__(self, lock: str) -> None:
        self.folder = lock + SUFFIX

    def path(self, number: int) -> str:
        """Return the path of a record."""
        return os.path.join(self.folder, str(number))

    def numbers(self) -> list[int]:
        """Return the numbers that there are, none where there is no folder. May be old on NFS: up to a minute."""
        try:
            return [int(name) for name in os.listdir(self.folder) if name.isascii() and name.isdigit()]
        except FileNotFoundError:
            return []

    def read(self, number: int) -> bytes | None:
        """Return a record as it is on the server now (opening a file asks it), None where there is none."""
        try:
            with open(self.path(number), "rb") as file:
                return file.read(MOST_BYTES)
        except OSError as error:
            if error.errno in GONE:
                return None
            raise

    def newest(self) -> Owner | None:
        """Return what the highest record says."""
        data = self.read(max(self.numbers(), default=0))
        return None if data is None else decode(data)

    def create(self, number: int, owner: Owner) -> bool:
        """Make a record; False where there is one of that number."""
        os.makedirs(self.folder, exist_ok=True)
        try:
            descriptor = os.open(self.path(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except FileExistsError:
            return False
        try:
            try:
                os.write(descriptor, owner.encode())
            finally:
                os.close(descriptor)
        except OSError:
            self.remove(number)
            raise
        return True

    def renew(self, number: int, owner: Owner) -> bool:
        """Write a record anew; False where it is not the owner's any more."""
        try:
            descriptor = os.open(self.path(number), os.O_RDWR | os.O_CLOEXEC)
            try:
                found = decode(os.read(descriptor, MOST_BYTES))
                if found is None or found.token != owner.token or max(self.numbers(), default=0) > number:
                    return False
                os.pwrite(descriptor, owner.encode(), 0)
            finally:
                os.close(descriptor)  # on network file systems this is when it reaches the server
        except OSError as error:
            if error.errno in GONE:
                return False
            raise
        return True

    def remove(self, number: int) -> None:
        """Remove a record, there or not."""
        with suppress(FileNotFoundError):
            os.unlink(self.path(number))
