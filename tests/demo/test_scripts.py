"""The scripts of made-up instruments, as values."""

from __future__ import annotations

import pytest

from async_s3_upload.demo.instrument.layouts import CAN_FAIL, LAYOUTS, make_script
from async_s3_upload.demo.instrument.script import Script, shares, split_reads

MIB = 1024 * 1024


def script(layout: str, **keys: object) -> Script:
    arguments: dict[str, object] = {"total_bytes": 2 * MIB, "cycles": 12, **keys}
    return make_script(layout, **arguments)  # type: ignore[arg-type]


def places(made: Script, path: str) -> list[int]:
    return [index for index, step in enumerate(made.steps) if step.path == path]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_arguments_give_the_same_script_and_another_seed_another_one(layout: str) -> None:
    assert script(layout, seed=3) == script(layout, seed=3)
    assert script(layout, seed=3).steps != script(layout, seed=4).steps


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("cycles", [4, 12, 100])
def test_a_complete_run_has_the_bytes_asked_for_and_its_last_marker_at_the_end(layout: str, cycles: int) -> None:
    made = script(layout, cycles=cycles, seconds=600)
    assert made.completes_at == len(made.steps) - 1
    assert made.steps[-1].path == made.markers[-1]
    assert made.seconds == 600
    assert 2 * MIB <= sum(made.sizes_after().values()) < 2 * MIB + 40_000


@pytest.mark.parametrize("layout", LAYOUTS)
def test_steps_are_in_the_order_of_their_times(layout: str) -> None:
    times = [step.at for step in script(layout, late_logs=True).steps]
    assert times == sorted(times)
    assert times[0] == 0


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("ending", ["complete", "stalled"])
def test_files_are_appended_to_and_renamed_only_where_they_are(layout: str, ending: str) -> None:
    there: set[str] = set()
    for step in script(layout, ending=ending).steps:
        assert step.action != "rename" or step.source in there
        assert step.text is None or step.size == len(step.text)
        assert step.size >= 0
        there.add(step.path)


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name not in ("aviti", "ont")])
def test_an_illumina_run_begins_with_run_info_and_writes_its_parameters_twice(layout: str) -> None:
    made = script(layout)
    assert made.steps[0].path == "RunInfo.xml"
    steps = [step for step in made.steps if step.path.lower() == "runparameters.xml"]
    assert [step.action for step in steps] == ["write", "append"] * 2
    assert steps[1].at < 0.01 * made.seconds < 0.9 * made.seconds < steps[2].at
    early, late = (b"".join(step.text or b"" for step in half) for half in (steps[:2], steps[2:]))
    assert b"CompletedCycles" not in early
    assert b"<CompletedCycles>" in late


def test_only_the_sample_sheet_of_a_novaseq_6000_comes_late() -> None:
    for layout in ("novaseq_x", "nextseq_2000", "miseq", "miseq_old"):
        assert places(script(layout), "SampleSheet.csv")[0] < 6
    made = script("novaseq_6000")
    (late,) = places(made, "SampleSheet.csv")
    assert made.steps[late].at == pytest.approx(0.4 * 7200)


def test_markers_come_in_the_order_of_the_real_instruments() -> None:
    cbcl_end = ["SequenceComplete.txt", "RTAComplete.txt", "RunCompletionStatus.xml", "CopyComplete.txt"]
    ends = {
        "novaseq_6000": cbcl_end,
        "novaseq_x": cbcl_end,
        "nextseq_2000": cbcl_end,
        "miseq": cbcl_end,
        "miseq_old": ["Basecalling_Netcopy_complete.txt", "RTAComplete.txt"],
        "aviti": ["RunManifest.json", "RunParameters.json", "RunUploaded.json"],
        "ont": ["final_summary_PAU12345_1a2b3c4d_00aa11bb.txt"],
    }
    for layout, names in ends.items():
        made = script(layout)
        order = [places(made, name)[-1] for name in names]
        assert order == sorted(order)
        assert order[-1] == made.completes_at


