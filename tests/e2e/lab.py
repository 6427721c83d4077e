"""A lab for one test: sequencers that write runs, a log folder, a config, buckets, and the command run on them."""

import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from async_s3_upload.demo.run_folder import TINY, make_run_folder
from tests.support.command import Completed, RunningCommand, run_command, start_command
from tests.support.proxy import FaultProxy, Rule
from tests.support.s3requests import Match, on
from tests.support.s3server import S3Server
from tests.support.slack import SlackListener

RUN_FILES = 16
MARKERS = ["RTAComplete.txt", "CopyComplete.txt"]
"""Those of them that wait until all the rest is in S3, in the order in which they are sent."""
HOUR = 3600

Env = Mapping[str, str | None]
"""Variables to set; None takes one away."""
Files = Mapping[str, bytes]

puts: Match = on("PutObject")


def run_id(number: int) -> str:
    """Return the name of a run folder as instruments give it."""
    return f"240201_A01295_{number:04}_AHT7WNDRX{number % 10}"


@dataclass
class Lab:
    """Everything of one test. ``server`` holds the buckets; the command is led to ``reached``, a proxy perhaps."""

    folder: Path
    server: S3Server
    slack: SlackListener
    proxy_for: Callable[..., tuple[FaultProxy, S3Server]]
    bucket_name: Callable[..., str]
    reached: S3Server = field(init=False)
    buckets: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin without a proxy."""
        self.reached = self.server

    @property
    def log_dir(self) -> Path:
        """Where the command keeps its logs; the command makes it."""
        return self.folder / "log"

    @property
    def log_text(self) -> str:
        """What is in the log file."""
        return (self.log_dir / "s3_upload.log").read_text(encoding="utf-8")

    def remove_buckets(self) -> None:
        """Remove the buckets with what is in them, for servers that let that happen (SeaweedFS)."""
        for bucket in self.buckets:
            self.server.client().delete_bucket(Bucket=bucket)

    def bucket(self, stem: str = "runs") -> str:
        """Make a bucket."""
        self.buckets.append(self.server.make_bucket(self.bucket_name(stem)))
        return self.buckets[-1]

    def behind(self, *rules: Rule) -> FaultProxy:
        """Put a fault proxy between the command and the server from now on."""
        proxy, self.reached = self.proxy_for(self.server, *rules)
        return proxy

    def sequencer(self, name: str = "sequencer_1") -> Path:
        """Return the folder into which an instrument writes its runs."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def make_run(
        self,
        number: int = 1,
        *,
        sequencer: str = "sequencer_1",
        samples: Sequence[str] = ("sample_1", "sample_2"),
        files: Files | None = None,
        small_files: int = RUN_FILES,
    ) -> Path:
        """Write a complete run of ``small_files`` small files and the ``files`` given."""
        shape = replace(TINY, run_id=run_id(number), samples=tuple(samples), small_files=small_files)
        run = Path(make_run_folder(str(self.sequencer(sequencer)), shape, seed=number))
        write_files(run, files or {})
        return run

    def section(self, bucket: str, *sequencers: str, remote_path: str = "/", **keys: Any) -> dict[str, Any]:
        """Return a section of the config."""
        folders = [str(self.folder / name) for name in sequencers or ("sequencer_1",)]
        return {"monitored_directories": folders, "bucket": bucket, "remote_path": remote_path, **keys}

    def write_config(self, *sections: Mapping[str, Any], **keys: Any) -> Path:
        """Write the config: the log folder, two webhooks named ``log`` and ``alert``, the sections, and ``keys``."""
        config = {
            "max_cores": 2,
            "max_threads": 8,
            "log_dir": str(self.log_dir),
            "slack_log_webhook": self.slack.url_of("log"),
            "slack_alert_webhook": self.slack.url_of("alert"),
            "monitor": list(sections),
            **keys,
        }
        path = self.folder / "config.json"
        path.write_text(json.dumps(config))
        return path

    def monitor(self, config: Path, *args: str, env: Env | None = None, timeout: float = 60) -> Completed:
        """Run ``monitor`` to its end."""
        return run_command("monitor", "--config", str(config), *args, env=self._env(env), timeout=timeout)

    def start_monitor(self, config: Path, *args: str, env: Env | None = None) -> RunningCommand:
        """Start ``monitor``; to be used in `with`."""
        return start_command("monitor", "--config", str(config), *args, env=self._env(env))

    def upload(
        self,
        local_path: str | os.PathLike[str],
        bucket: str,
        *args: str,
        env: Env | None = None,
        cwd: Path | None = None,
        timeout: float = 60,
    ) -> Completed:
        """Run ``upload`` with the lab's log folder to its end."""
        options = self._upload_options(local_path, bucket)
        return run_command("upload", *options, *args, env=self._env(env), cwd=cwd, timeout=timeout)

    def start_upload(
        self, local_path: Path, bucket: str, *args: str, env: Env | None = None, terminal: int | None = None
    ) -> RunningCommand:
        """Start ``upload``, with a terminal for stderr perhaps; to be used in `with`."""
        options = self._upload_options(local_path, bucket)
        return start_command("upload", *options, *args, env=self._env(env), terminal=terminal)

    def age_alerts(self, hours: float) -> None:
        """Let all alerts have been told so many hours earlier."""
        path = self.log_dir / "told.json"
        document = read_json(path)
        for alert in document["alerts"]:
            for name in ("first_told", "last_told"):
                alert[name] = (datetime.fromisoformat(alert[name]) - timedelta(hours=hours)).isoformat()
        path.write_text(json.dumps(document))

    def run_log(self, run: Path) -> dict[str, Any]:
        """Return the run log under the run's plain name."""
        return read_json(self.run_log_path(run))

    def run_log_path(self, run: Path) -> Path:
        """Return where the replaced tool had its run log too."""
        return self.log_dir / "uploads" / f"{run.name}.upload.log.json"

    def second_logs(self, run: Path) -> list[Path]:
        """Return the logs of the run's name besides the plain one."""
        name = re.compile(re.escape(run.name) + r"\.[0-9a-f]{8}\.upload\.log\.json")
        return sorted(path for path in (self.log_dir / "uploads").iterdir() if name.fullmatch(path.name))

    def write_old_log(self, run: Path, uploaded: Sequence[str], *, run_path: str | None = None, **keys: Any) -> str:
        """Write a run log as the replaced tool did, with these files (relative) uploaded; return its text."""
        there = run_path or str(run)
        total = len(files_below(run))
        log = {
            "run_id": run.name,
            "run_path": there,
            "completed": len(uploaded) == total,
            "total_local_files": total,
            "total_uploaded_files": len(uploaded),
            "total_failed_upload": total - len(uploaded),
            "failed_upload_files": [f"{there}/{name}" for name in files_below(run) if name not in uploaded],
            "uploaded_files": {f"{there}/{name}": f"etag-of-{number}" for number, name in enumerate(uploaded)},
            **keys,
        }
        path = self.run_log_path(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(log, indent=4))
        return path.read_text()

    def assert_in_bucket(self, run: Path, bucket: str, prefix: str, without: str = r"(?!)") -> None:
        """Compare keys and bytes below ``prefix`` with the files of the run whose path does not match ``without``."""
        expected = {
            f"{prefix}/{name}": content
            for name, content in files_below(run).items()
            if not re.search(without, str(run / name))
        }
        listed = {key for key in self.server.objects(bucket) if key.startswith(f"{prefix}/")}
        assert listed == {key.replace("\\", "/") for key in expected} or listed == set(expected)
        differing = [key for key, content in expected.items() if self.server.body(bucket, key) != content]
        assert differing == []

    def _upload_options(self, local_path: str | os.PathLike[str], bucket: str) -> list[str]:
        return ["--local-path", os.fspath(local_path), "--bucket", bucket, "--log-dir", str(self.log_dir)]

    def _env(self, changes: Env | None) -> dict[str, str]:
        variables: dict[str, str | None] = {**self.reached.environment(), **(changes or {})}
        return {name: value for name, value in variables.items() if value is not None}


