"""How an Oxford Nanopore instrument writes a run: pod5 files appear whole, a summary grows, final_summary is last."""

from __future__ import annotations

from async_s3_upload.demo.instrument.plan import FIRST_CYCLE_AT, LATE_LOGS, STALLS_AFTER, RunPlan
from async_s3_upload.demo.instrument.script import Script, shares

RUN_ID = "20240117_1530_2A_PAU12345_1a2b3c4d"
_NAME = "PAU12345_1a2b3c4d_00aa11bb"


def ont_script(layout: str, plan: RunPlan) -> Script:
    """Return the script of an ONT run; what are cycles elsewhere are its batches of reads.

    Raises:
        ValueError: the run shall fail, for which the instrument has no word.
    """
    if plan.ending == "failed":
        raise ValueError(f"{layout} does not write how a run ended: it cannot fail, only stall")
    timeline = plan.timeline()
    final = f"final_summary_{_NAME}.txt"
    timeline.text(0, f"sample_sheet_{_NAME[:17]}.csv", "flow_cell_id,sample_id,kit\nPAU12345,sample_1,SQK-LSK114\n")
    pod5, fastq, summary, throughput = shares(plan.total_bytes, 4, (0.85, 0.12, 0.02, 0.01))
    weights = [timeline.random.uniform(0.8, 1.2) for _ in range(plan.cycles)]
    batches = zip(shares(pod5, plan.cycles, weights), shares(fastq, plan.cycles, weights), strict=True)
    for number, (raw, called) in enumerate(batches):
        kind = "fail" if number % 8 == 7 else "pass"
        at = plan.cycle_at(number + 1) + timeline.random.uniform(0.5, 0.9) / plan.cycles * 0.9
        timeline.data(at, f"pod5_{kind}/PAU12345_{kind}_1a2b3c4d_00aa11bb_{number}.pod5", raw)
        called_at = plan.cycle_at(number + 2)
        timeline.data(called_at, f"fastq_{kind}/PAU12345_{kind}_1a2b3c4d_00aa11bb_{number}.fastq.gz", called)
    often = plan.spread(max(20, plan.cycles), FIRST_CYCLE_AT)
    timeline.grows(often, f"sequencing_summary_{_NAME}.txt", summary)
    timeline.grows(often[::2], f"throughput_{_NAME}.csv", throughput)
    if plan.ending == "stalled":
        timeline.stop(STALLS_AFTER)
    else:
        timeline.data(plan.after_data(0.5), f"report_{_NAME}.html", 20_000)
        timeline.text(plan.after_data(0.7), f"report_{_NAME}.json", '{"protocol_run_info": {"device": "2A"}}\n')
        timeline.text(plan.after_data(1), final, _final_summary(plan))
    if plan.late_logs:
        timeline.text(LATE_LOGS[0], "other_reports/wash.log", "flow cell wash: end\n")
    return timeline.script(layout, RUN_ID, plan.seed, plan.ending, (final,))


def _final_summary(plan: RunPlan) -> str:
    lines = {
        "instrument": "PC24B000",
        "position": "2A",
        "flow_cell_id": "PAU12345",
        "sample_id": "sample_1",
        "protocol_group_id": "made_up",
        "acquisition_run_id": "1a2b3c4d",
        "started": "2024-01-17T15:30:00.000000+00:00",
        "acquisition_stopped": "2024-01-18T15:30:00.000000+00:00",
        "processing_stopped": "2024-01-18T15:31:00.000000+00:00",
        "sequencing_summary_file": f"sequencing_summary_{_NAME}.txt",
        "pod5_files_in_final_dest": plan.cycles,
        "pod5_files_in_fallback": 0,
        "fastq_files_in_final_dest": plan.cycles,
        "fastq_files_in_fallback": 0,
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items())
