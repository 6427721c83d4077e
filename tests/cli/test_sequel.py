"""Runs one after the other, overlapping: order of the rows, and what one run's trouble means for the others."""

import asyncio
import os
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from async_s3_upload.cli.sequel import Sequel
from async_s3_upload.cli.signals import Interruption
from async_s3_upload.delivery.row import RunRow
from async_s3_upload.delivery.uploading import RunTask, Uploader
from async_s3_upload.errors import Interrupted, WorkersError
from async_s3_upload.state import claim
from async_s3_upload.state.lock import exclusive
from async_s3_upload.state.run_logs import Identity, RunLogs
from async_s3_upload.state.this_host import this_process
from async_s3_upload.transfer.coordination import coordinator as coordinating
from async_s3_upload.transfer.messages import Limits
from async_s3_upload.transfer.stores.store import AccessDenied
from tests.contract.memory_store import MemoryStore
from tests.contract.scripted_store import Act, Call, Fail, Hold, Rule, ScriptedStore
from tests.faults.local_workers import local_coordinator
from tests.state.owners import leave


class Script(Uploader):
    """Takes runs as scripted: each goes on until the test ends it."""

    def __init__(self) -> None:
        self.doomed = {}
        self.gave_up = None
        self.begun: list[str] = []
        self.cancelled: list[str] = []
        self.ends: dict[str, asyncio.Future[str]] = {}
        self.hand_out: dict[str, Callable[[], None]] = {}

    async def upload(
        self,
        task: RunTask,
        resend: Collection[str] = (),
        probe: Collection[str] = (),
        on_handed_out: Callable[[], None] | None = None,
    ) -> RunRow:
        name = task.identity.run_id
        self.begun.append(name)
        self.ends[name] = asyncio.get_running_loop().create_future()
        assert on_handed_out is not None
        self.hand_out[name] = on_handed_out
        try:
            detail = await self.ends[name]
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise
        row = task.row()
        row.detail = detail
        return row


class Stage:
    """A sequel under way."""

    def __init__(self, *names: str) -> None:
        self.rows: list[RunRow] = []
        self.script = Script()
        self.interruption = Interruption()
        sequel = Sequel(self.script, [task_of(name) for name in names], self.rows, self.interruption)
        self.task = asyncio.create_task(sequel.upload())

    async def begun(self) -> list[str]:
        for _ in range(20):
            await asyncio.sleep(0)
        return self.script.begun

    @property
    def ended(self) -> list[tuple[str, str]]:
        return [(row.run_id, row.detail) for row in self.rows]


def task_of(name: str, bucket: str = "b", remote: str = "/") -> RunTask:
    return RunTask(Identity(f"/seq/{name}", bucket, remote), (), "new")


async def test_the_next_run_is_begun_when_the_one_before_has_nothing_left_to_hand_out() -> None:
    stage = Stage("one", "two", "three")
    assert await stage.begun() == ["one"]
    stage.script.hand_out["one"]()
    assert await stage.begun() == ["one", "two"]
    stage.script.hand_out["two"]()
    assert await stage.begun() == ["one", "two"], "two at a time"
    stage.script.ends["two"].set_result("second")
    await stage.begun()
    assert stage.ended == [], "rows come in order"
    stage.script.ends["one"].set_result("first")
    assert await stage.begun() == ["one", "two", "three"]
    stage.script.ends["three"].set_result("third")
    await stage.task
    assert stage.ended == [("one", "first"), ("two", "second"), ("three", "third")]


async def test_two_runs_of_one_name_are_not_under_way_together() -> None:
    stage = Stage("a/run", "b/run")
    await stage.begun()
    stage.script.hand_out["run"]()
    assert await stage.begun() == ["run"]
    stage.script.ends["run"].set_result("")
    assert await stage.begun() == ["run", "run"]
    stage.script.ends["run"].set_result("")
    await stage.task


async def test_after_doom_runs_to_that_bucket_are_not_begun() -> None:
    stage = Stage("one", "two", "three")
    await stage.begun()
    stage.script.doomed["b"] = "no such bucket"
    stage.script.ends["one"].set_result("doomed")
    await stage.task
    assert stage.ended == [
        ("one", "doomed"),
        ("two", "not begun: no such bucket"),
        ("three", "not begun: no such bucket"),
    ]


async def test_when_one_gives_up_the_one_that_is_under_way_comes_to_its_end() -> None:
    stage = Stage("one", "two", "three")
    await stage.begun()
    stage.script.hand_out["one"]()
    await stage.begun()
    stage.script.gave_up = "nothing succeeds"
    stage.script.ends["one"].set_result("gave up")
    await stage.begun()
    assert len(stage.rows) == 1
    stage.script.ends["two"].set_result("gave up too")
    await stage.task
    assert stage.ended[2] == ("three", "not begun: nothing succeeds")


async def test_a_signal_lets_both_runs_end_and_begins_no_more() -> None:
    stage = Stage("one", "two", "three")
    await stage.begun()
    stage.script.hand_out["one"]()
    await stage.begun()
    stage.interruption.signal_number = 15
    stage.script.ends["one"].set_result("stopped")
    stage.script.ends["two"].set_result("stopped too")
    with pytest.raises(Interrupted):
        await stage.task
    assert stage.ended == [("one", "stopped"), ("two", "stopped too")]
    assert stage.script.begun == ["one", "two"]


