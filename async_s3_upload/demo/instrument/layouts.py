"""The instruments whose runs can be played, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from async_s3_upload.demo.instrument import illumina_models
from async_s3_upload.demo.instrument.element import aviti_script
from async_s3_upload.demo.instrument.illumina import illumina_script
from async_s3_upload.demo.instrument.nanopore import ont_script
from async_s3_upload.demo.instrument.plan import RunPlan
from async_s3_upload.demo.instrument.script import Ending, Script

_MAKERS: dict[str, Callable[[str, RunPlan], Script]] = {
    "novaseq_6000": partial(illumina_script, model=illumina_models.NOVASEQ_6000),
    "novaseq_x": partial(illumina_script, model=illumina_models.NOVASEQ_X),
    "nextseq_2000": partial(illumina_script, model=illumina_models.NEXTSEQ_2000),
    "miseq_old": partial(illumina_script, model=illumina_models.MISEQ_OLD),
    "miseq": partial(illumina_script, model=illumina_models.MISEQ),
    "aviti": aviti_script,
    "ont": ont_script,
}
LAYOUTS = tuple(_MAKERS)
"""``miseq_old`` is a MiSeq whose software ends a run with RTAComplete.txt, ``miseq`` one of version 4."""
CAN_FAIL = tuple(layout for layout in LAYOUTS if layout not in ("miseq_old", "ont"))
"""Those that write how a run ended."""


def make_script(
    layout: str,
    *,
    total_bytes: int,
    cycles: int = 40,
    seconds: float = 7200.0,
    seed: int = 1,
    ending: Ending = "complete",
    late_logs: bool = False,
) -> Script:
    """Return the script of a run; the same arguments give the same one.

    A complete run holds ``total_bytes`` and some small texts in the end, and its last marker comes at ``seconds``.
    ``late_logs``: logs of the wash are written after that.

    Raises:
        ValueError: no such layout, fewer than four cycles, or a ``failed`` run where an instrument has no word for it.
    """
    if layout not in _MAKERS:
        raise ValueError(f"no layout {layout}: there are {', '.join(LAYOUTS)}")
    return _MAKERS[layout](layout, RunPlan(total_bytes, cycles, seconds, seed, ending, late_logs))
