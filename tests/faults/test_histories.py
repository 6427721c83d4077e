"""Thousands of short histories of faults, crashes and restarts, generated: the invariants hold after each start.

Everything above the network is the real thing: run log, journal, coordinator, engine. S3 is a MemoryStore, the
workers are engines in this process, and waiting takes no time.
"""

import asyncio
import logging
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from async_s3_upload.delivery.uploading import RunTask, Uploader
from async_s3_upload.errors import WorkersError
from async_s3_upload.state.owner import decode
from async_s3_upload.state.run_logs import Identity, RunLogs
from async_s3_upload.state.run_state import recall
from async_s3_upload.transfer import parts
from async_s3_upload.transfer.coordination import coordinator as coordinating
from async_s3_upload.transfer.ending import Completes
from async_s3_upload.transfer.messages import Limits
from async_s3_upload.transfer.stores.store import Throttled, Transient
from tests.contract.memory_store import MemoryStore
from tests.contract.scripted_store import Act, Call, Fail, Hang, Ok, ScriptedStore
from tests.state.owners import dead_process

from .harness import crc_of
from .local_workers import local_coordinator
from .warp import WarpLoop

T = TypeVar("T")
BUCKET = "b"
PART = 64
LONGEST_S = 24 * 3600.0
HISTORIES = int(os.environ.get("HISTORIES", "1000"))
"""How many the test tries."""

EVENTS = ("error", "lost-answer", "throttled", "hang", "crash", "crash-after", "death", "death-after", "change")
CHANGES = ("grow", "shrink", "rewrite", "remove", "to-parts", "to-one-piece")


@dataclass(frozen=True)
class Start:
    """One start: a change before it, what happens by the number of the call to S3, damage of the state after it."""

    events: dict[int, str]
    before: str
    changes: tuple[str, ...]
    damage: str


@dataclass(frozen=True)
class History:
    """Sizes of the files, who completes uploads, and what happens in the starts before the last, a quiet one."""

    sizes: tuple[int, ...]
    starts: tuple[Start, ...]
    completes: Completes = "worker"


starts = st.builds(
    Start,
    st.dictionaries(st.integers(0, 24), st.sampled_from(EVENTS), min_size=1, max_size=8),
    st.sampled_from((*CHANGES, "none")),
    st.tuples(st.sampled_from(CHANGES), st.sampled_from(CHANGES)),
    st.sampled_from(("none",) * 6 + ("torn", "middle", "log")),
)
histories = st.builds(
    History,
    st.lists(st.sampled_from((0, 1, 50, 128, 129, 150, 200, 320)), min_size=2, max_size=6).map(tuple),
    st.lists(starts, min_size=1, max_size=4).map(tuple),
    st.sampled_from(("worker", "coordinator")),
)


class Crash(Exception):
    """The coordinator and all workers are gone."""


