"""`status` tells what became of all runs, also while a monitor uploads, from what lies in the log folder alone."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.command import Completed, run_command
from tests.support.proxy import Delay, Hold, Rule, on

from .lab import RUN_FILES, Lab, puts, read_json, tree
from .test_failed_file_resume import REFUSED, refuse


def status(config: Path, *args: str, columns: int | None = 200) -> Completed:
    """Run `status` without anything that leads to S3."""
    env = {"TZ": "UTC"} | ({} if columns is None else {"COLUMNS": str(columns)})
    return run_command("status", "--config", str(config), *args, env=env, timeout=30)


def test_a_run_that_is_uploaded_is_seen_growing_and_its_monitor_does_not_notice(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    hold = Hold()
    last = on("PutObject", key_ends="CopyComplete.txt")
    proxy = moto_lab.behind(Rule(last, hold), Rule(puts, Delay(0.2)))
    config = moto_lab.write_config(moto_lab.section(bucket), max_threads=1)

    with moto_lab.start_monitor(config) as monitor:
        proxy.wait_for(puts, times=4)
        early = status(config, "--json")
        proxy.wait_for(last)
        late = [status(config, "--json"), status(config, run.name, "--json"), status(config)]
        hold.release()
        done = monitor.wait(30)

    assert done.exit_code == 0, done.stderr
    for seen in (early, *late):
        assert (seen.exit_code, seen.stderr) == (0, "")
    rows = [seen.json["runs"][0] for seen in (early, *late[:2])]
    assert [row["state"] for row in rows] == ["uploading"] * 3
    assert 0 <= rows[0]["files_done"] <= rows[1]["files_done"] <= rows[2]["files_done"] < RUN_FILES
    assert rows[2]["files_done"] > 4
    assert {row["files_total"] for row in rows} == {RUN_FILES}
    assert re.search(rf"^{run.name}  uploading .* is being uploaded now$", late[2].stdout, re.MULTILINE)
    assert "1 run: 1 uploading; " in late[2].stdout
    assert "no round of monitor has ended yet" in late[2].stdout

    after = status(config, "--json").json

    (row,) = after["runs"]
    log = read_json(moto_lab.run_log_path(run))
    assert (row["state"], row["files_done"], row["failed"]) == ("completed", RUN_FILES, 0)
    assert row["bytes_done"] == log["uploaded_bytes"] == sum(file["size"] for file in log["files"].values())
    assert row["duration_s"] == log["upload_seconds"] > 0
    assert (after["last_round"]["exit_code"], after["last_round"]["uploaded"]) == (0, 1)
    assert after["last_round"]["bytes_sent"] == row["bytes_done"]


def test_failed_torn_and_old_runs_are_told_apart_and_nothing_is_written(moto_lab: Lab) -> None:
    bucket, failing, old = moto_lab.bucket(), moto_lab.make_run(1), moto_lab.make_run(2)
    moto_lab.write_old_log(old, sorted(path.name for path in old.iterdir() if path.is_file()), completed=True)
    moto_lab.behind(refuse())
    config = moto_lab.write_config(moto_lab.section(bucket))
    assert moto_lab.monitor(config).exit_code == 3
    torn = moto_lab.log_dir / "uploads" / "torn.upload.log.json"
    torn.write_text(moto_lab.run_log_path(failing).read_text()[:-300])
    before = tree(moto_lab.log_dir)

    table, narrow, document = status(config), status(config, columns=80), status(config, "--json")
    details = status(config, failing.name)

    assert tree(moto_lab.log_dir) == before
    told = f"problem: run log {torn} is torn or no run log: its end is missing\n"
    assert (table.exit_code, table.stderr) == (0, told)
    lines = {line.split()[0]: line for line in table.stdout.splitlines() if line}
    assert re.search(r"partial .* 13/16 .* 1  the next start tries 1 failed file again$", lines[failing.name])
    assert re.search(r"completed  -  .* -  +-  ", lines[old.name])
    assert re.search(r"damaged .* its run log is torn; the next start asks S3 what is there$", lines["torn"])
    assert "3 runs: 1 completed, 1 partial, 1 damaged; " in table.stdout
    assert re.search(
        r"^last round of monitor: .*, exit code 3 after .*; 0 runs uploaded, 1 failed; ", table.stdout, re.M
    )
    assert max(map(len, narrow.stdout.splitlines()[:4])) <= 80
    assert {line.split()[0] for line in narrow.stdout.splitlines()[1:4]} == {failing.name, old.name, "torn"}
    rows = {row["run_id"]: row for row in document.json["runs"]}
    assert rows[old.name]["bytes_done"] is None
    assert rows[failing.name]["instrument"] == "NovaSeq 6000"
    assert details.stdout.startswith(f"{failing.name}\n  state         partial\n")
    assert f"s3://{bucket}/{failing.name}/" in details.stdout
    assert f"  1 file failed:\n    {failing / REFUSED}\n      " in details.stdout


def test_an_upload_that_was_killed_is_partial_and_its_journal_counts(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    proxy = moto_lab.behind(Rule(on("PutObject", key_ends="CopyComplete.txt"), Hold()), Rule(puts, Delay(0.2)))

    with moto_lab.start_upload(run, bucket, "--threads", "1", "--cores", "1") as upload:
        proxy.wait_for(on("PutObject", key_ends="CopyComplete.txt"))
        upload.signal(signal.SIGKILL)
        upload.wait(30)
    done = run_command("status", "--log-dir", str(moto_lab.log_dir), "--json")

    assert (done.exit_code, done.stderr) == (0, "")
    (row,) = done.json["runs"]
    assert (row["state"], row["next_step"]) == ("partial", "was cut short; the next start goes on with what is missing")
    assert 0 < row["files_done"] < RUN_FILES
    assert done.json["last_round"] is None


def test_an_unknown_run_ends_with_2_and_one_sentence(moto_lab: Lab) -> None:
    run = moto_lab.make_run()
    moto_lab.write_old_log(run, [])
    config = moto_lab.write_config(moto_lab.section("some-bucket"))

    done = status(config, run.name[:-1] + "7", "--json")

    assert done.exit_code == 2
    sentence = f'no run "{run.name[:-1]}7" is known in {moto_lab.log_dir}; there is {run.name}'
    assert done.stderr == f"error: {sentence}\n"
    assert (done.json["problems"], done.json["exit_code"]) == ([sentence], 2)


def test_before_the_first_round_there_is_nothing_to_show(moto_lab: Lab) -> None:
    done = status(moto_lab.write_config(moto_lab.section("some-bucket")))
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"no runs are known in {moto_lab.log_dir}\nno round of monitor has ended yet\n"


def test_a_terminal_shows_the_same_text_with_states_in_colour(moto_lab: Lab) -> None:
    run = moto_lab.make_run()
    moto_lab.write_old_log(run, [], run_path="/seq/[red]run")
    config = moto_lab.write_config(moto_lab.section("some-bucket"))

    coloured, plain = on_terminal(config, {}), on_terminal(config, {"NO_COLOR": "1"})

    assert "\x1b[33mpartial\x1b[0m" in coloured
    assert "\x1b[3" not in plain
    without_colour = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert without_colour == re.sub(r"\x1b\[[0-9;]*m", "", plain) == status(config).stdout.replace("\n", "\r\n")


def on_terminal(config: Path, env: dict[str, str]) -> str:
    """Run `status` on a pseudo terminal of 200 columns and return what it wrote."""
    ours, theirs = pty.openpty()
    variables = {"PATH": os.environ["PATH"], "TERM": "xterm", "COLUMNS": "200", "TZ": "UTC", **env}
    argv = [sys.executable, "-m", "async_s3_upload", "status", "--config", str(config)]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=variables) as process:
        os.close(theirs)
        written = b""
        while piece := _read(ours):
            written += piece
    os.close(ours)
    assert process.returncode == 0
    return written.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # the other end is closed
        return b""
