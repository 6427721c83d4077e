"""The Illumina instruments that are played: what they are called, their flow cells, and the texts they write."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from async_s3_upload.demo.instrument.plan import RunPlan
from async_s3_upload.demo.instrument.script import Read
from async_s3_upload.demo.run_documents import run_info

Family = Literal["novaseq", "novaseqx", "nextseq", "miseq"]


@dataclass(frozen=True, slots=True)
class Model:
    """An instrument. ``tiles`` are those of a swath: far fewer than real ones, so that small runs stay small.

    ``copy_marker``: it writes CopyComplete.txt at the end. ``parameters_file`` is the name of RunParameters.xml.
    """

    run_id: str
    family: Family
    application: str
    software: str
    lanes: int
    surfaces: int
    swaths: int
    tiles: int
    copy_marker: bool = True
    parameters_file: str = "RunParameters.xml"
    run_info_version: int = 6
    run_info_date: str = ""

    @property
    def serial(self) -> str:
        """The instrument's serial number, as it stands in the run's id."""
        return self.run_id.split("_")[1]

    @property
    def number(self) -> int:
        """The number of the run on this instrument."""
        return int(self.run_id.split("_")[2])

    @property
    def flowcell(self) -> str:
        """The flow cell; the run's id has the side before it, but not that of a MiSeq or NextSeq."""
        last = self.run_id.split("_")[3]
        return last[1:] if self.family in ("novaseq", "novaseqx") else last

    def tile_names(self) -> list[str]:
        """Four-digit names: surface, swath, tile."""
        return [
            f"{surface}{swath}{tile:02}"
            for surface in range(1, self.surfaces + 1)
            for swath in range(1, self.swaths + 1)
            for tile in range(1, self.tiles + 1)
        ]

    def run_info(self, plan: RunPlan) -> str:
        """Return RunInfo.xml."""
        reads = [(read.cycles, read.is_index) for read in plan.reads]
        layout = (self.lanes, self.surfaces, self.swaths, self.tiles)
        date = self.run_info_date or self.run_id[:6]
        return run_info(
            self.run_id, self.number, self.flowcell, self.serial, date, reads, layout, self.run_info_version
        )

    def parameters(self, plan: RunPlan, done: Iterable[Read] | None) -> str:
        """Return RunParameters.xml; ``done`` are the cycles of each read in the end, None while the run goes on."""
        cycles = "".join(f'    <Read ReadName="{read.name}" Cycles="{read.cycles}" />\n' for read in plan.reads)
        completed = "".join(f"    <{read.name}>{read.cycles}</{read.name}>\n" for read in done or ())
        text = f'<?xml version="1.0" encoding="utf-8"?>\n<RunParameters>\n{_NAMES[self.family](self)}'
        text += f"  <PlannedReads>\n{cycles}  </PlannedReads>\n"
        if done is not None:
            text += f"  <CompletedCycles>\n{completed}  </CompletedCycles>\n"
        return f"{text}</RunParameters>\n"


def _elements(pairs: Iterable[tuple[str, object]], indent: str = "  ") -> str:
    return "".join(f"{indent}<{name}>{value}</{name}>\n" for name, value in pairs)


def _novaseq(model: Model) -> str:
    return _elements(
        [
            ("Side", "B"),
            ("RunNumber", model.number),
            ("RunId", model.run_id),
            ("InstrumentName", model.serial),
            ("Application", model.application),
            ("ApplicationVersion", model.software),
        ]
    )


def _novaseqx(model: Model) -> str:
    return _elements(
        [
            ("Side", "A"),
            ("Application", model.application),
            ("SystemSuiteVersion", model.software),
            ("InstrumentType", "NovaSeqXPlus"),
            ("InstrumentSerialNumber", model.serial),
            ("RunId", model.run_id),
            ("RunCounter", model.number),
        ]
    )


def _nextseq(model: Model) -> str:
    return _elements(
        [
            ("InstrumentSerialNumber", model.serial),
            ("ApplicationName", model.application),
            ("ApplicationVersion", model.software),
            ("FlowCellSerialNumber", model.flowcell),
            ("RunCounter", model.number),
        ]
    )


def _miseq(model: Model) -> str:
    setup = _elements([("ApplicationVersion", model.software), ("ApplicationName", model.application)], "    ")
    rest = _elements([("RunID", model.run_id), ("ScannerID", model.serial), ("MCSVersion", model.software)])
    return f"  <Setup>\n{setup}  </Setup>\n{rest}"


_NAMES = {"novaseq": _novaseq, "novaseqx": _novaseqx, "nextseq": _nextseq, "miseq": _miseq}

NOVASEQ_6000 = Model(
    "240131_A01295_0320_BHT7WNDRX9",
    "novaseq",
    "NovaSeq Control Software",
    "1.7.5",
    *(2, 2, 2, 2),
    run_info_version=5,
    run_info_date="1/31/2024 6:20:16 PM",
)
NOVASEQ_X = Model(
    "20240131_LH00188_0042_A22MADELT3",
    "novaseqx",
    "NovaSeqXSeries Control Software",
    "1.2.2.48004",
    *(8, 2, 2, 2),
    run_info_date="2024-01-31T19:55:57Z",
)
NEXTSEQ_2000 = Model(
    "240131_VH00120_33_AAACMADE5",
    "nextseq",
    "NextSeq 1000/2000 Control Software",
    "1.5.0.42699",
    *(2, 2, 3, 2),
    run_info_date="2024-01-31T11:59:16Z",
)
MISEQ_OLD = Model(
    "240131_M01270_0196_000000000-AMADE",
    "miseq",
    "MiSeq Control Software",
    "2.6.2.1",
    *(1, 2, 1, 4),
    copy_marker=False,
    parameters_file="runParameters.xml",
    run_info_version=2,
)
MISEQ = Model(
    "240131_M08270_0012_000000000-LMADE",
    "miseq",
    "MiSeq Control Software",
    "4.0.0.1769",
    *(1, 2, 1, 4),
    run_info_version=2,
)
