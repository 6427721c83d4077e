"""Made-up Illumina run folders: names, layout and sizes as instruments write them, contents from a seed."""

import math
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, count, islice, product
from typing import Literal

from async_s3_upload.demo.run_documents import run_info, sample_sheet

KIB = 1024
MIB = 1024 * KIB
_BLOCK_BYTES = 4 * MIB
_READS = ((151, False), (10, True), (10, True), (151, False))  # cycles, and whether they read an index
_CYCLES = sum(cycles for cycles, _ in _READS)
_MODELS = {"novaseq": "NovaSeq", "miseq": "MiSeq"}
INTEROP = ("CorrectedInt", "Error", "Extraction", "Index", "Q", "Tile")


@dataclass(frozen=True, slots=True)
class RunShape:
    """What a made-up run folder holds; ``small_files`` counts every file that is not one of the big ones.

    ``novaseq`` writes a .cbcl for each lane, cycle and surface, and RTAComplete.txt before CopyComplete.txt;
    ``miseq`` a .bcl for each cycle and tile, and RTAComplete.txt alone, as older software does. ``sparse``
    makes the data files holes (zeros that take no room on disk), for layouts whose bytes do not matter.
    """

    run_id: str
    small_files: int
    small_mean_bytes: int
    big_files: int = 0
    big_bytes: int = 16 * MIB
    instrument: Literal["novaseq", "miseq"] = "novaseq"
    samples: tuple[str, ...] = ("sample_1_assay_1", "sample_2_assay_1", "sample_3_assay_1")
    sparse: bool = False

    @property
    def files(self) -> int:
        """How many files the folder holds, markers included."""
        return self.small_files + self.big_files

    @property
    def lanes(self) -> range:
        """The numbers of the flow cell's lanes."""
        return range(1, self.layout[0] + 1)

    @property
    def layout(self) -> tuple[int, int, int, int]:
        """The flow cell: lanes, surfaces, swaths, tiles in each swath."""
        return (2, 2, 4, 78) if self.instrument == "novaseq" else (1, 2, 1, 19)


SMALL = RunShape("240117_A01295_0314_BHT7WNDRX3", 5003, 27 * KIB)
BIG = RunShape("240118_A01295_0315_BHT7WNDRX4", 24, 27 * KIB, 160, 16 * MIB)
DEMO = RunShape("240119_A01295_0316_BHT7WNDRX5", 59, 48 * KIB, 1, 20 * MIB)
TINY = RunShape("240120_A01295_0317_BHT7WNDRX6", 25, 2 * KIB)


def make_run_folder(parent: str, shape: RunShape, seed: int = 1) -> str:
    """Write the run folder ``shape.run_id`` into ``parent``, its markers last, and return its path.

    The same shape and seed give the same names, sizes and bytes. Raises FileExistsError where the folder is
    there already, ValueError where ``small_files`` cannot hold the files which every run has.
    """
    fixed, markers = _texts(shape), _markers(shape)
    data_files = shape.small_files - len(fixed) - len(markers) - len(INTEROP)
    if data_files < 0:
        raise ValueError(f"a run folder has at least {shape.small_files - data_files} small files")
    os.makedirs(folder := os.path.join(parent, shape.run_id))
    writer = _Writer(folder, seed, shape.sparse)
    writer.texts(fixed)
    for path in islice(_call_paths(shape), shape.big_files):
        writer.data(path, shape.big_bytes)
    interop = (f"InterOp/{name}MetricsOut.bin" for name in INTEROP)
    for path in chain(interop, _small_paths(shape, data_files)):
        writer.data(path, writer.size_around(shape.small_mean_bytes))
    writer.texts(markers)
    return folder


