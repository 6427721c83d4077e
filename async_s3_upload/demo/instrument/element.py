"""How an Element AVITI writes a run: base calls a file for each cycle, under a temporary name until it is whole."""

from __future__ import annotations

import json

from async_s3_upload.demo.instrument.plan import FIRST_CYCLE_AT, LATE_LOGS, STALLS_AFTER, RunPlan
from async_s3_upload.demo.instrument.script import Script, shares

RUN_ID = "20240131_AV240101_made_up"
_READ_NAMES = {"Read1": "R1", "Index1": "I1", "Index2": "I2", "Read2": "R2"}
_TILES = tuple(
    f"L{lane}R0{row}C0{column}S{side}" for lane in (1, 2) for row in (1, 2) for column in (1, 2) for side in (1, 2)
)
_MANIFEST = "[RUNVALUES]\nKEYNAME,VALUE\n\n[SAMPLES]\nSampleName,Index1,Index2,Lane\n"
_SAMPLES = ("sample_1_assay_1", "sample_2_assay_1", "sample_3_assay_1")


def aviti_script(layout: str, plan: RunPlan) -> Script:
    """Return the script of an AVITI run; RunUploaded.json is last, also where the run failed."""
    timeline = plan.timeline()
    rows = "".join(f"{name},ACGTACGTA{base},TTGCACGTA{base},1+2\n" for name, base in zip(_SAMPLES, "ACG", strict=True))
    timeline.torn_text(0, "RunParameters.json", _parameters(plan, finished=False))
    timeline.text(0.001, "RunManifest.csv", _MANIFEST + rows)
    calls, filters, locations, stats = shares(plan.total_bytes, 4, (0.95, 0.02, 0.02, 0.01))
    for tile, size in zip(_TILES, shares(locations, len(_TILES)), strict=True):
        timeline.data(plan.cycle_at(2), f"Location/{tile}.loc", size)
    for tile, size in zip(_TILES, shares(filters, len(_TILES)), strict=True):
        timeline.data(plan.cycle_at(min(25, plan.last_cycle) + 1), f"Filter/{tile}.filter", size)
    weights = [timeline.random.uniform(0.8, 1.2) for _ in range(plan.cycles)]
    cycle, sizes = 0, iter(shares(calls, plan.cycles, weights))
    for read in plan.completed_reads():
        for number in range(1, read.cycles + 1):
            cycle += 1
            name = f"{_READ_NAMES[read.name]}_C{number:03}.zip"
            end = plan.cycle_at(cycle + 1)
            begin = end - 0.5 * (end - plan.cycle_at(cycle))
            timeline.renamed(begin, f"BaseCalls/{name}", next(sizes), until=end, temporary=f"BaseCalls/.{name}.partial")
    timeline.rewritten(plan.spread(min(20, plan.last_cycle), FIRST_CYCLE_AT), "AvitiRunStats.json", stats)
    if plan.ending == "stalled":
        timeline.stop(STALLS_AFTER)
    else:
        outcome = "OutcomeFailed" if plan.ending == "failed" else "OutcomeCompleted"
        timeline.text(plan.after_data(0.3), "RunManifest.json", json.dumps({"RunName": "made_up"}) + "\n")
        timeline.torn_text(plan.after_data(0.6), "RunParameters.json", _parameters(plan, finished=True))
        timeline.torn_text(plan.after_data(0.99), "RunUploaded.json", json.dumps({"outcome": outcome}) + "\n")
    if plan.late_logs:
        timeline.text(LATE_LOGS[0], "Logs/wash.log", "wash: end\n")
    return timeline.script(layout, RUN_ID, plan.seed, plan.ending, ("RunUploaded.json",))


def _parameters(plan: RunPlan, *, finished: bool) -> str:
    reads = plan.completed_reads() if finished else plan.reads
    document = {
        "FileVersion": "5.0.0",
        "RunName": "made_up",
        "RunType": "Sequencing",
        "Side": "SideA",
        "FlowcellID": "2400000001",
        "Date": "2024-01-31T15:41:06Z",
        "InstrumentName": "AV240101",
        "RunFolderName": RUN_ID,
        "Cycles": {_READ_NAMES[read.name]: read.cycles for read in reads},
        "ReadOrder": "I1,I2,R1,R2",
        "PlatformVersion": "2.6.0",
    }
    return json.dumps(document, indent=2) + "\n"
