"""What is seen while a run goes up: a view on a terminal, and nothing of it elsewhere."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.support.faults import Hold
from tests.support.proxy import FaultProxy, Rule
from tests.support.terminal import Terminal

from .lab import Env, Lab, run_id

TERMINAL = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
COLOUR = re.compile(r"\x1b\[[\d;]*m")


class Scene:
    """A run whose file ``held`` is on its way until it is released, after all others."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.bucket = lab, lab.bucket()
        self.run = lab.make_run(files={"held": b"x"})
        self._hold = Hold()
        self.proxy: FaultProxy = lab.behind(Rule(lambda request: request.key.endswith("/held"), self._hold))

    def release(self) -> None:
        self._hold.release()


@pytest.fixture
def scene(moto_lab: Lab) -> Scene:
    return Scene(moto_lab)


def is_there(screen: list[str]) -> bool:
    return any("in flight" in line for line in screen)


def in_flight(screen: list[str]) -> bool:
    return "1 request in flight, 0 retries" in screen and any("14 of 15 files" in line for line in screen)


@pytest.mark.parametrize("columns", [80, 200])
def test_a_terminal_shows_a_view_under_the_log_until_the_run_is_there(scene: Scene, columns: int) -> None:
    with (
        Terminal(columns) as terminal,
        scene.lab.start_upload(scene.run, scene.bucket, env=TERMINAL, terminal=terminal.end) as command,
    ):
        during = terminal.wait_for(in_flight)
        assert not terminal.cursor_hidden
        scene.release()
        done = command.wait(60)
        terminal.hang_up()
        after = terminal.screen

    assert done.exit_code == 0, terminal.raw
    assert done.stdout == ""
    assert "run 1 of 1" in "\n".join(during)
    view = [line for line in during if "%" in line or "files, " in line or "in flight" in line]
    assert view == during[-len(view) :]
    assert len(view) == (3 if columns == 80 else 2)
    assert view[0].startswith(scene.run.name)
    assert not is_there(after)
    assert after[-1].endswith(f"{scene.run.name}: uploaded")
    assert COLOUR.search(terminal.raw)
    assert "in flight" not in scene.lab.log_text


def test_no_color_takes_the_colours_and_leaves_the_view(scene: Scene) -> None:
    with (
        Terminal(80) as terminal,
        scene.lab.start_upload(
            scene.run, scene.bucket, env=TERMINAL | {"NO_COLOR": "1"}, terminal=terminal.end
        ) as command,
    ):
        terminal.wait_for(is_there)
        scene.release()
        assert command.wait(60).exit_code == 0
        terminal.hang_up()
    assert COLOUR.search(terminal.raw) is None


@pytest.mark.parametrize(
    ("args", "env"), [(["--quiet"], TERMINAL), ([], {"TERM": "dumb"}), ([], {})], ids=["quiet", "dumb", "no TERM"]
)
def test_there_is_no_view_where_nobody_wants_it_or_the_terminal_cannot(
    moto_lab: Lab, args: list[str], env: Env
) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    with Terminal(80) as terminal, moto_lab.start_upload(run, bucket, *args, env=env, terminal=terminal.end) as command:
        assert command.wait(60).exit_code == 0
        terminal.hang_up()
    assert "\x1b" not in terminal.raw
    assert bool(terminal.raw) is (not args)


def test_an_interruption_ends_the_view_and_says_so(scene: Scene) -> None:
    with (
        Terminal(80) as terminal,
        scene.lab.start_upload(scene.run, scene.bucket, env=TERMINAL, terminal=terminal.end) as command,
    ):
        terminal.wait_for(is_there)
        command.signal(signal.SIGINT, group=True)
        assert command.wait(60).exit_code == 130
        terminal.hang_up()
    assert not is_there(terminal.screen)
    assert not terminal.cursor_hidden
    assert "partially uploaded" in "".join(terminal.screen)


def test_a_terminal_that_is_closed_does_not_end_the_upload(scene: Scene) -> None:
    terminal = Terminal(80)
    with scene.lab.start_upload(scene.run, scene.bucket, env=TERMINAL, terminal=terminal.end) as command:
        terminal.wait_for(is_there)
        terminal.vanish()
        scene.release()
        assert command.wait(60).exit_code == 0
    scene.lab.assert_in_bucket(scene.run, scene.bucket, scene.run.name)


def quiet_round(lab: Lab, config: Path) -> tuple[int, str, str]:
    done = lab.monitor(config, "--quiet")
    return done.exit_code, done.stdout, done.stderr


def test_a_quiet_round_says_nothing_unless_something_failed(moto_lab: Lab) -> None:
    bucket = moto_lab.bucket()
    run = moto_lab.make_run()
    config = moto_lab.write_config(moto_lab.section(bucket))

    assert quiet_round(moto_lab, config) == (0, "", "")
    assert quiet_round(moto_lab, config) == (0, "", "")
    assert f"{run.name}: uploaded" in moto_lab.log_text

    moto_lab.make_run(2, files={"odd\udcff": b"x"})
    code, stdout, stderr = quiet_round(moto_lab, config)

    assert (code, stdout) == (3, "")
    assert f"ERROR {run_id(2)}: partially uploaded" in stderr
    assert " INFO " not in stderr


def test_a_quiet_round_beside_another_one_says_nothing(moto_lab: Lab) -> None:
    bucket, hold = moto_lab.bucket(), Hold()
    moto_lab.make_run(files={"held": b"x"})
    config = moto_lab.write_config(moto_lab.section(bucket))
    proxy = moto_lab.behind(Rule(lambda request: request.key.endswith("/held"), hold))
    with moto_lab.start_monitor(config, "--quiet") as first:
        proxy.wait_for(lambda request: request.key.endswith("/held"))
        assert quiet_round(moto_lab, config) == (0, "", "")
        hold.release()
        assert first.wait(60).stderr == ""