class _Writer:
    """Writes files below one folder; data are slices of one seeded random block, no two files the same."""

    def __init__(self, folder: str, seed: int, sparse: bool) -> None:
        self._folder = folder
        self._sparse = sparse
        self._random = random.Random(seed)  # noqa: S311 - made-up data, not a secret
        self._block = memoryview(self._random.randbytes(_BLOCK_BYTES))
        self._made = {""}
        self._serial = count(1)

    def size_around(self, mean_bytes: int) -> int:
        """Draw a log-normal size (many small ones, a tail of larger ones), its mean about ``mean_bytes``."""
        sigma = 0.5
        size = int(self._random.lognormvariate(math.log(mean_bytes) - sigma * sigma / 2, sigma))
        return max(16, min(size, 6 * mean_bytes))

    def texts(self, texts: dict[str, str]) -> None:
        """Write small text files as they are, in their order."""
        for path, text in texts.items():
            with open(self._place(path), "wb") as file:
                file.write(text.encode())

    def data(self, path: str, size: int) -> None:
        """Write ``size`` bytes that start with the file's own number."""
        handle = os.open(self._place(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            if self._sparse:
                os.ftruncate(handle, size)
                return
            left = size - os.write(handle, next(self._serial).to_bytes(8, "little")[:size])
            while left:
                start = self._random.randrange(_BLOCK_BYTES // 2)
                left -= os.write(handle, self._block[start : start + left])
        finally:
            os.close(handle)

    def _place(self, path: str) -> str:
        sub_folder = path.rpartition("/")[0]
        if sub_folder not in self._made:
            os.makedirs(os.path.join(self._folder, sub_folder), exist_ok=True)
            self._made.add(sub_folder)
        return os.path.join(self._folder, path)


def _call_paths(shape: RunShape) -> Iterator[str]:
    """Base call files in the order in which an instrument writes them: without end, cycle after cycle."""
    for cycle in count(1):
        for lane in shape.lanes:
            folder = f"Data/Intensities/BaseCalls/L{lane:03}/C{cycle}.1"
            if shape.instrument == "novaseq":
                yield from (f"{folder}/L{lane:03}_{surface}.cbcl" for surface in (1, 2))
            else:
                yield from (f"{folder}/s_{lane}_{tile}.bcl" for tile in _tiles(shape))


def _small_paths(shape: RunShape, files: int) -> Iterator[str]:
    """``files`` data files: an eighth filters, a fifth thumbnails, the rest base calls while cycles last."""
    left = (4 if shape.instrument == "novaseq" else 38) * _CYCLES - shape.big_files
    calls = max(0, min(left, files - files // 8 - files // 5))
    places = product(shape.lanes, _tiles(shape))
    filters = (f"Data/Intensities/BaseCalls/L{lane:03}/s_{lane}_{tile}.filter" for lane, tile in places)
    thumbnails = (
        f"Thumbnail_Images/L{lane:03}/C{cycle}.1/s_{lane}_{tile}_{channel}.jpg"
        for cycle in count(1)
        for lane, tile, channel in product(shape.lanes, ("1101", "2112"), ("green", "red"))
    )
    base_calls = islice(_call_paths(shape), shape.big_files, shape.big_files + calls)
    return islice(chain(islice(filters, files // 8), base_calls, thumbnails), files)


def _tiles(shape: RunShape) -> Iterator[str]:
    """Four-digit tile names: surface, swath, tile."""
    _, surfaces, swaths, tiles = shape.layout
    for surface, swath, tile in product(range(surfaces), range(swaths), range(tiles)):
        yield f"{surface + 1}{swath + 1}{tile + 1:02}"


def _markers(shape: RunShape) -> dict[str, str]:
    if shape.instrument == "miseq":
        return {"RTAComplete.txt": "1/20/2024,11:02:17.345,Illumina RTA 1.18.54\r\n"}
    return {"RTAComplete.txt": " ", "CopyComplete.txt": ""}


def _texts(shape: RunShape) -> dict[str, str]:
    """Return what every run has: description, parameters, samples, a dot-file, an empty file."""
    date, instrument, number, side_and_cell = shape.run_id.split("_", 3)
    info = run_info(shape.run_id, int(number), side_and_cell[1:], instrument, date, _READS, shape.layout)
    parameters = f"""<?xml version="1.0"?>
<RunParameters>
<ApplicationName>{_MODELS[shape.instrument]} Control Software</ApplicationName><RunId>{shape.run_id}</RunId>
</RunParameters>
"""
    return {
        "RunInfo.xml": info,
        "RunParameters.xml": parameters,
        "SampleSheet.csv": sample_sheet(shape.samples),
        ".transfer_state": "queued\n",
        f"RTALogs/20{date}-1102_WarningLog_00.tsv": "",
    }
