"""How Illumina instruments write a run: RunInfo.xml first, cycles, and the markers in their order."""

from __future__ import annotations

from itertools import product

from async_s3_upload.demo.instrument.illumina_models import Model
from async_s3_upload.demo.instrument.plan import LATE_LOGS, STALLS_AFTER, RunPlan
from async_s3_upload.demo.instrument.script import Script, Timeline, shares
from async_s3_upload.demo.run_documents import sample_sheet
from async_s3_upload.demo.run_folder import INTEROP

_CALLS = "Data/Intensities/BaseCalls"
_SHARES = (("calls", 0.955), ("interop", 0.01), ("filters", 0.02), ("locations", 0.01), ("logs", 0.005))
_REWRITES = 20
"""An InterOp file that is written anew rather than appended to is so at most so often, however many cycles."""
_FILTER_CYCLE = 25
SAMPLES = ("sample_1_assay_1", "sample_2_assay_1", "sample_3_assay_1")


def illumina_script(layout: str, plan: RunPlan, model: Model) -> Script:
    """Return the script of a run by this instrument.

    Raises:
        ValueError: the run shall fail, and this instrument has no word for that.
    """
    if plan.ending == "failed" and not model.copy_marker:
        raise ValueError(f"{layout} does not write how a run ended: it cannot fail, only stall")
    timeline = plan.timeline()
    sizes = dict(zip(dict(_SHARES), shares(plan.total_bytes, len(_SHARES), dict(_SHARES).values()), strict=True))
    _begin(timeline, model, plan)
    _cycles(timeline, model, plan, sizes["calls"])
    _along_the_way(timeline, model, plan, sizes)
    _read_ends(timeline, model, plan)
    if plan.ending == "stalled":
        timeline.stop(STALLS_AFTER)
    else:
        _end(timeline, model, plan)
    if plan.late_logs:
        _late_logs(timeline, model)
    return timeline.script(layout, model.run_id, plan.seed, plan.ending, _markers(model))


def _markers(model: Model) -> tuple[str, ...]:
    if not model.copy_marker:
        return ("ImageAnalysis_Netcopy_complete.txt", "Basecalling_Netcopy_complete.txt", "RTAComplete.txt")
    return ("SequenceComplete.txt", "RTAComplete.txt", "RTAExited.txt", "RunCompletionStatus.xml", "CopyComplete.txt")


def _begin(timeline: Timeline, model: Model, plan: RunPlan) -> None:
    timeline.torn_text(0, "RunInfo.xml", model.run_info(plan))
    timeline.torn_text(0.001, model.parameters_file, model.parameters(plan, None))
    # A NovaSeq 6000 takes no part in demultiplexing: there the sheet is brought while the run goes on.
    sheet_at = 0.4 if model.family == "novaseq" else 0.002
    timeline.text(sheet_at, "SampleSheet.csv", sample_sheet(SAMPLES))
    timeline.text(0.003, f"Recipe/{model.flowcell}.xml", f"<Recipe><Name>{model.application}</Name></Recipe>\n")


def _cycles(timeline: Timeline, model: Model, plan: RunPlan, size: int) -> None:
    """Write the base calls; those of one cycle come lane by lane, the last one's are copied late."""
    names = [path for lane in range(1, model.lanes + 1) for path in _call_files(model, lane)]
    slot = plan.cycle_at(2) - plan.cycle_at(1)
    weights = [timeline.random.uniform(0.8, 1.2) for _ in range(plan.cycles * len(names))]
    sizes = iter(shares(size, len(weights), weights))
    pieces = 1 if model.family == "miseq" else 3
    for cycle in range(1, plan.last_cycle + 1):
        begin = plan.cycle_at(cycle)
        for number, path in enumerate(names):
            at = begin + slot * (0.2 + 0.6 * number / len(names))
            until = at + slot * 0.15
            if cycle == plan.last_cycle and number >= len(names) // 2 and model.copy_marker:
                # the copying lags behind: RTAComplete.txt is there before these
                at, until = plan.after_data(0.5), plan.after_data(0.7)
            timeline.data(at, path.replace("CYCLE", str(cycle)), next(sizes), until=until, pieces=pieces)


def _call_files(model: Model, lane: int) -> list[str]:
    folder = f"{_CALLS}/L{lane:03}/CCYCLE.1"
    if model.family == "miseq":
        return [f"{folder}/s_{lane}_{tile}.bcl" for tile in model.tile_names()]
    return [f"{folder}/L{lane:03}_{surface}.cbcl" for surface in range(1, model.surfaces + 1)]