@pytest.mark.parametrize("layout", ["novaseq_6000", "novaseq_x", "nextseq_2000", "miseq"])
def test_data_come_after_rta_complete_where_copy_complete_is_the_last_word(layout: str) -> None:
    made = script(layout)
    (rta,) = places(made, "RTAComplete.txt")
    late = {step.path for step in made.steps[rta:] if "BaseCalls" in step.path}
    assert late
    assert late == {path for path in late if "/C12.1/" in path}


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name not in ("aviti", "ont")])
def test_interop_files_grow_or_are_rewritten_throughout_the_run(layout: str) -> None:
    made = script(layout)
    for path in {step.path for step in made.steps if step.path.startswith("InterOp/")}:
        steps = [step for step in made.steps if step.path == path]
        assert len(steps) >= 12
        assert len({step.action for step in steps}) == 1
        assert steps[-1].at - steps[0].at > 0.8 * made.seconds
    rewritten = {step.path for step in made.steps if step.path.startswith("InterOp/") and step.action == "write"}
    assert len(rewritten) == 3


def test_what_is_rewritten_stays_bounded_for_many_cycles() -> None:
    made = script("miseq", cycles=600)
    assert made.written_bytes < 1.3 * sum(made.sizes_after().values())


def test_read_ends_look_like_the_end_and_are_not() -> None:
    names = [step.path for step in script("novaseq_x").steps]
    assert [name for name in names if name.startswith("RTARead")] == [f"RTARead{n}Complete.txt" for n in (1, 2, 3, 4)]
    assert names.index("RTARead1Complete.txt") < len(names) * 0.7


def test_base_calls_of_an_aviti_have_a_temporary_name_until_they_are_whole() -> None:
    made = script("aviti")
    calls = [step for step in made.steps if step.path.endswith(".zip")]
    assert len(calls) == 12
    assert {step.action for step in calls} == {"rename"}
    assert not [path for path in made.sizes_after() if "partial" in path]


def test_pod5_files_appear_whole() -> None:
    steps = [step for step in script("ont").steps if step.path.endswith(".pod5")]
    assert len({step.path for step in steps}) == len(steps) == 12


@pytest.mark.parametrize("layout", CAN_FAIL)
def test_a_failed_run_says_so_and_has_fewer_cycles(layout: str) -> None:
    made = script(layout, ending="failed")
    told = {"RunCompletionStatus.xml", "RunUploaded.json"}
    said = b"".join(step.text or b"" for step in made.steps if step.path in told)
    assert any(word in said for word in (b"RunErrored", b"OutcomeFailed", b"ExceptionEndedEarly"))
    assert made.completes_at is None
    assert made.ends_at == len(made.steps) - 1
    assert made.seconds < 0.7 * 7200
    assert sum(made.sizes_after().values()) < 0.75 * 2 * MIB


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_stalled_run_has_no_marker(layout: str) -> None:
    made = script(layout, ending="stalled")
    assert made.ends_at is None
    assert made.completes_at is None
    assert not set(made.markers) & set(made.sizes_after())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_late_logs_come_after_the_end(layout: str) -> None:
    made = script(layout, late_logs=True)
    assert made.ends_at is not None
    late = made.steps[made.ends_at + 1 :]
    assert late
    assert all(step.at > made.seconds for step in late)
    assert made.steps[: made.ends_at + 1] == script(layout).steps


def test_what_cannot_be_made_is_refused() -> None:
    with pytest.raises(ValueError, match="no layout hiseq: there are novaseq_6000, "):
        script("hiseq")
    with pytest.raises(ValueError, match="at least 4 cycles"):
        script("miseq", cycles=3)
    for layout in set(LAYOUTS) - set(CAN_FAIL):
        with pytest.raises(ValueError, match="does not write how a run ended: it cannot fail, only stall"):
            script(layout, ending="failed")


@pytest.mark.parametrize("cycles", [4, 5, 11, 40, 318])
def test_reads_add_up_to_the_cycles(cycles: int) -> None:
    reads = split_reads(cycles)
    assert sum(read.cycles for read in reads) == cycles
    assert [read.is_index for read in reads] == [False, True, True, False]
    assert min(read.cycles for read in reads) >= 1


@pytest.mark.parametrize(("total", "weights"), [(10, [1, 1, 1]), (0, [2, 3]), (7, [0.1]), (1_000_003, [0.8, 1.2, 1.1])])
def test_shares_add_up(total: int, weights: list[float]) -> None:
    cut = shares(total, len(weights), weights)
    assert sum(cut) == total
    assert min(cut) >= 0
