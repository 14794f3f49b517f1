"""The plumbing of the benchmark of timing: sets, errors, promises, and loads that are gone when they should be."""

from __future__ import annotations

import multiprocessing
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from benchmarks.timing.beside import LOADS, busy
from benchmarks.timing.contract import Contract, Trial
from benchmarks.timing.sets import predicted_ratio, sets_to_try
from benchmarks.timing.table import summary, tables
from engine.formats import save
from engine.recipe import Deploy
from engine.report import Interval
from tests.networks import residual

SHARES = {f"unit {n}": Interval(value=n / 100, low=0.0, high=0.2) for n in range(1, 12)}  # 0.66 together
RATIOS = {"latency_ratio": 0.7, "measured_ratio": 0.69, "measured_ratio_low": 0.68, "reported_ratio": 0.69}
JOB = {"outcome": "target_met", **RATIOS}


def row(predicted: float, again: float, **changes: Any) -> dict[str, Any]:
    errors = {"error": predicted - 1, "error_again": again - 1}
    return {"model": "net", "beside": "quiet", "predicted": predicted, "predicted_again": again, **errors, **changes}


def test_sets_are_unlike_not_empty_and_the_same_for_a_seed() -> None:
    for seed in range(20):
        sets = sets_to_try(SHARES, drawn=8, seed=seed)

        assert sets == sets_to_try(SHARES, drawn=8, seed=seed)
        assert len({frozenset(units) for units in sets.values()}) == len(sets)
        assert all(units and set(units) <= set(SHARES) for units in sets.values())


def test_chosen_sets_just_reach_their_ratio() -> None:
    sets = sets_to_try(SHARES, drawn=0, seed=0)

    assert set(sets) == {f"{rule} for {ratio:g}" for rule in ("fewest", "most") for ratio in (0.8, 0.7, 0.6, 0.5)}
    for name, units in sets.items():
        ratio = float(name.split()[-1])
        assert predicted_ratio(SHARES, units) <= ratio < predicted_ratio(SHARES, units[:-1])
    assert len(sets["fewest for 0.7"]) < len(sets["most for 0.7"])


def test_a_ratio_out_of_reach_is_not_tried() -> None:
    few = {name: SHARES[name] for name in ("unit 1", "unit 11")}

    assert sets_to_try(few, drawn=0, seed=0) == {}


def test_errors_of_both_tables_count_and_signs_do_not() -> None:
    found = summary([row(1.02, 0.96), row(0.9, 0.98)])

    assert found["median"] == pytest.approx(0.03)
    assert found["worst"] == pytest.approx(0.1)
    assert found["again"] > 0.08


@pytest.mark.parametrize(
    ("change", "word"),
    [({}, "met"), ({"measured_ratio": 0.75}, "**missed**"), ({"measured_ratio_low": 1.01}, "**missed**")],
)
def test_the_promises_of_jobs(change: dict[str, object], word: str) -> None:
    text = tables([row(1.0, 1.0)], [], [JOB | change])

    (promise,) = [line for line in text.splitlines() if line.startswith("Jobs:")]
    assert word in promise


def test_a_set_that_is_predicted_wrong_is_said_to_miss() -> None:
    assert "median error 0.0% (met" in tables([row(1.0, 1.0)], [], [])
    assert "median error 6.0% (**missed**" in tables([row(1.06, 0.94)], [], [])


@pytest.mark.parametrize("load", ["calculating", "bursts"])
def test_a_load_runs_beside_and_is_gone_afterwards(load: str) -> None:
    with suppress(KeyError), busy(load, 1):
        (beside,) = multiprocessing.active_children()
        assert beside.is_alive()
        raise KeyError

    assert multiprocessing.active_children() == []


def test_quiet_starts_nothing() -> None:
    assert LOADS["quiet"] is None
    with busy("quiet", 2):
        assert multiprocessing.active_children() == []


def test_every_set_of_a_network_is_predicted_twice_and_measured(tmp_path: Path) -> None:
    save(residual(), tmp_path / "net.onnx")
    contract = Contract(tmp_path / "net.onnx", Trial(Deploy(batch=2), 3, 0, table_seconds=0.1, measure_seconds=0.1))

    rows, kinds = list(contract.rows()), list(contract.kinds(contract.shares(0)))

    assert sum(kind["units"] for kind in kinds) == len(contract.units) == 3
    assert rows
    for found in rows:
        assert found["low"] <= found["measured"] <= found["high"]
        assert found["error"] == pytest.approx(found["predicted"] / found["measured"] - 1, abs=1e-3)
    assert "| net | quiet |" in tables([{"model": "net", "beside": "quiet", **row} for row in rows], [], [])
