"""Texts that made-up Illumina runs hold: RunInfo.xml and the sample sheet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_SHEET_HEAD = (
    "[Header]\nIEMFileVersion,4\nExperiment Name,made_up\nWorkflow,GenerateFASTQ\n\n[Reads]\n151\n151\n\n"
    "[Settings]\nAdapterRead1,CTGTCTCTTATACACATCT\n\n[Data]\nSample_ID,Sample_Name,Sample_Well,Index_ID\n"
)


def sample_sheet(samples: Sequence[str]) -> str:
    """Return a sample sheet of version 1 with these sample IDs."""
    rows = (f"{name},{name},A{index},UDP{index:04}\n" for index, name in enumerate(samples, 1))
    return _SHEET_HEAD + "".join(rows)


def run_info(
    run_id: str,
    number: int,
    flowcell: str,
    instrument: str,
    date: str,
    reads: Iterable[tuple[int, bool]],
    layout: tuple[int, int, int, int],
    version: int = 5,
) -> str:
    """Return RunInfo.xml; ``reads`` are cycles and whether they read an index, ``layout`` lanes to tiles."""
    lines = "".join(
        f'<Read Number="{index}" NumCycles="{cycles}" IsIndexedRead="{"Y" if is_index else "N"}" />\n'
        for index, (cycles, is_index) in enumerate(reads, start=1)
    )
    lanes, surfaces, swaths, tiles = layout
    return f"""<?xml version="1.0" encoding="utf-8"?>
<RunInfo Version="{version}">
<Run Id="{run_id}" Number="{number}">
<Flowcell>{flowcell}</Flowcell><Instrument>{instrument}</Instrument><Date>{date}</Date>
<Reads>
{lines}</Reads>
<FlowcellLayout LaneCount="{lanes}" SurfaceCount="{surfaces}" SwathCount="{swaths}" TileCount="{tiles}" />
</Run>
</RunInfo>
"""
