"""What the programs are compared on: folders made from a seed, of bytes that nothing can compress."""

import os
import random
from dataclasses import replace

from async_s3_upload.demo.run_folder import BIG, KIB, MIB, RunShape, make_run_folder
from benchmarks.grid import Folder

ONE_BYTES = 8_000_000_000
_BLOCK_BYTES = 16 * MIB
_LEAST_SMALL = 25  # a run folder has some files always

SHAPES = {
    "big": BIG,
    "small": RunShape("240117_A01295_0314_BHT7WNDRX3", 20_000, 27 * KIB),
    "mixed": RunShape("240116_A01295_0313_BHT7WNDRX2", 4_000, 27 * KIB, 24, 16 * MIB),
}
NAMES = ("big", "one", "small", "mixed")


def make_dataset(parent: str, name: str, *, scale: float = 1.0, seed: int = 1) -> Folder:
    """Make the set ``name`` in ``parent``; ``scale`` multiplies the numbers of files (the size of ``one``)."""
    if name == "one":
        return Folder.read(_one_file(parent, max(1, round(ONE_BYTES * scale)), seed))
    shape = SHAPES[name]
    scaled = replace(
        shape,
        small_files=max(_LEAST_SMALL if shape.small_files > _LEAST_SMALL else shape.small_files,
                        round(shape.small_files * scale)),
        big_files=max(1, round(shape.big_files * scale)) if shape.big_files else 0,
    )  # fmt: skip
    return Folder.read(make_run_folder(parent, scaled, seed))


def read_all(folder: Folder) -> None:
    """Read every file once, so that all programs find them in the page cache."""
    buffer = bytearray(MIB)
    for parent, _, names in os.walk(folder.path):
        for name in names:
            with open(os.path.join(parent, name), "rb", buffering=0) as file:
                while file.readinto(buffer):
                    pass


def _one_file(parent: str, size: int, seed: int) -> str:
    """Write one file: a seeded random block again and again, each time from another place and with its number."""
    source = random.Random(seed)
    block = memoryview(source.randbytes(_BLOCK_BYTES))
    folder = os.path.join(parent, "240115_A01295_0312_BHT7WNDRX1")
    os.makedirs(folder)
    with open(os.path.join(folder, "reads.cbcl"), "wb", buffering=0) as file:
        written = 0
        while written < size:
            written += file.write(written.to_bytes(8, "little")[: size - written])
            start = source.randrange(_BLOCK_BYTES // 2)
            written += file.write(block[start : start + size - written])
    return folder
