"""Compare the uploader with others: same data, same destination, one after another, round by round.

A run is a time only where the program ended with 0 and every file and byte of the folder arrived.
"""

import argparse
import contextlib
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from benchmarks import datasets
from benchmarks.comparison import Run, Setup, summaries
from benchmarks.destination import Destination, EndpointDestination, running_sink
from benchmarks.grid import Folder, failure_of, positive, tail
from benchmarks.process_tree import Usage, measure
from benchmarks.programs import FLOOR, OURS, PEERS, SLOW, Program, Task, programs
from benchmarks.report import console, read_report, write_report
from benchmarks.results import MIB, machine, versions

DEFAULT_SETUPS = (Setup("big", "https"), Setup("one", "https"), Setup("small", "https"), Setup("small", "https", 30))
_MANY_FILES = 5000
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@dataclass(frozen=True, slots=True)
class Comparison:
    """What to run in one setup. ``slow_repeats`` is how many rounds slow programs take part in."""

    setup: Setup
    folder: Folder
    programs: Sequence[Program]
    repeats: int
    slow_repeats: int
    bucket: str
    timeout_seconds: float = 3600.0

    def run(self, destination: Destination, say: Callable[[str], None]) -> list[Run]:
        """Each program once to warm up, then in turn, round by round; whose warm-up failed takes no part."""
        datasets.read_all(self.folder)
        runs: list[Run] = []
        left: list[Program] = []
        for repeat in range(self.repeats + 1):
            for program in left if repeat else self.programs:
                if repeat > self._rounds_of(program):
                    continue
                run = self._upload(destination, program, repeat)
                say(_line(run))
                runs.append(run)
                if not repeat and not run.failure:
                    left.append(program)
        return runs

    def _rounds_of(self, program: Program) -> int:
        is_slow = program.name.partition(":")[0] in SLOW and self.folder.files >= _MANY_FILES
        return min(self.repeats, self.slow_repeats) if is_slow else self.repeats

    def _upload(self, destination: Destination, program: Program, repeat: int) -> Run:
        prefix = f"benchmark-{secrets.token_hex(6)}"
        with tempfile.TemporaryDirectory(prefix="benchmark-") as scratch, tempfile.TemporaryFile() as said:
            task = Task(
                self.folder.path, destination.url, destination.ca_file, self.bucket, prefix, scratch,
                self.setup.latency_ms,
            )  # fmt: skip
            environment = destination.environment() | dict(program.environment(task))
            destination.mark()
            try:
                usage = measure(
                    program.arguments(task), env=environment, stderr=said, timeout_seconds=self.timeout_seconds
                )
            except OSError as error:  # it is not installed
                said.write(str(error).encode())
                usage = Usage(127, 0.0, 0.0, 0, 0, 0, 0, timed_out=False)
            finally:
                received = destination.received(self.bucket, prefix)
            failure = failure_of(usage, received, self.folder)
            if usage.exit_code:
                failure = f"{failure}: {tail(said)}"
        return Run(
            setup=self.setup,
            program=program.name,
            repeat=repeat,
            seconds=round(usage.seconds, 4),
            cpu_seconds=round(usage.cpu_seconds, 3),
            peak_pss_mb=round(usage.peak_pss_bytes / MIB, 2),
            files=received.objects,
            bytes=received.bytes,
            requests=received.requests,
            sink_cpu_seconds=received.sink_cpu_seconds,
            exit_code=usage.exit_code,
            failure=failure,
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``peers``."""
    parser.add_argument("--sets", nargs="+", choices=datasets.NAMES, help="data sets (default: those of the table)")
    parser.add_argument("--schemes", nargs="+", choices=("http", "https"), help="default: https")
    parser.add_argument("--latencies", nargs="+", type=float, metavar="MS", help="default: 0")
    parser.add_argument("--full", action="store_true", help="every set over both schemes, without and with 30 ms")
    parser.add_argument("--programs", nargs="+", metavar="NAME",
                        help="default: all; a setting after a colon, such as rclone:16")  # fmt: skip
    parser.add_argument("--repeats", type=positive, default=5, help="rounds after the warm-up (default: %(default)s)")
    parser.add_argument("--slow-repeats", type=positive, help=f"rounds of {', '.join(SLOW)} with many files")
    parser.add_argument("--scale", type=float, default=1.0, help="of the data; 0.01 is a try (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the data (default: %(default)s)")
    parser.add_argument("--data", help="folder in which the data are made (default: a temporary one)")
    parser.add_argument("--venv", default=os.path.join(_ROOT, ".venv-peers"), help="where the peers are installed")
    parser.add_argument("--out", default=os.path.join(_ROOT, "benchmarks", "results"), help="folder for the results")
    parser.add_argument("--bucket", default="benchmark", help="has to exist at a real endpoint")
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds for one upload (default: %(default)s)")
    real = parser.add_mutually_exclusive_group()
    real.add_argument("--endpoint-url", help="a real endpoint, with the AWS_* environment, in place of a sink")
    real.add_argument("--seaweedfs", action="store_true", help="a SeaweedFS of its own, in place of a sink")


def run(options: argparse.Namespace) -> int:
    """Run all comparisons, write the results and print the tables; 1 where any upload was not a time."""
    started = time.strftime("%Y%m%d_%H%M%S")
    # The floor signs nothing, so a real server turns it away.
    floor = [] if options.seaweedfs or options.endpoint_url else [FLOOR]
    chosen = programs(options.programs or [OURS, *PEERS, *floor], options.venv)
    setups = setups_of(options)
    about = {
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "destination": "seaweedfs" if options.seaweedfs else "endpoint" if options.endpoint_url else "sink",
        "seed": options.seed,
        "scale": options.scale,
        "repeats": options.repeats,
        "slow_repeats": options.slow_repeats or options.repeats,
        "machine": machine(),
        "versions": versions() | {program.name: program.version_text() for program in chosen},
        "commands": {program.name: _command_of(program) for program in chosen},
        "environments": {program.name: _settings_of(program) for program in chosen},
        "sets": {},
    }
    runs: list[Run] = []
    for name in dict.fromkeys(setup.dataset for setup in setups):
        with tempfile.TemporaryDirectory(prefix="benchmark-data-", dir=options.data) as parent:
            folder = datasets.make_dataset(parent, name, scale=options.scale, seed=options.seed)
            about["sets"][name] = {"files": folder.files, "bytes": folder.bytes}
            for setup in (setup for setup in setups if setup.dataset == name):
                _say(f"{setup.title}: {folder.files} files, {folder.bytes} bytes")
                with _destination(options, setup) as destination:
                    comparison = Comparison(
                        setup, folder, chosen, options.repeats, options.slow_repeats or options.repeats,
                        options.bucket, options.timeout,
                    )  # fmt: skip
                    runs += comparison.run(destination, _say)
                # After each, so that hours of measuring are not lost with the last of them.
                path = write_report(options.out, f"peers_{about['destination']}_{started}", about, runs)
    print(f"{console(read_report(path))}\n\nwritten to {path}, and .tsv, .png and .svg beside it")
    return int(any(summary.failed for summary in summaries(runs)))


def setups_of(options: argparse.Namespace) -> list[Setup]:
    """Return what is asked for: the four of the table where nothing is."""
    if options.seaweedfs or options.endpoint_url:
        scheme = "https" if (options.endpoint_url or "").startswith("https:") else "http"
        return [Setup(name, scheme) for name in options.sets or ("big", "small")]
    if options.full:
        return [Setup(*parts) for parts in product(datasets.NAMES, ("http", "https"), (0.0, 30.0))]
    if not (options.sets or options.schemes or options.latencies):
        return list(DEFAULT_SETUPS)
    sets, schemes = options.sets or datasets.NAMES, options.schemes or ["https"]
    return [Setup(*parts) for parts in product(sets, schemes, options.latencies or [0.0])]


@contextlib.contextmanager
def _destination(options: argparse.Namespace, setup: Setup) -> Iterator[Destination]:
    if options.endpoint_url:
        yield EndpointDestination(options.endpoint_url)
    elif options.seaweedfs:
        from tests.support.servers import seaweedfs  # the server of the tests; its package is among their tools

        with seaweedfs() as server:
            server.make_bucket(options.bucket)
            yield EndpointDestination(server.endpoint, (server.access_key, server.secret_key))
    else:
        with running_sink(tls=setup.scheme == "https", latency_ms=setup.latency_ms) as sink:
            yield sink


def _command_of(program: Program) -> str:
    """Return how a program is called, with words for what differs from run to run and no paths of this machine."""
    task = Task("FOLDER", "URL", "CA_FILE", "BUCKET", "PREFIX", "SCRATCH")
    return " ".join(os.path.basename(word) if os.path.isabs(word) else word for word in program.arguments(task))


def _settings_of(program: Program) -> dict[str, str]:
    """Return the environment which a program is given of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        task = Task("FOLDER", "URL", "CA_FILE", "BUCKET", "PREFIX", scratch)
        return {name: value.replace(scratch, "SCRATCH") for name, value in program.environment(task).items()}


def _line(run: Run) -> str:
    name = f"round {run.repeat}" if run.repeat else "warm-up"
    figures = f"{run.seconds:.2f} s, {run.cpu_seconds:.2f} s of CPU, {run.peak_pss_mb:.0f} MiB"
    sink = "" if run.sink_cpu_seconds is None else f", sink {run.sink_cpu_seconds:.2f} s of CPU"
    return f"{run.setup.title}: {name}: {run.program}: {run.failure or figures + sink}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
