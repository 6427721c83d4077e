"""All targets. A parser that gets a line here is fuzzed by `make fuzz` and, briefly, by the tests."""

from __future__ import annotations

from .run_documents import RUN_DOCUMENTS
from .samplesheet import SAMPLESHEET
from .target import Target

TARGETS: dict[str, Target] = {target.name: target for target in (SAMPLESHEET, RUN_DOCUMENTS)}
