"""The command of the simulation: tables, CSV and plot, the same each time."""

import csv
from pathlib import Path

import pytest

from benchmarks import simulate_scale
from benchmarks.__main__ import main
from benchmarks.scaling_model import setups
from benchmarks.scaling_model.setups import Setup
from benchmarks.scaling_model.site import Site, Workload

TINY = Workload("HiSeq, tiny", ((400, 600_000), (400, 4_000)))
BIG = Workload("NovaSeq X 25B, tiny", ((12, 200_000_000),))


@pytest.fixture(autouse=True)
def tiny_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, load in (("BIG", BIG), ("SMALL", TINY), ("MIDDLE", TINY), ("DAYS", BIG), ("FAULTY", BIG)):
        smaller = tuple(Setup(each.name, each.site, load) for each in getattr(setups, name))
        monkeypatch.setattr(simulate_scale, name, smaller)


def test_tables_csv_and_plot_are_written_and_the_same_each_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = []
    for plot in ("one/plot.png", "two/plot.svg"):
        out = tmp_path / plot.split("/")[0]
        assert main(["simulate-scale", "--most-hosts", "4", "--out", str(out), "--plot", str(tmp_path / plot)]) == 0
        assert (tmp_path / plot).stat().st_size > 10_000
        found.append((out / "scaling.csv").read_text())
    assert found[0] == found[1]
    rows = list(csv.DictReader(found[0].splitlines()))
    assert [row["hosts"] for row in rows if row["setup"] == "10 Gbit/s, 4 workers"] == ["1", "2", "4"]
    assert all(float(row["gbit_s"]) > 0 for row in rows)
    text = capsys.readouterr().out
    assert "| 25 Gbit/s, storage gives 100 |" in text
    assert "| one worker of 64 is ten times slower |" in text


def test_a_simulation_that_beats_the_formulas_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setups, "seconds", lambda *_: 1e6)
    point = setups.point(Setup("fast", Site(1, 1e9), BIG), 1)
    assert simulate_scale.too_fast([point]) == [
        f"fast, 1 hosts: {point.found.seconds:.2f} s, the formulas say 1000000.00"
    ]
