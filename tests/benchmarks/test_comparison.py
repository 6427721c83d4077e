"""The comparison: what counts as a time, ratios round by round, and the files and tables made of them."""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from async_s3_upload.demo.run_folder import TINY, make_run_folder
from benchmarks import datasets, smoke
from benchmarks.__main__ import main
from benchmarks.certificates import make_certificates
from benchmarks.comparison import Run, Setup, Spread, best_peer, ratios, summaries
from benchmarks.destination import SinkDestination, running_sink
from benchmarks.grid import Folder
from benchmarks.peers import Comparison, setups_of
from benchmarks.programs import FLOOR, OURS, PEERS, Program, Task, programs
from benchmarks.report import Report, console, markdown, read_report, tsv, write_report

SETUP = Setup("small", "https", 30)
GOOD = Run(SETUP, OURS, 1, 2.0, 3.0, 100.0, 10, 2_000_000_000, 12, 0.5, 0)

# Sends all files by PUT, leaves out what LEAVES_OUT names, or the first one in the round that FAILS_AT says.
SENDER = """
import http.client, os, sys, urllib.parse
folder, url, bucket, prefix, leaves_out, exit_code = sys.argv[1:]
connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc)
for parent, _, names in os.walk(folder):
    for name in names:
        if name != leaves_out:
            connection.request("PUT", f"/{bucket}/{prefix}/{name}", open(os.path.join(parent, name), "rb").read())
            connection.getresponse().read()
print("the end", file=sys.stderr)
sys.exit(int(exit_code))
"""


def sender(name: str, leaves_out: str = "", exit_code: str = "0") -> Program:
    def arguments(task: Task) -> list[str]:
        where = [task.folder, task.url, task.bucket, task.prefix]
        return [sys.executable, "-W", "ignore", "-c", SENDER, *where, leaves_out, exit_code]

    return Program(name, arguments, [sys.executable, "--version"])


@pytest.fixture(scope="module")
def sink() -> Iterator[SinkDestination]:
    with running_sink() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder.read(make_run_folder(str(tmp_path / "runs"), replace(TINY, small_files=15)))


def compare(sink: SinkDestination, folder: Folder, *chosen: Program, repeats: int = 2) -> list[Run]:
    return Comparison(Setup("small", "http"), folder, chosen, repeats, 1, "bucket", 60).run(sink, print)


