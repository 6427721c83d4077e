"""All targets. A parser that gets a line here is fuzzed by `make fuzz` and, briefly, by the tests."""

from __future__ import annotations

from .samplesheet import SAMPLESHEET
from .target import Target

TARGETS: dict[str, Target] = {target.name: target for target in (SAMPLESHEET,)}
