"""Ten rounds of `make soak`."""

import pytest

from .conftest import MakeScenario
from .soak import play


@pytest.mark.parametrize("seed", range(20_001, 20_011))
def test_a_run_killed_at_random_points_arrives_whole(scene: MakeScenario, seed: int) -> None:
    outcome = play(scene(run=scene.soak_run), seed)
    assert not outcome.wrong, outcome
