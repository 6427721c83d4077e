"""The run log is replaced during the upload: whoever reads it finds a whole document that grows."""

import json
import time
from itertools import pairwise

from tests.support.proxy import Delay, Rule

from .lab import RUN_FILES, Lab, puts

SECONDS_BETWEEN = 5
"""`at least every few seconds`."""


def test_readers_see_a_whole_log_that_grows_every_few_seconds(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    moto_lab.behind(Rule(puts, Delay(0.55)))
    seen: list[tuple[float, int]] = []

    with moto_lab.start_upload(run, bucket, "--threads", "1") as command:
        path = moto_lab.run_log_path(run)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if path.exists():
                log = json.loads(path.read_text())
                assert log["total_uploaded_files"] == len(log["uploaded_files"]) == len(log["files"])
                if not seen or seen[-1][1] != log["total_uploaded_files"]:
                    seen.append((time.monotonic(), log["total_uploaded_files"]))
                if log["completed"]:
                    break
            time.sleep(0.005)  # leaves the processor to the command
        done = command.wait()

    assert done.exit_code == 0, done.stderr
    counts = [count for _, count in seen]
    assert counts[0] == 0
    assert counts[-1] == RUN_FILES
    assert len(counts) >= 4
    assert counts == sorted(counts)
    assert all(later - earlier < SECONDS_BETWEEN for (earlier, _), (later, _) in pairwise(seen))
