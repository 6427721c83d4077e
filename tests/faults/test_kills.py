"""kill -9, signals, and a server that dies: nothing is lost, little is sent again, no process stays."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from async_s3_upload.demo.run_folder import MIB
from benchmarks.process_tree import descendants
from tests.support import servers
from tests.support.command import RunningCommand
from tests.support.process import workers_of
from tests.support.proxy import Delay, DropAnswer, Forward, Hold, Rule, Stall, on
from tests.support.s3requests import Request, Seen

from .conftest import MakeScenario
from .harness import (
    MARKERS,
    Scenario,
    answered,
    own,
    wait_until,
    wait_until_gone,
)

IN_FLIGHT = 8 * MIB
"""One request at a time: a part whose answer nobody remembers."""


def slowly() -> Rule:
    """Let each upload take a moment, so that there is something to interrupt."""
    return Rule(on("PutObject", "UploadPart"), Delay(0.05))


def any_request(_seen: Seen) -> bool:
    """Match whatever the proxy saw."""
    return True


def wait_for_workers(command: RunningCommand, count: int = 1) -> list[int]:
    """Return the workers once there are so many."""
    wait_until(lambda: len(workers_of(command.pid)) >= count, f"{count} workers run")
    return workers_of(command.pid)


def kill_worker(command: RunningCommand) -> None:
    """Kill one worker."""
    os.kill(wait_for_workers(command)[0], signal.SIGKILL)


def kill_coordinator(command: RunningCommand) -> None:
    """Kill the coordinator alone; its workers have to leave by themselves."""
    command.signal(signal.SIGKILL)


def kill_group(command: RunningCommand) -> None:
    """Kill everything at once."""
    command.signal(signal.SIGKILL, group=True)


KILLS: dict[str, Callable[[RunningCommand], None]] = {
    "worker": kill_worker,
    "coordinator": kill_coordinator,
    "group": kill_group,
}


@pytest.mark.parametrize("seed", [1])
@pytest.mark.parametrize("who", KILLS)
def test_killed_at_a_random_point_the_next_start_ends_complete(scene: MakeScenario, who: str, seed: int) -> None:
    mine = scene(slowly(), max_threads=4)
    with mine.start() as command:
        mine.proxy.wait_for(any_request, times=random.Random(f"{who} {seed}").randint(2, 30))
        family = descendants({command.pid})
        KILLS[who](command)
        if who == "worker":
            done = mine.note(command.wait(60))
            assert done.exit_code == 0, done.stderr
            assert "worker process died" in done.stderr
        else:
            command.wait(10)
            wait_until_gone(family)
            assert mine.lies() == []
    assert mine.run_until_done() <= 2
    mine.assert_complete()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_stops_within_ten_seconds_and_keeps_the_state(scene: MakeScenario, number: signal.Signals) -> None:
    """Also while requests hang: some answers never come."""
    hanging = Rule(on("PutObject", "UploadPart"), Stall(None), skip=6)
    mine = scene(hanging, max_threads=4, request_timeout=60)
    with mine.start() as command:
        mine.proxy.wait_for(lambda seen: seen.operation == "PutObject", times=6)
        wait_until(lambda: hanging.taken > 1, "requests hang")
        family = descendants({command.pid})
        began = time.monotonic()
        command.signal(number)
        done = mine.note(command.wait(20))
        assert time.monotonic() - began < 10
        wait_until_gone(family)
    assert done.exit_code == 128 + number
    assert mine.lies() == []
    mine.proxy.rules.clear()
    mine.proxy.forget()
    before = mine.recorded()
    assert mine.run_until_done() == 1
    assert not {seen.key for seen in mine.proxy.seen if seen.operation == "PutObject"} & set(map(mine.key, before))
    mine.assert_complete()


def test_a_signal_while_the_run_is_verified_stops_soon_and_the_run_is_not_completed(scene: MakeScenario) -> None:
    listing = Rule(lambda request: request.operation == "ListObjectsV2", Stall(None))
    mine = scene(listing, request_timeout=60)
    with mine.start() as command:
        wait_until(lambda: listing.taken == 1, "the listing hangs")
        began = time.monotonic()
        command.signal(signal.SIGTERM)
        done = mine.note(command.wait(20))
        assert time.monotonic() - began < 10
    assert done.exit_code == 143
    mine.proxy.rules.clear()
    mine.proxy.forget()
    assert mine.run_until_done() == 1
    put = [seen.key for seen in mine.proxy.seen if seen.operation in ("PutObject", "UploadPart")]
    assert put == [mine.key(name) for name in MARKERS]
    assert mine.proxy.count(on("ListObjectsV2")) == 1
    mine.assert_complete()


def test_a_second_signal_stops_at_once(scene: MakeScenario) -> None:
    mine = scene(Rule(on("PutObject", "UploadPart"), Stall(None)), request_timeout=60)
    with mine.start() as command:
        mine.proxy.wait_for(on("PutObject"))
        family = descendants({command.pid})
        command.signal(signal.SIGINT)
        wait_until(lambda: not has_pending_signals(command.pid), "the first signal arrived")
        began = time.monotonic()
        command.signal(signal.SIGINT)
        done = mine.note(command.wait(10))
        assert time.monotonic() - began < 2
        wait_until_gone(family)
    assert done.exit_code == 130
    mine.proxy.rules.clear()
    assert mine.run_until_done() == 1
    mine.assert_complete()


def test_workers_leave_when_the_coordinator_is_killed_while_requests_hang(scene: MakeScenario) -> None:
    mine = scene(Rule(on("PutObject", "UploadPart"), Stall(None)), request_timeout=60)
    with mine.start() as command:
        mine.proxy.wait_for(on("UploadPart"))
        family = descendants({command.pid})
        assert len(family) >= 2
        command.signal(signal.SIGKILL)
        command.wait(5)
        wait_until_gone(family, seconds=5)
    mine.proxy.rules.clear()
    assert mine.run_until_done() == 1
    mine.assert_complete()


def test_the_server_is_killed_and_restarted_in_mid_run(scene: MakeScenario) -> None:
    seaweed = scene.enter(servers.RestartableSeaweed())
    mine = scene(slowly(), server=seaweed.server, max_threads=4)
    with mine.start() as command:
        mine.proxy.wait_for(answered("PutObject", "UploadPart"), times=8)
        seaweed.kill()
        seaweed.restart()
        done = mine.note(command.wait(60))
    assert done.exit_code in (0, 3)
    assert mine.run_until_done() <= 2
    mine.assert_complete()


@pytest.mark.parametrize("who", ["coordinator", "group"])
def test_a_big_file_killed_at_90_percent_sends_little_of_it_again(scene: MakeScenario, who: str) -> None:
    mine = scene(run=scene.big_run, max_threads=1)
    with mine.start() as command:
        mine.proxy.wait_for(answered("UploadPart"), times=18, timeout=60)
        family = descendants({command.pid})
        KILLS[who](command)
        command.wait(10)
        wait_until_gone(family)
    mine.proxy.forget()
    assert mine.run_until_done() == 1
    sent = sum(seen.bytes for seen in mine.proxy.seen if seen.operation == "UploadPart")
    size = 160 * MIB
    scene.figure(f"160 MB file, {who} killed at 90 %: {sent / size:.1%} of its bytes sent by the second start")
    assert sent <= 0.15 * size + IN_FLIGHT
    assert mine.proxy.count(on("CreateMultipartUpload")) == 0
    mine.assert_complete()


def test_killed_while_the_answer_to_complete_is_on_its_way_the_file_is_not_sent_again(scene: MakeScenario) -> None:
    """Complete took effect, nobody heard of it."""
    lost = Rule(on("CompleteMultipartUpload"), DropAnswer(), times=1)
    mine = scene(lost, max_threads=1, max_cores=1)
    with mine.start() as command:
        wait_until(lambda: len(mine.server.uploads_in_progress(mine.bucket)) == 1, "the first is begun")
        wait_until(lambda: lost.taken == 1 and mine.server.uploads_in_progress(mine.bucket) == [], "it is completed")
        kill_group(command)
        command.wait(10)
    arrived = set(mine.server.objects(mine.bucket))
    (first,) = [name for name in mine.big if mine.key(name) in arrived]
    mine.proxy.forget()
    assert mine.run_until_done() == 1
    mine.assert_complete()
    again = [seen for seen in mine.proxy.seen if seen.operation == "UploadPart" and seen.key == mine.key(first)]
    assert again == []


def test_a_file_that_kills_its_worker_fails_alone(scene: MakeScenario) -> None:
    """Whoever has it in hand is killed, as the kernel would for lack of memory; everything else arrives."""
    holding = Hold()
    mine = scene(max_cores=1, max_threads=4, request_timeout=60)  # or second tries would be counted as well
    poison = mine.small[5]
    rule = Rule(on("PutObject", key_ends=poison), holding)
    mine.proxy.rules.insert(0, rule)
    with mine.start() as command:
        for death in range(1, 4):  # in company, then twice alone
            wait_until(lambda death=death: rule.taken >= death, f"try {death}")  # type: ignore[misc]
            kill_worker(command)
        done = mine.note(command.wait(60))
    assert done.exit_code == 3
    (row,) = done.json["runs"]
    assert [failed["path"] for failed in row["failed_files"]] == [str(mine.run / poison)]
    assert "worker processes died with this file alone in hand" in row["failed_files"][0]["error"]
    assert set(mine.recorded()) == {*mine.small, *mine.big} - {poison, *MARKERS}
    assert mine.lies() == []
    mine.proxy.rules.clear()
    assert mine.run_until_done() == 1
    mine.assert_complete()


def has_pending_signals(pid: int) -> bool:
    """Tell whether a signal was sent that the process has not taken yet: two of a kind would be one."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return any(int(status[name], 16) for name in ("SigPnd", "ShdPnd"))


