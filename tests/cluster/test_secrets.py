"""No secret goes through the scheduler: none is in its memory, its log, or those of the workers."""

import re
from pathlib import Path

import pytest

from tests.e2e.lab import Lab

from .crew import Crew, key_of

PIECE_BYTES = 1 << 20


def in_memory_of(pid: int, words: list[bytes]) -> set[bytes]:
    """Return which of the words are anywhere in the memory of a process that is a child of ours."""
    found: set[bytes] = set()
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in maps:
            area = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
            if area is None or "[v" in line:  # vdso, vvar, vsyscall
                continue
            start, end = (int(number, 16) for number in area.groups())
            tail = b""
            while start < end:
                try:
                    memory.seek(start)
                    piece = memory.read(min(PIECE_BYTES, end - start))
                except OSError:
                    break
                found |= {word for word in words if word in tail + piece}
                tail, start = piece[-100:], start + max(1, len(piece))
    return found


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="looks into memory through /proc")
def test_no_key_of_the_command_or_of_a_worker_is_in_the_scheduler(crew: Crew, lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run(files={"Data/big": bytes(20 * 1024 * 1024)})
    crew.add("one", "two")
    secrets = [lab.server.secret_key, lab.server.access_key, "SECRETOFTHECOMMAND", key_of("one"), key_of("two")]

    done = lab.upload(run, bucket, *crew.options, env={"AWS_SECRET_ACCESS_KEY": "SECRETOFTHECOMMAND"})

    assert done.exit_code == 0, done.stderr
    words = [secret.encode() for secret in secrets]
    scheduler = crew.cluster.scheduler_pid
    assert in_memory_of(scheduler, [run.name.encode()])  # so it does go through, and is found
    assert in_memory_of(scheduler, words) == set()
    logs = [crew.cluster.scheduler_log, done.stderr, *(worker.log_text for worker in crew.cluster.workers)]
    assert [secret for secret in secrets for log in logs if secret in log] == []
