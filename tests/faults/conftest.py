"""The tests of this folder that take ``scene`` run a few at a time.

The command spends most of its time waiting for limits and restarts, so such tests are begun a little ahead of
their turn, in threads, those of one module together. Each has a folder, a bucket and a proxy of its own, and takes
nothing but ``scene`` and its parameters.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pytest

from async_s3_upload.demo.run_folder import MIB, RunShape
from tests.support.proxy import Rule
from tests.support.s3server import S3Server

from .harness import RUN_ID, Scenario, make_master, scenario
from .soak import SHAPE as SOAK

T = TypeVar("T")
AT_A_TIME = 4
BIG = RunShape(RUN_ID, 16, 2000, 1, 160 * MIB)


class MakeScenario:
    """Sets up scenarios for one test; what was set up goes when the test ends."""

    def __init__(self, scenes: "Scenes", stack: ExitStack, folder: Path) -> None:
        self._scenes = scenes
        self._stack = stack
        self._folder = folder

    def __call__(self, *rules: Rule, run: Path | None = None, server: S3Server | None = None, **keys: Any) -> Scenario:
        """Set up a scenario with rules of the proxy and keys of the config."""
        bucket = f"faults-{self._folder.name.lower().replace('_', '-')}-0"
        made = scenario(
            self._folder, run or self._scenes.master, server or self._scenes.seaweed, bucket, *rules, **keys
        )
        return self._stack.enter_context(made)

    def enter(self, context: AbstractContextManager[T]) -> T:
        """Enter a context until the end of the test."""
        return self._stack.enter_context(context)

    @property
    def big_run(self) -> Path:
        """A run with one file of 160 MB, 20 parts."""
        return self._scenes.big_master

    @property
    def soak_run(self) -> Path:
        """The run of the soak."""
        return self._scenes.soak_master

    def figure(self, text: str) -> None:
        """Keep a measured figure: it is printed in the end."""
        self._scenes.figures.append(text)


class Scenes:
    """Runs the tests that take a scene."""

    def __init__(self, items: Sequence[pytest.Item], seaweed: S3Server, folder: Path) -> None:
        self.seaweed = seaweed
        self.figures: list[str] = []
        self._items = [item for item in items if isinstance(item, pytest.Function) and "scene" in item.fixturenames]
        self._folder = folder
        self._begun: dict[str, Future[None]] = {}
        self._pool = ThreadPoolExecutor(AT_A_TIME, "scene")
        self.master = make_master(folder / "master")

    @cached_property
    def big_master(self) -> Path:
        """A run with one file of 160 MB."""
        return make_master(self._folder / "big", BIG, seed=3)

    @cached_property
    def soak_master(self) -> Path:
        """The run of the soak."""
        return make_master(self._folder / "soak", SOAK)

    def close(self) -> None:
        """End the threads; what was not begun is dropped."""
        self._pool.shutdown(cancel_futures=True)

    def run(self, item: pytest.Function) -> None:
        """Return when the test has passed; the next ones of its module are begun meanwhile."""
        place = self._items.index(item)
        for ahead in self._items[place : place + 2 * AT_A_TIME]:
            if ahead.path == item.path and ahead.nodeid not in self._begun:
                self._begun[ahead.nodeid] = self._pool.submit(self._body, ahead)
        self._begun[item.nodeid].result()

    def _body(self, item: pytest.Function) -> None:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        folder = Path(tempfile.mkdtemp(dir=self._folder, prefix="s"))
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            item.obj(scene=MakeScenario(self, stack, folder), **parameters)


@pytest.fixture(scope="session")
def scenes(
    request: pytest.FixtureRequest, seaweed: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scenes]:
    """All tests of this session that take a scene."""
    found = Scenes(request.session.items, seaweed, tmp_path_factory.mktemp("scenes"))
    yield found
    found.close()
    for figure in found.figures:
        print(figure)


@pytest.fixture
def scene(scenes: Scenes) -> Scenes:
    """What runs the test: its body gets a `MakeScenario` under this name."""
    return scenes


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object | None:
    """Run the tests that take a scene."""
    if "scene" not in pyfuncitem.fixturenames:
        return None
    found = pyfuncitem.funcargs["scene"]
    assert isinstance(found, Scenes)
    found.run(pyfuncitem)
    return True