Change = Callable[[Path], None]


def rewritten(path: Path) -> None:
    """Write other bytes of the same length."""
    own(path).write_bytes(random.Random(5).randbytes(path.stat().st_size))


def truncated(path: Path) -> None:
    """Cut it short, below the size from which files go up in parts."""
    os.truncate(own(path), 3 * MIB if path.stat().st_size > 3 * MIB else 10)


def grown(path: Path) -> None:
    """Append to it."""
    with own(path).open("ab") as file:
        file.write(b"more")


def replaced(path: Path) -> None:
    """Put another file of the same size and time at its place."""
    times = path.stat()
    other = path.with_name("other")
    other.write_bytes(random.Random(6).randbytes(times.st_size))
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.rename(path)


CHANGES: dict[str, Change] = {"rewritten": rewritten, "truncated": truncated, "grown": grown, "replaced": replaced}


@pytest.mark.parametrize("change", CHANGES)
def test_files_that_change_while_they_are_sent_are_sent_as_they_are_in_the_end(
    scene: MakeScenario, change: str
) -> None:
    """One that is PUT, and one of which a part is on its way."""
    mine = scene(request_timeout=30)
    put, parts = mine.small[3], mine.big[0]
    holding = Hold()
    rules = [
        Rule(on("PutObject", key_ends=put), holding, times=1),
        Rule(on("UploadPart", key_ends=parts, part=2), holding, times=1),
    ]
    mine.proxy.rules += rules
    with mine.start() as command:
        wait_until(lambda: all(rule.taken == 1 for rule in rules), "the requests are on their way")
        for name in (put, parts):
            CHANGES[change](mine.run / name)
        holding.release()
        done = mine.note(command.wait(60))
    assert done.exit_code == 0, done.stderr
    assert "2 files changed meanwhile and are sent again" in done.stderr
    mine.assert_complete()


