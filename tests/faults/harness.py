"""A scenario: a run folder, a server behind a fault proxy, the real command until it succeeds, and the full check."""

import base64
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from awscrt.checksums import crc64nvme

from async_s3_upload.demo.run_folder import MIB, RunShape, make_run_folder
from tests.support.command import Completed, RunningCommand, start_command
from tests.support.proxy import FaultProxy, Rule
from tests.support.s3requests import Seen, on
from tests.support.s3server import S3Server

RUN_ID = "240301_A01295_0400_BHT7WNDRX3"
SMALL_FILES = 24
MARKERS = ("RTAComplete.txt", "CopyComplete.txt")
"""What waits for all the rest, in the order in which it is sent."""
BIG_BYTES = 16 * MIB + 12345
"""Three parts: 8 MiB, 8 MiB, and the rest."""
BIG_PARTS = 3
MAX_STARTS = 6
SHAPE = RunShape(RUN_ID, SMALL_FILES, 6 * 1024, 1, BIG_BYTES)
KEEPS_STATE = (0, 1, 3, 143, 130)

Found = Callable[[Seen], bool]


@dataclass(frozen=True, slots=True)
class Differing:
    """What is wrong in the end; all empty where nothing is."""

    lost: tuple[str, ...] = ()
    different: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    dangling: tuple[str, ...] = ()
    state: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is wrong."""
        return bool(self.lost or self.different or self.extra or self.dangling or self.state)


def make_master(folder: Path, shape: RunShape = SHAPE, seed: int = 1) -> Path:
    """Write a run folder that scenarios clone."""
    return Path(make_run_folder(str(folder), shape, seed=seed))


def clone(master: Path, parent: Path, name: str | None = None) -> Path:
    """Return a run folder of the same files, as hard links: replace a file before writing to it (`own`)."""
    run = parent / (name or master.name)
    shutil.copytree(master, run, copy_function=os.link)
    return run


def own(path: Path) -> Path:
    """Give a cloned file an inode of its own, so that it may be written to."""
    content, times = path.read_bytes(), path.stat()
    path.unlink()
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    return path


def crc_of(content: bytes) -> str:
    """Return the CRC64NVME as S3 writes it."""
    return base64.b64encode(int(crc64nvme(content)).to_bytes(8, "big")).decode()


def files_below(run: Path) -> list[str]:
    """Return the names of the regular files of a run."""
    return sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.is_file())


@dataclass
class Scenario:
    """One run on its way to one bucket. ``keys`` go into the config."""

    folder: Path
    run: Path
    server: S3Server
    proxy: FaultProxy
    reached: S3Server
    bucket: str
    remote_path: str = "runs"
    keys: dict[str, Any] = field(default_factory=dict)
    completed: list[Completed] = field(default_factory=list)

    @property
    def log_dir(self) -> Path:
        """Where the command keeps its state."""
        return self.folder / "log"

    @property
    def uploads(self) -> Path:
        """Folder of run log and journal."""
        return self.log_dir / "uploads"

    @property
    def run_log_path(self) -> Path:
        """The run log."""
        return self.uploads / f"{self.run.name}.upload.log.json"

    @property
    def journal_path(self) -> Path:
        """The journal."""
        return self.uploads / f"{self.run.name}.journal.jsonl"

    @property
    def prefix(self) -> str:
        """Start of the run's keys."""
        return f"{self.remote_path}/{self.run.name}"

    def key(self, name: str) -> str:
        """Return the key of a file."""
        return f"{self.prefix}/{name}"

    @property
    def big(self) -> list[str]:
        """Names of the files that go up in parts."""
        return [name for name in files_below(self.run) if (self.run / name).stat().st_size > 16 * MIB]

    @property
    def small(self) -> list[str]:
        """Names of the files that go up whole."""
        return [name for name in files_below(self.run) if (self.run / name).stat().st_size <= 16 * MIB]

    def config(self) -> Path:
        """Write the config: quick time limits, and ``keys``."""
        section = {
            "monitored_directories": [str(self.run.parent)],
            "bucket": self.bucket,
            "remote_path": self.remote_path,
        }
        config = {
            "max_cores": 2,
            "max_threads": 8,
            "max_age": 24 * 365 * 100,
            "log_dir": str(self.log_dir),
            "request_timeout": 1,
            "min_rate": 8 * MIB,
            "monitor": [section],
            **self.keys,
        }
        path = self.folder / "config.json"
        path.write_text(json.dumps(config))
        return path

    def start(self) -> RunningCommand:
        """Start the command; to be used in `with`."""
        return start_command("monitor", "--config", str(self.config()), "--json", env=self.reached.environment())

    def run_once(self, timeout: float = 60) -> Completed:
        """Run the command to its end."""
        with self.start() as command:
            return self.note(command.wait(timeout))

    def note(self, completed: Completed) -> Completed:
        """Remember how a start ended; nothing may end with a traceback."""
        self.completed.append(completed)
        assert "Traceback" not in completed.stderr, completed.stderr
        assert "fault of the program" not in completed.stderr, completed.stderr
        return completed

    def run_until_done(self, starts: int = MAX_STARTS, timeout: float = 60) -> int:
        """Start the command until it exits 0; after each failure nothing may be recorded that is not there."""
        for number in range(1, starts + 1):
            done = self.run_once(timeout)
            if done.exit_code == 0:
                return number
            assert done.exit_code in KEEPS_STATE, done.stderr
            assert self.lies() == []
        raise AssertionError(f"not done after {starts} starts: {self.completed[-1].stderr[-4000:]}")

    def assert_complete(self) -> None:
        """Check everything: objects, uploads in progress, run log, journal."""
        wrong = self.check()
        assert not wrong, f"{wrong}\n{self.completed[-1].stderr[-6000:] if self.completed else ''}"

    def check(self) -> Differing:
        """Compare the bucket with the run folder byte for byte, and the state with both."""
        names = {self.key(name): self.run / name for name in files_below(self.run)}
        there = self.server.objects(self.bucket)
        mine = {key for key in there if key.startswith(self.prefix + "/")}
        contents = {key: path.read_bytes() for key, path in names.items()}
        different = [key for key in names if key in there and self.server.body(self.bucket, key) != contents[key]]
        dangling = [key for key in self.server.uploads_in_progress(self.bucket) if key.startswith(self.prefix)]
        return Differing(
            tuple(sorted(set(names) - set(there))),
            tuple(different),
            tuple(sorted(mine - set(names))),
            tuple(dangling),
            tuple(self._state_trouble(contents, {key: found.etag for key, found in there.items()})),
        )

    def _state_trouble(self, contents: dict[str, bytes], etags: dict[str, str]) -> Iterator[str]:
        if self.journal_path.exists():
            yield f"the journal is still there: {self.journal_path.read_text()[-500:]}"
        for left in self.uploads.glob("*.tmp"):
            yield f"{left.name} is left over"
        log = json.loads(self.run_log_path.read_text())
        if not log["completed"] or log["failed_upload_files"]:
            yield f"the run log says completed: {log['completed']}, failed: {log['failed_upload_files']}"
        recorded = {f"{self.prefix}/{os.path.relpath(path, self.run)}": e for path, e in log["uploaded_files"].items()}
        if recorded.keys() != contents.keys():
            yield f"recorded are {recorded.keys() ^ contents.keys()} too many or too few"
        for key, etag in recorded.items():
            if etags.get(key) != etag:
                yield f"{key}: ETag {etag} is recorded, S3 has {etags.get(key)}"
        for name, detail in log["files"].items():
            content = contents.get(self.key(name), b"")
            if detail["size"] != len(content) or detail["crc64nvme"] not in (None, crc_of(content)):
                yield f"{name}: {detail} is recorded, which is not what the file is"

    def recorded(self) -> dict[str, tuple[str, int | None, str | None]]:
        """Return what run log and journal say is uploaded: name -> ETag, size, CRC; damage is passed over."""
        found: dict[str, tuple[str, int | None, str | None]] = {}
        try:
            log = json.loads(self.run_log_path.read_text())
        except (OSError, ValueError):
            log = {"uploaded_files": {}}
        for path, etag in log["uploaded_files"].items():
            name = os.path.relpath(path, self.run)
            detail = log["files"].get(name, {})
            found[name] = (etag, detail.get("size"), detail.get("crc64nvme"))
        for event in self.journal():
            if event["t"] == "file":
                found[event["n"]] = (event["e"], event["s"], event["c"])
            elif event["t"] == "drop":
                found.pop(event["n"], None)
        return found

    def journal(self) -> list[dict[str, Any]]:
        """Return the readable lines of the journal."""
        events = []
        try:
            lines = self.journal_path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        for line in lines:
            try:
                events.append(json.loads(line))
            except ValueError:
                continue
        return events

    def lies(self) -> list[str]:
        """Return what is recorded as uploaded but is not in S3 with that ETag, size and checksum."""
        there = self.server.objects(self.bucket)
        wrong = []
        for name, (etag, size, crc) in self.recorded().items():
            found = there.get(self.key(name))
            if found is None:
                wrong.append(f"{name} is not in S3")
            elif found.etag != etag or size not in (None, found.size):
                wrong.append(f"{name}: {found} in S3, {etag}, {size} recorded")
            elif crc not in (None, crc_of(self.server.body(self.bucket, self.key(name)))):
                wrong.append(f"{name}: its bytes in S3 have another checksum than {crc}")
        return wrong

    def bytes_sent(self) -> int:
        """Return the bytes of bodies that the proxy has seen."""
        return sum(seen.bytes for seen in self.proxy.seen)

    def forget_requests(self) -> None:
        """Count requests from here on."""
        self.proxy.forget()


@contextmanager
def scenario(
    folder: Path, master: Path, server: S3Server, bucket: str, *rules: Rule, **keys: Any
) -> Iterator[Scenario]:
    """Give a scenario with a bucket of its own, which is removed in the end."""
    runs = folder / "sequencer"
    runs.mkdir(parents=True, exist_ok=True)
    server.make_bucket(bucket)
    with FaultProxy(server.endpoint, *rules) as proxy:
        reached = server.behind(proxy.endpoint)
        try:
            yield Scenario(folder, clone(master, runs), server, proxy, reached, bucket, keys=keys)
        finally:
            reached.close()
            server.remove_bucket(bucket)


def is_alive(pid: int) -> bool:
    """Tell whether the process runs; one that is dead and not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until_gone(pids: Iterable[int], seconds: float = 10) -> None:
    """Return when none of the processes is alive."""
    wait_until(lambda: not any(map(is_alive, pids)), "all processes are gone", seconds)


def wait_until(true: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Return when ``true`` says so."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {seconds} s: {what}")
        time.sleep(0.02)


def answered(*operations: str) -> Found:
    """Match requests of these operations whose answer the client has."""
    match = on(*operations)
    return lambda seen: match(seen) and seen.status == 200
