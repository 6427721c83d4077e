"""Where the runs of a config go, and the way ``config check`` asks S3 about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from async_s3_upload.cli.session import object_settings
from async_s3_upload.config import Config
from async_s3_upload.transfer.messages import ObjectSettings
from async_s3_upload.transfer.stores.retry import RetryPolicy, retrying, within
from async_s3_upload.transfer.stores.store_probe import ProbeStore

_POLICY = RetryPolicy(attempts=3, base_s=0.5, cap_s=2.0)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Destination:
    """Where runs go, and with which properties.

    ``checksum`` says whether CRC64NVME is sent, ``verify`` whether each run is compared with a listing.
    """

    bucket: str
    remote_path: str
    settings: ObjectSettings
    checksum: bool
    verify: bool

    @property
    def prefix(self) -> str:
        """Start of all keys, empty or with a slash at the end."""
        parent = self.remote_path.strip("/")
        return f"{parent}/" if parent else ""

    @property
    def name(self) -> str:
        """The destination as people read it."""
        return f"s3://{self.bucket}/{self.prefix}"


def destinations_of(config: Config) -> list[Destination]:
    """Return where the runs of the config go, each once."""
    checksum = config.checksum == "crc64nvme"
    return list(
        dict.fromkeys(
            Destination(
                section.bucket,
                section.remote_path.strip("/"),
                object_settings(config.object_properties(section)),
                checksum,
                config.verify_after_upload,
            )
            for section in config.monitor
        )
    )


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks the store, each request within ``limit_s`` seconds and with a few retries."""

    store: ProbeStore
    limit_s: float

    async def ask(self, request: Callable[[ProbeStore], Awaitable[T]]) -> T:
        """Return the answer.

        Raises:
            StoreError: it is a refusal, or there is none.
        """

        async def attempt(_: int) -> T:
            await self.store.refresh()
            return await within(self.limit_s, request(self.store))

        return await retrying(_POLICY, attempt, lambda _number, _error: None)