@dataclass
class World:
    """The run folder, the state on disk, S3, and the start that goes on at the moment."""

    folder: Path
    s3: MemoryStore
    completes: Completes
    events: dict[int, str] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    calls: int = 0
    crashed: bool = False
    kill_one: Callable[[], None] = lambda: None
    main: "asyncio.Task[str] | None" = None
    puts: list[str] = field(default_factory=list)

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def log_dir(self) -> Path:
        return self.folder / "log"

    def make_files(self, sizes: tuple[int, ...]) -> None:
        self.run.mkdir()
        for number, size in enumerate(sizes):
            (self.run / f"f{number}").write_bytes(os.urandom(size))
        for name in ("uploads", "locks"):
            (self.log_dir / name).mkdir(parents=True)

    def change_a_file(self) -> None:
        """Change the first file that is left, as scripted."""
        files = sorted(self.run.iterdir())
        if not files or not self.changes:
            return
        kind, path = self.changes.pop(), files[self.calls % len(files)]
        content = path.read_bytes()
        new = {
            "grow": content + b"x",
            "shrink": content[: len(content) // 2],
            "rewrite": bytes(byte ^ 1 for byte in content),
            "to-parts": os.urandom(300),
            "to-one-piece": os.urandom(20),
        }
        if kind == "remove" and len(files) > 1:
            path.unlink()
        elif kind in new:
            other = self.folder / "new"
            other.write_bytes(new[kind])  # another inode: a change within one tick of the clock would go unseen
            other.replace(path)

    def crash(self) -> None:
        """Freeze what is on disk now; nothing of this start has any effect from here on."""
        if not self.crashed:
            self.crashed = True
            shutil.copytree(self.log_dir, self.folder / "frozen")
            assert self.main is not None
            self.main.cancel()

    def damage(self, kind: str) -> None:
        for path in (self.log_dir / "uploads").iterdir():
            content = path.read_bytes()
            if path.name.endswith(".journal.jsonl") and kind == "torn" and content:
                path.write_bytes(content + content.splitlines()[-1][:-7])  # the next line did not get through
            elif path.name.endswith(".journal.jsonl") and kind == "middle" and content.count(b"\n") > 2:
                path.write_bytes(content[:9] + b"#" + content[10:])
            elif path.name.endswith(".log.json") and kind == "log":
                path.write_bytes(content[: len(content) // 2])


@dataclass(frozen=True)
class Dead:
    """The call happens perhaps; the caller does not live to hear of it."""

    end: Callable[[], None]
    after: bool

    async def act(self, proceed: Callable[[], Awaitable[T]]) -> T:
        if self.after:
            await proceed()
        self.end()
        await asyncio.Event().wait()
        raise AssertionError


class HistoryStore(ScriptedStore):
    """S3 as the start meets it."""

    def __init__(self, world: World) -> None:
        super().__init__(world.s3)
        self._world = world

    def _act_for(self, call: Call) -> Act:
        world = self._world
        if world.crashed:
            return Hang()
        if call.name in ("put_object", "create_multipart"):
            world.puts.append(call.key)
        number, world.calls = world.calls, world.calls + 1
        what = world.events.get(number, "")
        listing = call.name.startswith("list_o") or call.name == "list_uploads"
        if what == "change":
            world.change_a_file()
        acts: dict[str, Act] = {
            "error": Fail(Transient("scripted")),
            "lost-answer": Fail(Transient("lost"), after=True),
            "throttled": Fail(Throttled("SlowDown")),
            "hang": Fail(Transient("a page has a limit")) if listing else Hang(),
            "crash": Dead(world.crash, after=False),
            "crash-after": Dead(world.crash, after=True),
            "death": Dead(world.kill_one, after=False) if not listing and call.name != "head" else Ok(),
            "death-after": Dead(world.kill_one, after=True) if not listing and call.name != "head" else Ok(),
        }
        return acts.get(what, Ok())


async def upload(world: World) -> str:
    """Do one start; returns the state of the run's row."""
    store = HistoryStore(world)
    identity = Identity(str(world.run), BUCKET, "r")
    coordinator, pool = local_coordinator(
        store,
        limits=Limits(concurrency=3, memory_bytes=4 * PART, request_base_s=1),
        completes_with=store if world.completes == "coordinator" else None,
    )
    world.kill_one = pool.kill_one
    async with coordinator:
        async with asyncio.timeout(LONGEST_S):
            row = await Uploader(coordinator, store, RunLogs(str(world.log_dir)), verify=True).upload(
                RunTask(identity, (), "new")
            )
    return row.state


def play(world: World, start: Start) -> str:
    """Do one start with its events; returns the state of the run's row, or "crashed"."""
    world.events, world.changes = dict(start.events), [start.before]
    world.change_a_file()
    world.changes = list(start.changes)
    world.calls, world.crashed = 0, False
    state = "crashed"

    async def main() -> None:
        nonlocal state
        async with world.s3:
            world.main = asyncio.create_task(upload(world))
            with suppress(asyncio.CancelledError):
                try:
                    state = await world.main
                except WorkersError:  # five deaths without one file done
                    state = "gave up"
            others = asyncio.all_tasks() - {asyncio.current_task()}  # aborts of a start that is dead
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

    with asyncio.Runner(loop_factory=WarpLoop) as runner:
        runner.run(main())
    if world.crashed:
        shutil.rmtree(world.log_dir)
        (world.folder / "frozen").rename(world.log_dir)
        bury(world.log_dir)
        state = "crashed"
    return state


def bury(log_dir: Path) -> None:
    """Let the locks that were held be those of a process that is gone: the one that crashed is this one, and lives."""
    for path in log_dir.glob("locks/*.owner/*"):
        owner = decode(path.read_bytes())
        assert owner is not None
        path.write_bytes(replace(owner, process=dead_process()).encode())


def recorded(world: World) -> dict[str, tuple[str, str | None]]:
    identity = Identity(str(world.run), BUCKET, "r")
    known = recall(identity, RunLogs(str(world.log_dir)).find(identity))
    return {name: (record.etag, record.crc64nvme) for name, record in known.log.files.items()}


def assert_no_lie(world: World) -> None:
    """What is recorded as uploaded is in S3, with that ETag and those bytes."""
    for name, (etag, crc) in recorded(world).items():
        there = world.s3.objects[BUCKET].get(f"r/run/{name}")
        assert there is not None, f"{name} is recorded and not in S3"
        assert there.etag == etag, f"{name} is recorded with another ETag"
        assert crc == crc_of(there.body), f"{name} is recorded with another checksum"


def assert_whole(world: World) -> None:
    """S3 holds the files as they are; no upload dangles; the run is completed and the journal gone."""
    files = {f"r/run/{path.name}": path.read_bytes() for path in world.run.iterdir()}
    objects = {key: stored.body for key, stored in world.s3.objects[BUCKET].items()}
    assert {key: objects.get(key) for key in files} == files
    assert world.s3.uploads == {}, "uploads dangle"
    assert set(recorded(world)) >= {path.name for path in world.run.iterdir()}
    assert [path.name for path in (world.log_dir / "uploads").iterdir() if "journal.jsonl" in path.name[-14:]] == []
    assert not list((world.log_dir / "uploads").glob("*.tmp"))


@pytest.fixture(autouse=True)
def _small_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_SIZE", PART)
    monkeypatch.setattr(parts, "MULTIPART_THRESHOLD", 2 * PART)
    monkeypatch.setattr(coordinating, "worker_count", lambda *_: 2)
    monkeypatch.setattr(os, "fsync", lambda _: None)  # no machine crashes here, only processes
    logger = logging.getLogger("async_s3_upload")
    monkeypatch.setattr(logger, "disabled", True)


@settings(
    max_examples=HISTORIES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(histories)
def test_whatever_happens_the_next_quiet_start_ends_complete(history: History) -> None:
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="history-", dir=memory if memory.is_dir() else None) as name:
        world = World(Path(name), MemoryStore(BUCKET, min_part_size=1), history.completes)
        world.make_files(history.sizes)
        trusted = True
        for start in history.starts:
            state = play(world, start)
            event(state)
            trusted = trusted or state in ("uploaded", "skipped")
            if trusted:  # else a journal is lost that said that a record of the run log holds no more
                assert_no_lie(world)
            world.damage(start.damage)
            trusted = trusted and start.damage not in ("middle", "log")
        before = {path.name: path.read_bytes() for path in world.run.iterdir()}
        state = play(world, Start({}, "none", (), "none"))
        assert {path.name: path.read_bytes() for path in world.run.iterdir()} == before
        assert state in ("uploaded", "skipped")
        assert_no_lie(world)
        assert_whole(world)
