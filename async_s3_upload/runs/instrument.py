"""Which instrument wrote a run, told from what its files and names say.

The marks below are those of real files and of public programs that tell instruments apart:

- serial numbers: ``A``, ``LH`` and ``FS`` in arteria-project/arteria-runfolder; ``MN``, ``NB``, ``K``, ``SN`` in
  fls-bioinformatics-core/genomics, platforms; ``SH`` in mll-lab/php-utils (``20260205_SH01038_...``: MiSeq i100) and
  biocore/metagenomics_pooling_notebook; ``VL`` stands in names of public NextSeq 1000/2000 runs beside ``VH``; the
  older ones (``HWI-``, ``ST-``, ``C``, ``D``, ``E``, ``J``, ``ML-``, ``NDX``) are in tables that many programs share;
- flow cells: likewise in tables that many programs share (``DMXX``, ``DSXX``, ``DRXX`` are the NovaSeq 6000's, ``BBXX``
  the HiSeq 4000's, ``ALXX`` and ``CCXX`` the HiSeq X's), and in real RunInfo.xml files (``LT3``, ``LT4``: NovaSeq X);
- applications: real RunParameters.xml files, and mll-lab/php-utils (``MiSeqi100Series Control Software``). The first
  NovaSeq X ones say ``control-software``, and ``NovaSeqXPlus`` in InstrumentType.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

NOVASEQ_6000 = "NovaSeq 6000"
NOVASEQ_X = "NovaSeq X"
NEXTSEQ_500 = "NextSeq 500/550"
NEXTSEQ_2000 = "NextSeq 1000/2000"
MISEQ = "MiSeq"
MISEQ_I100 = "MiSeq i100"
ISEQ = "iSeq 100"
MINISEQ = "MiniSeq"
HISEQ = "HiSeq"
HISEQ_2500 = "HiSeq 1000-2500"
HISEQ_4000 = "HiSeq 3000/4000"
HISEQ_X = "HiSeq X"
AVITI = "Element AVITI"
NANOPORE = "Oxford Nanopore"
PACBIO = "PacBio"
G4 = "Singular G4"


@dataclass(frozen=True, slots=True)
class Instrument:
    """``platform`` is a name such as ``NovaSeq X`` or ``unknown instrument``; None where nothing tells the rest.

    ``serial`` is the instrument's serial number as it stands in run ids (``LH00188``), ``software`` the version of its
    control software (``1.2.2.48004``). ``copy_service``: its files name Illumina's Universal Copy Service, which writes
    CopyComplete.txt as its last file.
    """

    platform: str
    serial: str | None = None
    software: str | None = None
    copy_service: bool = False

    @property
    def name(self) -> str:
        """Platform and software, as people name them: ``NovaSeq X 1.2.2.48004``."""
        return self.platform if self.software is None else f"{self.platform} {self.software}"

    @property
    def software_major(self) -> int | None:
        """First number of the software's version: 4 of ``4.0.1.41``, 3 of ``HD 3.4.0.38``; None where none is known."""
        found = re.search(r"[0-9]{1,6}", self.software or "")
        return None if found is None else int(found[0])


UNKNOWN = Instrument("unknown instrument")


@dataclass(frozen=True, slots=True)
class Hints:
    """What an Illumina run's files and names say that tells its instrument; empty text where they do not say it.

    ``serials`` are taken as they stand; ``ids`` are run ids (and the folder's name), whose second part is the serial
    number only at some sites, so that it counts only where it looks like one. The flow cell is also the last part of an
    id.
    """

    applications: tuple[str, ...] = ()
    serials: tuple[str, ...] = ()
    flow_cells: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    software: str = ""
    copy_service: bool = False


_APPLICATIONS = (
    ("novaseqx", NOVASEQ_X),
    ("novaseq", NOVASEQ_6000),
    ("nextseq10002000", NEXTSEQ_2000),
    ("nextseq1000", NEXTSEQ_2000),
    ("nextseq2000", NEXTSEQ_2000),
    ("nextseq", NEXTSEQ_500),
    ("miseqi100", MISEQ_I100),
    ("miniseq", MINISEQ),
    ("miseq", MISEQ),
    ("hiseqx", HISEQ_X),
    ("hiseq", HISEQ),
    ("iseq", ISEQ),
)
"""What an application or instrument type contains, small letters and digits alone; the first that fits counts."""

