"""What ``verify`` is asked to look at: one run, the runs of a config, or a folder."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from async_s3_upload.cli.upload import compiled, run_folder_path
from async_s3_upload.cli.verify.targets import (
    DAY_S,
    NoTarget,
    Target,
    excluded,
    runs_called,
    runs_touched_since,
)
from async_s3_upload.config import Config
from async_s3_upload.errors import UsageError
from async_s3_upload.state.run_logs import Identity, RunLogs

DEFAULT_DAYS = 7.0


@dataclass(frozen=True, slots=True)
class Choice:
    """The options as they were given; None or empty where they were not."""

    run: str | None
    config: str | None
    days: float | None
    local_path: str | None
    bucket: str | None
    remote_path: str | None
    exclude: Sequence[str]
    log_dir: str | None

    def check(self) -> None:
        """Return if it is clear what is meant.

        Raises:
            UsageError: it is not.
        """
        if self.local_path is not None:
            self._check_folder()
        elif self.bucket is not None or self.remote_path is not None or self.exclude:
            raise UsageError("--bucket, --remote-path and --exclude go with --local-path")
        elif self.run is None and self.config is None:
            raise UsageError("name what to verify: --run, --config, --manifest, or --local-path with --bucket")
        elif self.config is not None and self.log_dir is not None:
            raise UsageError("--log-dir does not go with --config, which names the log folder")
        if self.days is not None and (self.config is None or self.run is not None):
            raise UsageError("--days goes with --config alone")
        if self.days is not None and not self.days > 0:
            raise UsageError("--days: must be more than 0")

    def _check_folder(self) -> None:
        if self.run is not None or self.config is not None:
            raise UsageError("--local-path does not go with --run or --config")
        if self.bucket is None:
            raise UsageError("--local-path needs --bucket")

    def find(self, config: Config | None, log_dir: str) -> Sequence[Target | NoTarget]:
        """Return what to verify.

        Raises:
            UsageError: there is nothing of that name.
            LogDirError: the run logs cannot be listed.
        """
        if self.local_path is not None:
            return [self._folder(log_dir)]
        if self.run is not None:
            return runs_called(self.run, log_dir, config)
        assert config is not None, "checked before"
        return runs_touched_since(time.time() - (self.days or DEFAULT_DAYS) * DAY_S, log_dir, config)

    def _folder(self, log_dir: str) -> Target:
        path = run_folder_path(self.local_path or "")
        identity = Identity(path, self.bucket or "", self.remote_path or "/")
        given = compiled(self.exclude)
        remembered = RunLogs(log_dir).find(identity)
        if given or remembered.log is None:
            return Target(identity, remembered, given)
        return Target(identity, remembered, excluded(remembered.log, None))


def check_alone(option: str, others: Mapping[str, object]) -> None:
    """Return if none of the others was given; those have None or are empty.

    Raises:
        UsageError: naming those that were.
    """
    given = [name for name, value in others.items() if value is not None and value != []]
    if given:
        raise UsageError(f"{option} does not go with {', '.join(given)}")