def write_files(folder: Path, files: Files) -> None:
    """Write files, named relative to the folder, with the folders they need."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def files_below(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every regular file by its name relative to the folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def tree(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return mode, time of change and bytes of everything below the folder: equal only where nothing was written."""
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_mtime_ns, content)
    return found


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in the file."""
    document = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def make_old(run: Path, hours: float) -> None:
    """Let the run have begun so many hours ago."""
    then = time.time() - hours * HOUR
    os.utime(run / "RunInfo.xml", (then, then))


def keys_put(proxy: FaultProxy) -> list[str]:
    """Return the keys of the PUTs that reached the proxy, in their order."""
    return [seen.key for seen in proxy.seen if seen.operation == "PutObject"]


def operations(proxy: FaultProxy) -> list[str]:
    """Return the operations that reached the proxy, in their order."""
    return [seen.operation for seen in proxy.seen]


def success(*runs: Path) -> str:
    """Return the Slack text for uploaded runs."""
    return _told(f":white_check_mark:  *S3 Upload*: Successfully uploaded {_count(runs)}", runs)


def failure(*runs: Path) -> str:
    """Return the Slack text for runs of which files failed."""
    return _told(f":x:  *S3 Upload*: Failed uploading {_count(runs)}", runs)


def recovered(*what: str) -> str:
    """Return the Slack text for troubles that are over."""
    head = ":white_check_mark:  *S3 Upload*: Recovered: "
    return head + what[0] if len(what) == 1 else "\n\t\t• ".join((f"{head}{len(what)} troubles are over", *what))


def _count(runs: Sequence[Path]) -> str:
    return "1 run" if len(runs) == 1 else f"{len(runs)} runs"


def _told(head: str, runs: Sequence[Path]) -> str:
    return head + "".join(f"\n\t\t• {run.name}" for run in runs)
