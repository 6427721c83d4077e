"""A server that is overloaded, cuts connections or mangles bytes: everything arrives all the same."""

import threading
import zlib

from tests.support.faults import Action
from tests.support.proxy import Answer, Cut, DropAnswer, FlipByte, Rule, on
from tests.support.s3requests import Match, Request

from .lab import Lab


def first_time(share: int, of: int) -> Match:
    """Match the first PUT of each key in one of several equal shares of the keys."""
    met: set[str] = set()
    lock = threading.Lock()

    def match(request: Request) -> bool:
        if request.operation != "PutObject" or zlib.crc32(request.key.encode()) % of != share:
            return False
        with lock:
            if request.key in met:
                return False
            met.add(request.key)
            return True

    return match


def test_everything_arrives_although_most_first_attempts_fail(lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run(small_files=60)
    faults: list[Action] = [
        Answer(503, "SlowDown"),
        Answer(503, "ServiceUnavailable", after_body=False),
        Answer(500, "InternalError"),
        Cut(after_bytes=1),
        Cut(reset=True),
        DropAnswer(),
        FlipByte(),
    ]
    rules = [Rule(first_time(share, len(faults) + 1), fault) for share, fault in enumerate(faults)]
    lab.behind(*rules)

    done = lab.upload(run, bucket, "--json")

    assert done.exit_code == 0, done.stderr
    assert all(rule.taken for rule in rules)
    lab.assert_in_bucket(run, bucket, run.name)
    (row,) = done.json["runs"]
    assert (row["uploaded_files"], row["failed_files"]) == (60, [])


def test_what_a_worker_logs_reaches_the_console_and_the_log_file(moto_lab: Lab) -> None:
    bucket = moto_lab.bucket()
    moto_lab.make_run()
    moto_lab.behind(Rule(on("PutObject", key_ends="RunInfo.xml"), Answer(503, "SlowDown"), times=2))

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket)))

    assert done.exit_code == 0, done.stderr
    # the first retry of a request is everyday life, only from the second on is it worth a line
    (told,) = [line for line in moto_lab.log_text.splitlines() if "SlowDown" in line]
    assert "RunInfo.xml" in told
    assert "WARNING" in told
    assert told in done.stderr.splitlines()