def _along_the_way(timeline: Timeline, model: Model, plan: RunPlan, sizes: dict[str, int]) -> None:
    """Write locations, filters, InterOp files and logs."""
    places = list(product(range(1, model.lanes + 1), model.tile_names()))
    after_first = plan.cycle_at(2)
    if model.family == "miseq":
        for (lane, tile), size in zip(places, shares(sizes["locations"], len(places)), strict=True):
            timeline.data(after_first, f"Data/Intensities/L{lane:03}/s_{lane}_{tile}.locs", size)
    else:
        timeline.data(after_first, "Data/Intensities/s.locs", sizes["locations"])
    filtered = plan.cycle_at(min(_FILTER_CYCLE, plan.last_cycle) + 1)
    for (lane, tile), size in zip(places, shares(sizes["filters"], len(places)), strict=True):
        timeline.data(filtered, f"{_CALLS}/L{lane:03}/s_{lane}_{tile}.filter", size)
    _interop(timeline, plan, sizes["interop"])
    began = f"20{model.run_id[:6]}" if not model.run_id.startswith("20") else model.run_id[:8]
    global_log, warnings = shares(sizes["logs"], 2, (9, 1))
    cycles = plan.spread(plan.last_cycle)
    timeline.grows(cycles, f"RTALogs/{began}-1102_GlobalLog_00.tsv", global_log)
    timeline.grows(cycles[::5], f"RTALogs/{began}-1102_WarningLog_00.tsv", warnings)
    timeline.text(0.01, f"Logs/{model.run_id}_Cycle0_Log.00.log", "prime: begin\n")
    timeline.text(plan.after_data(0.05), f"Logs/{model.run_id}_Cycle0_Log.00.log", "sequencing: end\n", "append")


def _interop(timeline: Timeline, plan: RunPlan, size: int) -> None:
    """Half of the InterOp files grow with every cycle, the other half are written anew again and again."""
    often = plan.spread(plan.last_cycle)
    seldom = often[:: max(1, -(-len(often) // _REWRITES))]
    last = plan.after_data(0.3)  # after RTAComplete.txt, as the copying lags behind
    for number, (name, share) in enumerate(zip(INTEROP, shares(size, len(INTEROP)), strict=True)):
        path = f"InterOp/{name}MetricsOut.bin"
        if number % 2:
            timeline.rewritten([*seldom, last], path, share)
        else:
            timeline.grows(often, path, share)


def _read_ends(timeline: Timeline, model: Model, plan: RunPlan) -> None:
    """Write what looks like the end of a run, but is the end of a read."""
    for number, at in plan.read_ends():
        if model.family == "miseq":
            stamp = f"1/31/2024,11:0{number}:17.345,Illumina RTA 1.18.54\r\n"
            timeline.text(at, f"ImageAnalysis_Netcopy_complete_Read{number}.txt", stamp)
            timeline.text(at, f"Basecalling_Netcopy_complete_Read{number}.txt", stamp)
        else:
            timeline.text(at, f"RTARead{number}Complete.txt", f"Read {number} complete 1/31/2024 11:0{number}:29 PM")


def _end(timeline: Timeline, model: Model, plan: RunPlan) -> None:
    parameters = model.parameters(plan, plan.completed_reads())
    if not model.copy_marker:
        stamp = "1/31/2024,23:02:17.345,Illumina RTA 1.18.54\r\n"
        timeline.text(plan.after_data(0.4), "ImageAnalysis_Netcopy_complete.txt", stamp)
        timeline.text(plan.after_data(0.5), "Basecalling_Netcopy_complete.txt", stamp)
        timeline.torn_text(plan.after_data(0.8), model.parameters_file, parameters)
        timeline.text(plan.after_data(1), "RTAComplete.txt", stamp)
        return
    timeline.text(plan.after_data(0.1), "SequenceComplete.txt", "")
    timeline.text(plan.after_data(0.2), "RTAComplete.txt", " ")
    timeline.text(plan.after_data(0.21), "RTAExited.txt", "0\n")
    timeline.torn_text(plan.after_data(0.8), model.parameters_file, parameters)
    timeline.torn_text(plan.after_data(0.9), "RunCompletionStatus.xml", _status(model, plan))
    timeline.text(plan.after_data(1), "CopyComplete.txt", "")


def _status(model: Model, plan: RunPlan) -> str:
    """Return RunCompletionStatus.xml: there is an older and a newer form."""
    failed = plan.ending == "failed"
    if model.family in ("novaseqx", "nextseq"):
        reads = "".join(
            f'    <Read ReadName="{read.name}" Cycles="{read.cycles}" />\n' for read in plan.completed_reads()
        )
        said = f"<RunStatus>{'RunErrored' if failed else 'RunCompleted'}</RunStatus>"
        inner = f"  <CompletedReads>\n{reads}  </CompletedReads>\n  {said}\n"
    else:
        said = "ExceptionEndedEarly" if failed else "CompletedAsPlanned"
        error = "Imaging error" if failed else "None"
        inner = (
            f"  <Version>1</Version>\n  <CompletionStatus>{said}</CompletionStatus>\n"
            f"  <RunId>{model.run_id}</RunId>\n  <ErrorDescription>{error}</ErrorDescription>\n"
        )
    return f'<?xml version="1.0" encoding="utf-8"?>\n<RunCompletionStatus>\n{inner}</RunCompletionStatus>\n'


def _late_logs(timeline: Timeline, model: Model) -> None:
    wash, log = LATE_LOGS
    timeline.text(wash, f"Logs/{model.run_id}_PostRunWash.log", "wash: begin\nwash: end\n")
    timeline.text(log, f"Logs/{model.run_id}_Cycle0_Log.00.log", "post-run wash: end\n", "append")
