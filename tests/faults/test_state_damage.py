"""Damaged state and a disk that is full: said clearly, S3 is asked, nothing is lost and little is sent again."""

import resource
import signal
from collections.abc import Callable

import pytest

from tests.support.command import RunningCommand
from tests.support.proxy import Delay, Hold, Rule, Stall, on

from .conftest import MakeScenario
from .harness import Scenario, answered, wait_until

Damage = Callable[[Scenario], None]


def interrupted(mine: Scenario, after: int = 12) -> None:
    """Let a start be killed when so many requests were answered, parts of a big file among them."""
    mine.proxy.rules.append(Rule(on("UploadPart"), Stall(None), skip=1))
    mine.proxy.rules.append(Rule(on("PutObject", "UploadPart"), Delay(0.03)))
    with mine.start() as command:
        mine.proxy.wait_for(answered("PutObject", "UploadPart"), times=after)
        wait_until(lambda: any(event["t"] == "part" for event in mine.journal()), "a part is remembered")
        command.signal(signal.SIGKILL, group=True)
        command.wait(10)
    mine.proxy.rules.clear()
    mine.proxy.forget()


def torn_last_line(mine: Scenario) -> None:
    content = mine.journal_path.read_bytes()
    mine.journal_path.write_bytes(content[: -len(content.splitlines()[-1]) // 2])


def garbage_at_the_end(mine: Scenario) -> None:
    with mine.journal_path.open("ab") as file:
        file.write(b'\x00\xff{"t":"file","n":"RunInfo.xml","e":"0"')


def damaged_middle(mine: Scenario) -> None:
    lines = mine.journal_path.read_bytes().splitlines(keepends=True)
    middle = bytearray(lines[len(lines) // 2])
    middle[len(middle) // 2] ^= 1
    lines[len(lines) // 2] = bytes(middle)
    mine.journal_path.write_bytes(b"".join(lines))


def zeros_in_the_middle(mine: Scenario) -> None:
    """What some file systems leave of a write that the power cut."""
    content = bytearray(mine.journal_path.read_bytes())
    third = len(content) // 3
    content[third : 2 * third] = bytes(third)
    mine.journal_path.write_bytes(content)


def truncated_run_log(mine: Scenario) -> None:
    content = mine.run_log_path.read_bytes()
    mine.run_log_path.write_bytes(content[: len(content) // 2])


def both_damaged(mine: Scenario) -> None:
    damaged_middle(mine)
    truncated_run_log(mine)


SEEN_THROUGH: list[Damage] = [torn_last_line, garbage_at_the_end]
ASKED: list[Damage] = [damaged_middle, zeros_in_the_middle, truncated_run_log, both_damaged]


@pytest.mark.parametrize("damage", SEEN_THROUGH, ids=lambda damage: damage.__name__)
def test_a_damaged_last_line_costs_that_line(scene: MakeScenario, damage: Damage) -> None:
    mine = scene(max_threads=4, request_timeout=5)
    interrupted(mine)
    before = mine.recorded()
    damage(mine)
    after = mine.recorded()
    assert len(before) - len(after) <= 1
    assert mine.run_until_done() == 1
    sent = {seen.key for seen in mine.proxy.seen if seen.operation == "PutObject"}
    assert not sent & set(map(mine.key, after))
    assert mine.proxy.count(on("ListParts")) >= 1, "the upload that was begun is gone on with"
    mine.assert_complete()


@pytest.mark.parametrize("damage", ASKED, ids=lambda damage: damage.__name__)
def test_after_damage_s3_is_asked_and_nothing_it_has_is_sent_again(scene: MakeScenario, damage: Damage) -> None:
    mine = scene(max_threads=4, request_timeout=5)
    interrupted(mine)
    damage(mine)
    there = set(mine.server.objects(mine.bucket))
    assert len(there) >= 8
    assert mine.run_until_done() == 1
    said = mine.completed[-1].stderr
    assert ("is damaged" in said) or ("is torn" in said)
    sent = {seen.key for seen in mine.proxy.seen if seen.operation in ("PutObject", "CompleteMultipartUpload")}
    assert not sent & there
    mine.assert_complete()
    assert list(mine.uploads.glob("*.damaged")), "what was damaged is kept aside"


def test_a_start_that_is_killed_while_it_asks_is_asked_for_by_the_next_one(scene: MakeScenario) -> None:
    mine = scene(max_threads=4, request_timeout=5)
    interrupted(mine)
    both_damaged(mine)
    there = set(mine.server.objects(mine.bucket))
    listing = Rule(on("ListObjectsV2"), Stall(None))
    mine.proxy.rules.append(listing)
    with mine.start() as command:
        wait_until(lambda: listing.taken >= 1, "S3 is being asked")
        command.signal(signal.SIGKILL, group=True)
        command.wait(10)
    mine.proxy.rules.clear()
    mine.proxy.forget()
    assert mine.run_until_done() == 1
    sent = {seen.key for seen in mine.proxy.seen if seen.operation in ("PutObject", "CompleteMultipartUpload")}
    assert not sent & there
    mine.assert_complete()


def limit_files(command: RunningCommand, size: int) -> None:
    """Let no file of the command grow beyond ``size`` bytes from now on, as if its disk were full."""
    _, most = resource.prlimit(command.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(command.pid, resource.RLIMIT_FSIZE, (size, most))


def test_a_disk_that_is_full_in_mid_run_stops_the_command_cleanly(scene: MakeScenario) -> None:
    mine = scene(Rule(on("PutObject", "UploadPart"), Delay(0.1)), max_threads=2)
    with mine.start() as command:
        wait_until(lambda: len(mine.recorded()) >= 6, "some files are recorded")
        limit_files(command, mine.journal_path.stat().st_size + 100)
        done = mine.note(command.wait(30))
    assert done.exit_code == 3
    (row,) = done.json["runs"]
    assert "cannot be written: File too large" in row["detail"]
    assert row["state"] == "partial"
    assert mine.lies() == []
    assert len(mine.recorded()) >= 6
    mine.proxy.rules.clear()
    assert mine.run_until_done() == 1
    mine.assert_complete()


def test_a_log_folder_that_goes_away_in_mid_run_stops_the_command_cleanly(scene: MakeScenario) -> None:
    holding = Hold()
    mine = scene(Rule(on("PutObject", "UploadPart"), holding, skip=6), max_threads=2, request_timeout=30)
    away = mine.uploads.with_name("away")
    with mine.start() as command:
        wait_until(lambda: len(mine.recorded()) >= 1, "a file is recorded")
        mine.uploads.rename(away)
        done = mine.note(command.wait(30))
    assert done.exit_code == 3
    assert "cannot be written: No such file or directory" in done.json["runs"][0]["detail"]
    away.rename(mine.uploads)
    holding.release()
    assert mine.lies() == []
    assert mine.recorded()
    assert mine.run_until_done() == 1
    mine.assert_complete()


def test_a_run_log_that_is_lost_after_the_run_costs_no_byte(scene: MakeScenario) -> None:
    mine = scene()
    assert mine.run_until_done() == 1
    truncated_run_log(mine)
    mine.proxy.forget()
    assert mine.run_until_done() == 1
    assert mine.proxy.count(on("PutObject", "UploadPart")) == 0
    mine.assert_complete()


def test_a_log_file_that_cannot_be_written_stops_nothing(scene: MakeScenario) -> None:
    """The run log could be written: the upload goes on, and stderr is not full of tracebacks."""
    mine = scene()
    mine.log_dir.mkdir()
    (mine.log_dir / "s3_upload.log").symlink_to("/dev/full")
    assert mine.run_until_done() == 1
    assert "Logging error" not in mine.completed[-1].stderr
    assert mine.completed[-1].stderr.count("the log file cannot be written") == 1
    mine.assert_complete()
