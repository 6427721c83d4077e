"""Workers that cannot do the work are named in one sentence each and get none; the others do it."""

import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import async_s3_upload
from tests.e2e.lab import Lab, keys_put
from tests.support.cluster import DaskWorker
from tests.support.proxy import Answer, Hold, Rule, on

from .crew import STRANGER, Crew, key_of, keys_sent_by, other_version, sent_by, until


def mounts_work() -> bool:
    """Say whether this machine lets us mount in a namespace of our own."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0


needs_mounts = pytest.mark.skipif(not mounts_work(), reason="mount namespaces need root and Linux")


@dataclass(frozen=True, slots=True)
class Unfit:
    """How the unfit worker is started, and what is said of it."""

    why: str
    env: Mapping[str, str | None] = field(default_factory=dict)
    wrapper: Sequence[str] = ()


def mounted(what: str, *arguments: str | Path) -> tuple[str, ...]:
    """Return the command that runs the one behind it with something mounted."""
    return ("unshare", "-m", "sh", "-c", f'{what} "$0" "$1" && shift && exec "$@"', *map(str, arguments))


def blind(lab: Lab, run: Path) -> Unfit:
    empty = lab.folder / "empty"
    empty.mkdir()
    return Unfit(f"it does not see {run}", wrapper=mounted("mount --bind", empty, run.parent))


def with_another_storage(lab: Lab, run: Path) -> Unfit:
    other = lab.folder / "other"
    shutil.copytree(run, other)
    for path in other.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes() + b"more")
    return Unfit("it sees another size of ", wrapper=mounted("mount --bind", other, run))


def of_another_version(lab: Lab, run: Path) -> Unfit:
    why = f"it has async-s3-upload {STRANGER}, this is {async_s3_upload.__version__}: install the same version"
    return Unfit(why, env={"PYTHONPATH": str(other_version(lab.folder / "site"))})


def without_credentials(lab: Lab, run: Path) -> Unfit:
    return Unfit("it finds no AWS credentials: ", env={"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None})


def without_the_right_to_the_bucket(lab: Lab, run: Path) -> Unfit:
    return Unfit("403")


Kind = Callable[[Lab, Path], Unfit]
KINDS = [
    pytest.param(blind, marks=needs_mounts),
    pytest.param(with_another_storage, marks=needs_mounts),
    of_another_version,
    without_credentials,
    without_the_right_to_the_bucket,
]


def start_unfit(crew: Crew, unfit: Unfit) -> DaskWorker:
    changed: dict[str, str | None] = {**crew.variables("unfit"), **unfit.env}
    env = {name: value for name, value in changed.items() if value is not None}
    return crew.cluster.add_worker("unfit", env=env, wrapper=unfit.wrapper)


@pytest.mark.parametrize("kind", KINDS)
def test_an_unfit_worker_is_named_and_the_others_send_everything(crew: Crew, lab: Lab, kind: Kind) -> None:
    bucket, run = lab.bucket(), lab.make_run()
    proxy = lab.behind(Rule(sent_by("unfit"), Answer(403, "AccessDenied")))
    unfit = kind(lab, run)
    crew.add("fit")
    worker = start_unfit(crew, unfit)

    done = lab.upload(run, bucket, *crew.options)

    assert done.exit_code == 0, done.stderr
    (said,) = [line for line in done.stderr.splitlines() if worker.address in line]
    assert f"worker {worker.address} cannot be used: " in said
    assert unfit.why in said
    assert "Traceback" not in done.stderr
    assert key_of("unfit") not in done.stderr
    assert keys_sent_by(proxy, "unfit") == set()
    assert keys_sent_by(proxy, "fit") == set(keys_put(proxy))
    lab.assert_in_bucket(run, bucket, run.name)


@pytest.mark.parametrize("kind", [of_another_version, without_credentials])
def test_where_no_worker_is_fit_nothing_is_begun(crew: Crew, lab: Lab, kind: Kind) -> None:
    bucket, run = lab.bucket(), lab.make_run()
    proxy = lab.behind()
    unfit = kind(lab, run)
    worker = start_unfit(crew, unfit)

    done = lab.upload(run, bucket, *crew.options, "--json")

    assert done.exit_code == done.json["exit_code"] == 1
    assert f"worker {worker.address} cannot be used: {unfit.why}" in done.stderr
    assert f"the Dask scheduler at {crew.cluster.address} has no worker that can be used" in done.stderr
    assert "Traceback" not in done.stderr
    assert not proxy.count(on("PutObject", "CreateMultipartUpload"))


def test_where_there_is_no_worker_yet_that_is_told_and_one_that_joins_sends_everything(crew: Crew, lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run()

    with lab.start_upload(run, bucket, *crew.options) as command:
        no_worker = f"the Dask scheduler at {crew.cluster.address} has no worker that can be used"
        until(lambda: no_worker in command.stderr)
        crew.add("late")
        done = command.wait()

    assert done.exit_code == 0, done.stderr
    lab.assert_in_bucket(run, bucket, run.name)


def test_an_unfit_worker_that_joins_later_gets_no_work_either(crew: Crew, lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run()
    crew.add("fit")
    hold = Hold()
    proxy = lab.behind(Rule(on("PutObject"), hold))

    with lab.start_upload(run, bucket, *crew.options) as command:
        proxy.wait_for(on("PutObject"))
        worker = start_unfit(crew, without_credentials(lab, run))
        until(lambda: f"worker {worker.address} cannot be used: " in command.stderr)
        hold.release()
        done = command.wait()

    assert done.exit_code == 0, done.stderr
    assert keys_sent_by(proxy, "unfit") == set()
    lab.assert_in_bucket(run, bucket, run.name)