_SERIALS = (
    (r"LH\d{5}", NOVASEQ_X),
    (r"A\d{5}", NOVASEQ_6000),
    (r"V[HL]\d{3,6}", NEXTSEQ_2000),
    (r"N[BS]\d{6}|NDX\d{6}", NEXTSEQ_500),
    (r"SH\d{5}", MISEQ_I100),
    (r"(HWI-)?M\d{4,5}", MISEQ),
    (r"FS\d{8}", ISEQ),
    (r"MN\d{5}|ML-[A-Z0-9]+-\d+", MINISEQ),
    (r"(ST-)?[JK]\d{5}", HISEQ_4000),
    (r"(ST-)?E\d{5}", HISEQ_X),
    (r"(HWI-)?[CD]\d{5}|SN\d{3,7}[A-Z]?|HWI-ST\d{3,7}[A-Z]?|7001\d{3}[A-Z]?", HISEQ_2500),
)
_FLOW_CELLS = (
    (r"H[A-Z0-9]{4}D[MSR]X[XY0-9]", NOVASEQ_6000),
    (r"2[A-Z0-9]{5}LT\d", NOVASEQ_X),
    (r"H[A-Z0-9]{4}(A[FG]|BG)X[XYA-Z0-9]", NEXTSEQ_500),
    (r"SC\d{7}-SC\d", MISEQ_I100),
    (r"0{9}-[A-Z0-9]{5}", MISEQ),
    (r"000H[A-Z0-9]{5}", MINISEQ),
    (r"[A-Z]{3}\d{5}-\d{4}", ISEQ),
    (r"[A-Z0-9]{5}BBX[XY]", HISEQ_4000),
    (r"[A-Z0-9]{5}(ALX|CCX)[XY]", HISEQ_X),
    (r"[A-Z0-9]{5}(AN|AC|AD|BC|AB)X[XY2]", HISEQ_2500),
)
_SERIAL_PATTERNS = tuple((re.compile(text, re.IGNORECASE | re.ASCII), platform) for text, platform in _SERIALS)
_FLOW_CELL_PATTERNS = tuple((re.compile(text, re.IGNORECASE | re.ASCII), platform) for text, platform in _FLOW_CELLS)


def instrument_of(hints: Hints) -> Instrument:
    """Return the instrument that the hints tell; its platform is that of ``UNKNOWN`` where they tell none."""
    serial = next((text for text in hints.serials if text), None) or _serial_in(hints.ids)
    platform = _by_application(hints.applications)
    if platform in (None, HISEQ):
        by_mark = _by_pattern(_SERIAL_PATTERNS, [serial or ""]) or _by_pattern(_FLOW_CELL_PATTERNS, _flow_cells(hints))
        platform = by_mark or platform
    return Instrument(platform or UNKNOWN.platform, serial, hints.software or None, hints.copy_service)


def _by_application(texts: Iterable[str]) -> str | None:
    for text in texts:
        plain = re.sub(r"[^a-z0-9]", "", text.lower())
        for mark, platform in _APPLICATIONS:
            if mark in plain:
                return platform
    return None


def _by_pattern(patterns: Iterable[tuple[re.Pattern[str], str]], texts: Iterable[str]) -> str | None:
    return next((platform for text in texts for pattern, platform in patterns if pattern.fullmatch(text)), None)


def _serial_in(ids: Iterable[str]) -> str | None:
    for run_id in ids:
        parts = run_id.split("_")
        if len(parts) >= 3 and _by_pattern(_SERIAL_PATTERNS, parts[1:2]):
            return parts[1]
    return None


def _flow_cells(hints: Hints) -> Iterable[str]:
    yield from hints.flow_cells
    for run_id in hints.ids:
        last = run_id.rpartition("_")[2]
        yield last
        yield last[1:]  # behind the position, A or B
