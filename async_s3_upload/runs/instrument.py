"""Which instrument wrote a run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Instrument:
    """``platform`` is a name such as ``NovaSeq X`` or ``unknown instrument``; None where nothing tells the rest.

    ``serial`` is the instrument's serial number as it stands in run ids (``LH00188``), ``software`` the version of its
    control software (``1.2.2.48004``).
    """

    platform: str
    serial: str | None = None
    software: str | None = None


UNKNOWN = Instrument("unknown instrument")