def test_a_file_that_shrinks_between_two_starts_leaves_no_upload_behind(scene: MakeScenario) -> None:
    """Its multipart upload is begun; when it is small enough for one PUT that upload has to go."""
    holding = Hold(Forward())
    mine = scene(Rule(on("UploadPart"), holding, skip=1), max_threads=1, max_cores=1)
    with mine.start() as command:
        wait_until(lambda: any(event["t"] == "part" for event in mine.journal()), "a part is remembered")
        kill_group(command)
        command.wait(10)
    (name,) = {event["n"] for event in mine.journal() if event["t"] == "part"}
    mine.proxy.rules.clear()
    truncated(mine.run / name)
    assert mine.run_until_done() == 1
    mine.assert_complete()


def test_a_file_that_vanishes_is_failed_with_the_reason_and_its_upload_goes(scene: MakeScenario) -> None:
    mine = scene(request_timeout=30)
    name = mine.big[0]
    holding = Hold()
    rule = Rule(on("UploadPart", key_ends=name, part=2), holding, times=1)
    mine.proxy.rules.insert(0, rule)
    with mine.start() as command:
        wait_until(lambda: rule.taken == 1, "the part is on its way")
        (mine.run / name).unlink()
        holding.release()
        done = mine.note(command.wait(60))
    assert done.exit_code == 3
    (failed,) = done.json["runs"][0]["failed_files"]
    assert failed["path"] == str(mine.run / name)
    assert "No such file" in failed["error"]
    assert name not in mine.recorded()
    assert mine.lies() == []
    assert mine.run_until_done() == 1
    mine.assert_complete()


def test_a_file_that_changes_each_time_is_reported_as_changing(scene: MakeScenario) -> None:
    mine = scene(request_timeout=30)
    name = mine.small[3]
    path = mine.run / name

    def change(_seen: Request) -> bool:
        if _seen.operation == "PutObject" and _seen.key.endswith(name):
            grown(path)
        return False

    own(path)
    mine.proxy.rules.insert(0, Rule(change, Forward()))
    done = mine.run_once()
    assert done.exit_code == 3
    (failed,) = done.json["runs"][0]["failed_files"]
    assert "keeps changing" in failed["error"]
    assert set(mine.recorded()) == {*mine.small, *mine.big} - {name, *MARKERS}
    mine.proxy.rules.clear()
    assert mine.run_until_done() == 1
    mine.assert_complete()


def test_a_stop_between_two_kills_never_leaves_a_lie(scene: MakeScenario) -> None:
    """Three random kills of the group in a row, a look at the state after each."""
    draw = random.Random(9)
    mine: Scenario = scene(slowly(), max_threads=4)
    for _ in range(3):
        mine.proxy.forget()
        with mine.start() as command:
            finished = threading.Event()
            try:
                mine.proxy.wait_for(any_request, times=draw.randint(3, 12), timeout=10)
            except TimeoutError:
                finished.set()
            kill_group(command)
            command.wait(10)
        assert mine.lies() == []
        if finished.is_set():
            break
    assert mine.run_until_done() <= 2
    mine.assert_complete()