class TestRuns:
    def test_programs_take_turns_after_a_warm_up_each(self, sink: SinkDestination, folder: Folder) -> None:
        runs = compare(sink, folder, sender(OURS), sender("other"))
        assert [(run.repeat, run.program) for run in runs] == [(n, name) for n in range(3) for name in (OURS, "other")]
        assert {run.failure for run in runs} == {""}
        assert {(run.files, run.bytes, run.requests) for run in runs} == {(folder.files, folder.bytes, folder.files)}
        assert all(run.seconds > 0 and run.cpu_seconds > 0 and run.peak_pss_mb > 0 for run in runs)
        assert sink.counts().kept_objects == folder.files  # nothing of earlier runs is kept

    def test_a_run_that_loses_a_file_is_no_time_whatever_it_says_itself(
        self, sink: SinkDestination, folder: Folder
    ) -> None:
        runs = compare(
            sink, folder, sender(OURS), sender("empty one lost", "CopyComplete.txt"), sender("lost", "RunInfo.xml")
        )
        failures = {run.program: run.failure for run in runs if run.failure}
        assert failures["empty one lost"] == f"{folder.files - 1} of {folder.files} files arrived"
        assert failures["lost"].endswith(f"of {folder.bytes} bytes arrived")
        assert [run.repeat for run in runs if run.program == "lost"] == [0]  # it takes no part after that
        found = {summary.program: summary for summary in summaries(runs)}
        assert (found["lost"].seconds, found["lost"].times, found["lost"].failed) == (None, 0, 1)
        assert found["lost"].wall_ratio is None
        assert found[OURS].times == 2

    def test_a_program_that_ends_with_an_error_is_no_time_and_its_words_are_kept(
        self, sink: SinkDestination, folder: Folder
    ) -> None:
        (run,) = compare(sink, folder, sender("other", exit_code="3"))
        assert run.failure == "exit code 3: the end"

    def test_a_program_that_is_not_installed_is_a_failure_and_the_others_go_on(
        self, sink: SinkDestination, folder: Folder
    ) -> None:
        (missing,) = programs(["rclone"], "/nowhere")
        runs = compare(sink, folder, missing, sender(OURS), repeats=1)
        assert [run.program for run in runs if run.failure] == ["rclone"]
        assert "No such file" in runs[0].failure
        assert [run.repeat for run in runs if run.program == OURS] == [0, 1]
        assert missing.version_text().startswith("unknown: ")

    def test_slow_programs_take_part_in_fewer_rounds_where_there_are_many_files(
        self, sink: SinkDestination, folder: Folder
    ) -> None:
        setup = Setup("small", "http")
        many = replace(folder, files=5000)
        comparison = Comparison(setup, many, [], 5, 2, "bucket")
        assert [comparison._rounds_of(sender(name)) for name in (OURS, "boto3", "awscli:10", "s5cmd")] == [5, 2, 2, 5]
        assert replace(comparison, folder=folder)._rounds_of(sender("boto3")) == 5

    def test_ours_and_the_floor_send_everything_over_tls(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert smoke.compare() == 0
        assert smoke.compare(["floor:0"]) == 1
        assert "floor:0: 0 files" in capsys.readouterr().out


class TestRatios:
    def test_they_are_taken_pair_by_pair(self) -> None:
        ours = [replace(GOOD, repeat=n, seconds=s) for n, s in ((1, 1.0), (2, 4.0), (3, 9.0))]
        theirs = [replace(GOOD, program="p", repeat=n, seconds=s) for n, s in ((3, 3.0), (1, 2.0), (2, 4.0))]
        assert ratios(ours, theirs, lambda run: run.seconds) == Spread(1.0, 0.5, 3.0, 3)

    def test_warm_ups_and_rounds_in_which_one_failed_have_none(self) -> None:
        ours = [replace(GOOD, repeat=n) for n in range(4)]
        theirs = [replace(GOOD, program="p", repeat=n, seconds=4.0) for n in (0, 1, 2)]
        theirs[2] = replace(theirs[2], failure="exit code 1", seconds=0.1)
        assert ratios(ours, theirs, lambda run: run.seconds) == Spread(0.5, 0.5, 0.5, 1)
        assert ratios(ours, theirs[:1], lambda run: run.seconds) is None

    def test_the_best_peer_is_the_one_with_the_least_cpu_and_never_the_floor(self) -> None:
        cpu = {OURS: 1.0, "s5cmd": 3.0, "obstore": 2.0, FLOOR: 0.1, "floor:4": 0.1, "rclone": 0.5}
        runs = [replace(GOOD, program=name, cpu_seconds=seconds) for name, seconds in cpu.items()]
        runs[-1] = replace(runs[-1], failure="exit code 1")
        best = best_peer(summaries(runs), SETUP)
        assert best is not None
        assert best.program == "obstore"
        assert best_peer(summaries(runs), Setup("big", "https")) is None


class TestReport:
    RUNS = (
        GOOD,
        replace(GOOD, program="obstore", seconds=4.0, cpu_seconds=4.0),
        replace(GOOD, program="s5cmd", repeat=0, failure="exit code 1:\nno\tway", exit_code=1, files=0, bytes=0),
        replace(GOOD, program=FLOOR, seconds=1.0, cpu_seconds=1.0, sink_cpu_seconds=None, requests=None),
    )
    ABOUT = {"seed": 1, "sets": {"small": {"files": 10, "bytes": 2_000_000_000}}}  # noqa: RUF012 - not changed

    def test_what_was_written_is_read_again_and_rendered(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = write_report(str(tmp_path / "results"), "name", dict(self.ABOUT), self.RUNS)
        assert read_report(path) == Report(
            self.ABOUT | {"summaries": json.loads(Path(path).read_text())["summaries"]}, list(self.RUNS)
        )
        assert main(["table", path]) == 0
        assert capsys.readouterr().out.splitlines() == [
            "| set | wall vs obstore | wall vs s5cmd | CPU vs best peer | wall vs floor |",
            "| --- | --- | --- | --- | --- |",
            "| small https 30 ms | 0.50 (0.50–0.50) | failed | 0.75 (0.75–0.75) obstore | 2.00 (2.00–2.00) |",
            "",
            "| set | program | wall s | CPU s | CPU s/GB | peak MiB | sink CPU s | runs | failed |",
            "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
            "| small https 30 ms | async-s3-upload | 2.00 | 3.00 | 1.50 | 100 | 0.50 | 1 |  |",
            "| small https 30 ms | obstore | 4.00 | 4.00 | 2.00 | 100 | 0.50 | 1 |  |",
            "| small https 30 ms | s5cmd | failed | failed | failed | failed | – | 0 | 1 |",
            "| small https 30 ms | floor | 1.00 | 1.00 | 0.50 | 100 | – | 1 |  |",
        ]
        svg = (tmp_path / "results" / "name.svg").read_text()
        assert "small: 10 files, 2 GB; https, answers 30 ms late" in svg
        assert svg.count(">failed<") == 2
        assert (tmp_path / "results" / "name.png").stat().st_size > 10_000

    def test_a_failed_run_has_no_time_in_the_tsv_and_its_reason_on_the_console(self) -> None:
        lines = [line.split("\t") for line in tsv(self.RUNS).splitlines()]
        by_name = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
        assert [line["seconds"] for line in by_name] == ["2.0", "4.0", "failed", "1.0"]
        assert by_name[2]["failure"] == "exit code 1: no way"
        assert (by_name[3]["requests"], by_name[0]["latency_ms"]) == ("", "30")
        assert "small https 30 ms: s5cmd: 1 failed: exit code 1: no way" in console(Report({}, list(self.RUNS)))

    def test_without_ours_and_without_a_floor_there_are_medians_only(self) -> None:
        text = markdown(Report({}, [self.RUNS[1]]))
        assert "| small https 30 ms | – | – |" in text


class TestPrograms:
    TASK = Task("/data/run", "https://127.0.0.1:1", "/ca.pem", "bucket", "prefix", "/scratch")

    def test_the_uploader_runs_with_its_defaults(self) -> None:
        (ours,) = programs([OURS], "")
        options = ours.arguments(self.TASK)[3:]
        assert options == [
            *("upload", "--local-path", "/data/run", "--bucket", "bucket", "--remote-path", "prefix"),
            *("--skip-check", "--log-dir", "/scratch"),
        ]

    def test_a_setting_changes_a_program_and_its_name(self, tmp_path: Path) -> None:
        s5cmd, rclone, aws = programs(["s5cmd:16:8", "rclone:4", "awscli:7"], "venv")
        assert "--numworkers 16" in " ".join(s5cmd.arguments(self.TASK))
        assert "--concurrency 8" in " ".join(s5cmd.arguments(self.TASK))
        assert "--transfers 4" in " ".join(rclone.arguments(self.TASK))
        config = aws.environment(replace(self.TASK, scratch=str(tmp_path)))["AWS_CONFIG_FILE"]
        assert "max_concurrent_requests = 7" in Path(config).read_text()
        assert [program.name for program in (s5cmd, rclone, aws)] == ["s5cmd:16:8", "rclone:4", "awscli:7"]

    def test_every_peer_is_told_where_to_send_and_whom_to_trust(self, tmp_path: Path) -> None:
        ca_file, _ = make_certificates(str(tmp_path))
        trusted = SinkDestination(1, ca_file).environment()
        assert (trusted["AWS_CA_BUNDLE"], trusted["SSL_CERT_FILE"]) == (ca_file, ca_file)
        task = replace(self.TASK, scratch=str(tmp_path))
        for program in programs(PEERS, "venv"):
            told = [*program.arguments(task), *program.environment(task).values(), *trusted.values()]
            assert "/data/run" in " ".join(told)
            assert any("prefix" in word for word in told)
            assert any("https://127.0.0.1:1" in word for word in told)

    def test_a_program_that_does_not_exist_is_named(self) -> None:
        with pytest.raises(ValueError, match="there is no program scp"):
            programs(["scp"], "")


class TestData:
    def test_a_scaled_set_has_the_same_shape_and_a_seed_gives_the_same_bytes(self, tmp_path: Path) -> None:
        for name, files in (("big", 24 + 1), ("small", 25), ("mixed", 25 + 1), ("one", 1)):
            os.makedirs(tmp_path / name / "again")
            made = datasets.make_dataset(str(tmp_path / name), name, scale=0.0005, seed=7)
            again = datasets.make_dataset(str(tmp_path / name / "again"), name, scale=0.0005, seed=7)
            assert (made.files, made.bytes) == (files, again.bytes)
            assert digest(made) == digest(again)

    def test_the_one_file_is_as_long_as_it_has_to_be(self, tmp_path: Path) -> None:
        made = datasets.make_dataset(str(tmp_path), "one", scale=20_000_001 / datasets.ONE_BYTES)
        assert (made.files, made.bytes) == (1, 20_000_001)


def test_what_nobody_asks_for_is_the_table_of_four() -> None:
    import argparse

    from benchmarks.peers import add_arguments

    parser = argparse.ArgumentParser()
    add_arguments(parser)

    def titles(*arguments: str) -> list[str]:
        return [setup.title for setup in setups_of(parser.parse_args(arguments))]

    assert titles() == ["big https", "one https", "small https", "small https 30 ms"]
    assert titles("--sets", "mixed", "--schemes", "http", "--latencies", "0", "30") == [
        "mixed http",
        "mixed http 30 ms",
    ]
    assert titles("--latencies", "5", "--sets", "one") == ["one https 5 ms"]
    assert len(titles("--full")) == 16
    assert titles("--seaweedfs") == ["big http", "small http"]


def digest(folder: Folder) -> list[tuple[str, bytes]]:
    return sorted(
        (name, Path(parent, name).read_bytes()) for parent, _, names in os.walk(folder.path) for name in names
    )
