"""Whatever the command line, the files or the machine are like: a documented exit code, a sentence, no traceback."""

import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from async_s3_upload.errors import EXIT_CODES
from tests.support.command import Completed, RunningCommand, run_command
from tests.support.faults import Stall
from tests.support.proxy import Rule

from .lab import Lab, puts

NOWHERE = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY": "AKIA1", "AWS_SECRET_KEY": "secret1"}
NO_UTF8 = os.fsdecode(b"\xff")
NOT_OURS = re.compile(r"Traceback|Exception ignored|Warning: |Warning\b.*\.py|coroutine '")


def assert_told(done: Completed, code: int, sentence: str) -> None:
    assert done.exit_code == code, done.stderr
    assert code in EXIT_CODES
    assert sentence in done.stderr
    assert NOT_OURS.search(done.stderr) is None, done.stderr


def run_in_shell(line: str, *args: str, env: dict[str, str] | None = None) -> Completed:
    """Run the command as `"$@"` of a line of shell."""
    command = [sys.executable, "-m", "async_s3_upload", *args]
    with RunningCommand(["sh", "-c", line, "sh", *command], env=NOWHERE | (env or {})) as running:
        return running.wait(60)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a run, a config, a file that is no config, and files that are no JSON."""
    run = tmp_path / "sequencer" / "run"
    run.mkdir(parents=True)
    for name in ("RunInfo.xml", "CopyComplete.txt", "RTAComplete.txt"):
        (run / name).write_text("x")
    section = {"monitored_directories": [str(tmp_path / "sequencer")], "bucket": "b", "remote_path": "/"}
    (tmp_path / "config.json").write_text(json.dumps({"log_dir": str(tmp_path / "log"), "monitor": [section]}))
    (tmp_path / "file").write_text("x")
    (tmp_path / "latin").write_bytes(b'{"monitor": "\xe4"}')
    (tmp_path / "deep").write_text("[" * 100_000)
    return tmp_path


def upload_of(folder: Path, *options: str) -> list[str]:
    return ["upload", "--local-path", f"{folder}/sequencer/run", "--bucket", "b", f"--log-dir={folder}/log", *options]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("zork", "No such command 'zork'"),
        ("monitor", "Missing option '--config'"),
        ("monitor --config", "Option '--config' requires an argument"),
        ("monitor --config {}", ": 1 problem in the config\n  cannot be read: Is a directory"),
        ("monitor --config=", '"": 1 problem in the config\n  cannot be read: No such file or directory'),
        (f"monitor --config {{}}/{NO_UTF8}", r"\xff: 1 problem in the config"),
        ("monitor --config {}/latin", "is not UTF-8 text (byte 13)"),
        ("monitor --config {}/deep", "is not a usable config: nested too deeply"),
        ("monitor --config /dev/null", "line 1, column 1: is not valid JSON"),
        ("monitor --config /proc/self/mem", "cannot be read: Input/output error"),
        ("monitor --config {}/config.json more", "Got unexpected extra argument"),
        ("upload --local-path {} --bucket b --cores x", "Invalid value for '--cores'"),
        ("upload --local-path {} --bucket b --concurrency 5000", "Invalid value for '--concurrency' / '--threads'"),
        ("upload --local-path {} --bucket b --transport x", "Invalid value for '--transport'"),
        (f"upload --local-path {NO_UTF8} --bucket b", r"--local-path: \xff does not exist"),
        (f"upload --local-path {{}} --bucket {NO_UTF8}", "--bucket: holds a character that no bucket name can hold"),
        (f"upload --local-path {{}} --bucket b --remote-path {NO_UTF8}", "holds a character that no key can hold"),
        (f"upload --local-path {{}} --bucket b --endpoint-url http://{NO_UTF8}", "--endpoint-url: must be an address"),
        ("verify --config {}/config.json --days nan", "--days: must be more than 0"),
        (f"verify --run {NO_UTF8} --log-dir {{}}", r"--run: there is no run log of \xff"),
        ("verify --run ../../etc --log-dir {}", "--run: there is no run log of ../../etc"),
        ("verify --run x --log-dir=", "--log-dir: must not be empty"),
        (f"verify --manifest s3://b/{NO_UTF8}", "--manifest: holds a character that no key can hold"),
        ("cleanup --config {}/config.json --older-than nan", "Invalid value for '--older-than'"),
        ("cleanup --config {}/config.json --older-than x", "Invalid value for '--older-than'"),
        ("demo more", "Got unexpected extra argument"),
        ("demo --zork", "No such option: --zork"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_a_usage_error(folder: Path, line: str, sentence: str) -> None:
    args = [word.replace("{}", str(folder)) for word in line.split(" ")]

    assert_told(run_command(*args, env=NOWHERE), 2, sentence)


def test_json_is_printed_for_a_command_line_that_cannot_be_understood_too() -> None:
    done = run_command("upload", "--json", "--zork")

    assert_told(done, 2, "No such option: --zork")
    assert done.json["problems"] == ["the command line cannot be understood, see stderr"]


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["verify", "--run", "x", "--log-dir", "{}/file"], "/file/uploads cannot be listed: Not a directory"),
        (["verify", "--manifest", "{}"], "cannot be read: Is a directory"),
        (["verify", "--manifest", f"/{NO_UTF8}"], r"manifest /\xff cannot be read: No such file or directory"),
    ],
)
def test_what_is_something_else_than_it_should_be_is_told(folder: Path, args: Sequence[str], sentence: str) -> None:
    done = run_command(*(word.replace("{}", str(folder)) for word in args), env=NOWHERE)

    assert_told(done, 1, sentence)


UNUSABLE = "the settings for AWS cannot be used: "


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("AWS_ENDPOINT_URL", "zork", UNUSABLE + "Invalid endpoint: zork; see AWS_... and ~/.aws/config"),
        ("AWS_ENDPOINT_URL", "http://[::1", UNUSABLE + "Invalid IPv6 URL"),
        ("AWS_REGION", "no where", UNUSABLE + "Provided region_name 'no where' doesn't match a supported format"),
        ("AWS_RETRY_MODE", "x", UNUSABLE + 'Invalid value provided to "mode"'),
        ("AWS_CONFIG_FILE", "{}/file", "no usable AWS credentials: Unable to parse config file"),
        ("AWS_CA_BUNDLE", "{}/none", "/none, which cannot be read: correct or unset it"),
        ("HTTP_PROXY", "zork:x:y", "S3 cannot be reached, check network, proxy and endpoint"),
        ("TMPDIR", "/proc/none", "S3 cannot be reached, check network, proxy and endpoint"),
        ("LC_ALL", "C", "S3 cannot be reached, check network, proxy and endpoint"),
        ("PYTHONIOENCODING", "ascii", "S3 cannot be reached, check network, proxy and endpoint"),
    ],
)
def test_whatever_the_environment_holds_is_one_sentence(folder: Path, name: str, value: str, sentence: str) -> None:
    done = run_command(*upload_of(folder), env=NOWHERE | {name: value.replace("{}", str(folder))})

    assert_told(done, 1, sentence)


def test_the_state_needs_a_home_that_can_be_written(folder: Path) -> None:
    done = run_command(*upload_of(folder)[:-1], env=NOWHERE | {"HOME": "/proc/none"}, cwd=folder)

    assert_told(done, 1, "log folder /proc/none/.local/state/async-s3-upload cannot be written: ")


@pytest.mark.parametrize(
    ("line", "args", "code", "sentence"),
    [
        ('exec "$@" <&-', ["monitor"], 1, "S3 cannot be reached"),
        ('exec "$@" >&-', ["monitor", "--dry-run", "--json"], 1, "S3 cannot be reached"),
        ('exec "$@" 2>&-', ["monitor"], 1, ""),
        ('exec "$@" <&- >&- 2>&-', ["monitor", "--dry-run"], 1, ""),
        ('exec "$@" 2>&-', ["verify"], 2, ""),
        (
            'exec "$@" >/dev/full',
            ["monitor", "--dry-run", "--json"],
            1,
            "error: No space left on device: free space on",
        ),
        ('exec "$@" >/dev/full', ["--help"], 1, "error: No space left on device: free space on the disk"),
        ('exec "$@" 2>/dev/full', ["verify"], 2, ""),
        ('ulimit -n 10; exec "$@"', ["monitor"], 1, "Too many open files: raise the limit of open files (ulimit -n)"),
        (
            'mkdir gone; cd gone; rmdir ../gone; exec "$@"',
            ["verify", "--run", "x", "--log-dir", "y"],
            1,
            "error: the current folder does not exist any more",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and "$@" in value else "",
)
def test_streams_that_are_closed_or_full_and_a_machine_that_gives_nothing(
    folder: Path, line: str, args: Sequence[str], code: int, sentence: str
) -> None:
    config = ["--config", f"{folder}/config.json"] if args[0] == "monitor" else []

    assert_told(run_in_shell(line, *args, *config), code, sentence)


def test_who_reads_no_more_of_the_output_gets_no_traceback(folder: Path) -> None:
    done = run_in_shell('{ "$@"; echo "code $?" >&2; } | :', "--help")

    assert "code 0" in done.stderr or "code 1" in done.stderr
    assert NOT_OURS.search(done.stderr) is None


@pytest.mark.parametrize("way", ["monitor", "upload", "verify", "cleanup"])
def test_a_log_folder_that_is_a_file_ends_no_command_with_a_traceback(moto_lab: Lab, way: str) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    log_dir = moto_lab.folder / "file"
    log_dir.write_text("in the way")
    args = {
        "monitor": ["--config", str(moto_lab.write_config(moto_lab.section(bucket), log_dir=str(log_dir)))],
        "upload": ["--local-path", str(run), "--bucket", bucket, "--log-dir", str(log_dir)],
        "verify": ["--local-path", str(run), "--bucket", bucket, "--log-dir", str(log_dir)],
        "cleanup": ["--bucket", bucket, "--remote-path", "/", "--log-dir", str(log_dir)],
    }[way]

    done = run_command(way, *args, env=moto_lab.reached.environment())

    assert_told(done, 1, f"{log_dir}")
    assert "Not a directory" in done.stderr


def test_a_run_folder_that_is_removed_on_the_way_is_files_that_failed(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    proxy = moto_lab.behind(Rule(puts, Stall(), times=1))

    with moto_lab.start_upload(run, bucket) as command:
        proxy.wait_for(puts)
        shutil.rmtree(run)
        command.signal(signal.SIGTERM)
        stopped = command.wait(30)
    again = moto_lab.upload(run, bucket)

    assert_told(stopped, 143, "the state is kept, the next start goes on")
    assert_told(again, 2, f"--local-path: {run} does not exist")


@pytest.mark.parametrize("way", ["monitor", "upload"])
def test_a_disk_that_takes_no_byte_ends_with_a_sentence(moto_lab: Lab, way: str) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    config = moto_lab.write_config(moto_lab.section(bucket))
    args = {
        "monitor": ["--config", str(config)],
        "upload": ["--local-path", str(run), "--bucket", bucket, "--log-dir", str(moto_lab.log_dir)],
    }[way]

    done = run_in_shell('(ulimit -f 0; exec "$@" 2>&1) | cat >&2', way, *args, env=dict(moto_lab.reached.environment()))

    if way == "upload":  # monitor has its lock first
        log_file = moto_lab.log_dir / "s3_upload.log"
        assert f"the log file cannot be written: {log_file}: File too large; what is missing there is" in done.stderr
    lock = moto_lab.log_dir / {"monitor": "s3_upload.lock", "upload": f"locks/{run.name}.lock"}[way]
    assert f"who holds lock {lock} cannot be written down: File too large" in done.stderr
    assert moto_lab.server.objects(bucket) == {}
    assert NOT_OURS.search(done.stderr) is None