async def test_an_error_of_the_second_run_lets_the_first_one_end() -> None:
    stage = Stage("one", "two", "three")
    await stage.begun()
    stage.script.hand_out["one"]()
    await stage.begun()
    stage.script.ends["two"].set_exception(WorkersError("no workers"))
    await stage.begun()
    stage.script.ends["one"].set_result("first")
    with pytest.raises(WorkersError):
        await stage.task
    assert stage.ended == [("one", "first")]
    assert stage.script.cancelled == []


async def test_an_error_of_the_first_run_ends_the_second_one() -> None:
    stage = Stage("one", "two")
    await stage.begun()
    stage.script.hand_out["one"]()
    await stage.begun()
    stage.script.ends["one"].set_exception(WorkersError("no workers"))
    with pytest.raises(WorkersError):
        await stage.task
    assert stage.script.cancelled == ["two"]
    assert stage.ended == []


# the real uploader, coordinator and engines


def make_run(folder: Path, name: str, files: int) -> Path:
    run = folder / name
    run.mkdir()
    for number in range(files):
        (run / f"f{number:03}").write_bytes(os.urandom(20 + number))
    return run


async def upload_three(folder: Path, store: ScriptedStore) -> tuple[list[RunRow], Uploader]:
    for name in ("uploads", "locks"):
        (folder / "log" / name).mkdir(parents=True)
    tasks = [
        RunTask(Identity(str(make_run(folder, name, 30)), bucket, "r"), (), "new")
        for name, bucket in (("one", "b"), ("two", "b"), ("other", "c"))
    ]
    rows: list[RunRow] = []
    coordinator, _ = local_coordinator(store, limits=Limits(concurrency=4))
    async with asyncio.timeout(60), store, coordinator:
        uploader = Uploader(coordinator, store, RunLogs(str(folder / "log")), verify=True)
        await Sequel(uploader, tasks, rows, Interruption()).upload()
    return rows, uploader


@pytest.fixture
def two_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinating, "worker_count", lambda *_: 2)


async def upload_one(folder: Path, *, stop: bool) -> RunRow:
    """Upload a run that a process of another host did not let go of."""
    for name in ("uploads", "locks"):
        (folder / "log" / name).mkdir(parents=True)
    leave(str(folder / "log" / "locks" / "one.lock"))
    task = RunTask(Identity(str(make_run(folder, "one", 3)), "b", "r"), (), "new")
    store = ScriptedStore(MemoryStore("b"))
    coordinator, _ = local_coordinator(store, limits=Limits(concurrency=4))
    async with asyncio.timeout(60), store, coordinator:
        uploader = Uploader(coordinator, store, RunLogs(str(folder / "log")), verify=True)
        uploading = asyncio.create_task(uploader.upload(task))
        await asyncio.sleep(0)
        if stop:
            coordinator.stop()
        return await uploading


async def test_a_stop_ends_the_look_at_a_process_of_another_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "_followed", set())
    row = await upload_one(tmp_path, stop=True)
    assert row.state == "partial"
    assert row.detail == "stopped while another process was looked for that may upload this run"


async def test_a_run_that_another_host_left_behind_goes_on_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(claim, "SILENT_LOOKS", 2)
    monkeypatch.setattr(claim, "_followed", set())
    monkeypatch.setattr(claim, "clock", lambda: 0.0)  # however slow the machine is, no look counts as late
    assert (await upload_one(tmp_path, stop=False)).state == "uploaded"


async def test_a_run_that_another_process_uploads_is_left_to_that_and_says_to_which(tmp_path: Path) -> None:
    (tmp_path / "log" / "locks").mkdir(parents=True)
    with exclusive(str(tmp_path / "log" / "locks" / "one.lock")):
        task = RunTask(Identity(str(make_run(tmp_path, "one", 3)), "b", "r"), (), "new")
        store = ScriptedStore(MemoryStore("b"))
        coordinator, _ = local_coordinator(store, limits=Limits(concurrency=4))
        async with store, coordinator:
            row = await Uploader(coordinator, store, RunLogs(str(tmp_path / "log")), verify=True).upload(task)
    assert row.detail == f"another process uploads this run at the moment ({this_process()})"


@pytest.mark.usefixtures("two_workers")
async def test_the_next_runs_first_file_goes_before_the_last_run_is_verified(tmp_path: Path) -> None:
    gate = asyncio.Event()

    class Opening(ScriptedStore):
        def _act_for(self, call: Call) -> Act:
            if call.key.startswith("r/two/"):
                gate.set()
            return super()._act_for(call)

    store = Opening(MemoryStore("b", "c"), [Rule(lambda call: call.key == "r/one/f000", Hold(gate))])
    rows, _ = await upload_three(tmp_path, store)
    assert [(row.run_id, row.state) for row in rows] == [
        ("one", "uploaded"),
        ("two", "uploaded"),
        ("other", "uploaded"),
    ]
    names = [(call.name, call.key) for call in store.calls]
    verified = names.index(("list_objects", "r/one/"))
    assert [call.key for call in store.calls[:verified] if call.key.startswith("r/two/")]
    puts = [call.key for call in store.calls if call.name == "put_object"]
    assert len(puts) == len(set(puts)) == 90


@pytest.mark.usefixtures("two_workers")
async def test_a_bucket_that_denies_everything_takes_one_run_and_other_buckets_go_on(tmp_path: Path) -> None:
    refused = Rule(lambda call: call.key.startswith(("r/one", "r/two")), Fail(AccessDenied("no")), times=None)
    rows, uploader = await upload_three(tmp_path, ScriptedStore(MemoryStore("b", "c"), [refused]))
    assert [row.state for row in rows] == ["partial", "partial", "uploaded"]
    assert rows[1].detail.startswith("not begun: bucket b: access was denied")
    assert set(uploader.doomed) == {"b"}
