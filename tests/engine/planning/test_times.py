"""Times once measured: kept for a second attempt, written into the report, and taken back with a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import teaching
from engine.checkpoint import Checkpoint
from engine.clock import Clock
from engine.compress import compress
from engine.data import ladder
from engine.errors import RecipeInvalid
from engine.graph.model import Model
from engine.graph.units import Unit, find_units
from engine.measure.environment import describe
from engine.planning import choosing, times, whole_blocks
from engine.planning.times import Times
from engine.progress import Progress
from engine.recipe import Deploy, LatencyTable, PlanTime, Recipe, UnitTimes
from engine.recovery.schedule import Schedule
from engine.report import Interval, Latency, LatencyComparison, Report
from engine.subject import Subject, prepare
from tests.networks import Draft, blocks, stem

BLOCKS = 6
WIDE = 16
"""What widths are multiples of, more than any group here has: a busy machine would say 4 now and then."""


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    draft = Draft()
    path = tmp_path_factory.mktemp("network") / "model.onnx"
    path.write_bytes(draft.model(draft.classify(blocks(draft, stem(draft), BLOCKS))).to_bytes())
    return path


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teaching, "schedule_for", lambda model: Schedule(steps=2, batch=8, evaluate_every=1))
    monkeypatch.setattr(ladder, "DRAWN_IMAGES", 24)
    monkeypatch.setattr(choosing, "PRICES_MAX", 5)


class FakeClocks:
    """A machine on which a block takes a tenth of the time, more or less: no two measurements are the same."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)
        self.asked = 0

    def compare_latency(self, a: Model, b: Model, *_: Any, **options: Any) -> LatencyComparison:
        ratio = self._of(b) / self._of(a) * float(self.random.uniform(0.97, 1.03))
        took = Latency(latency_ms_p50=1.0, latency_ms_p95=1.0, samples=9)
        ratios = Interval(value=ratio, low=ratio - 0.01, high=ratio + 0.01)
        return LatencyComparison(original=took, delivered=took, ratio=ratios)

    def latency_shares(self, model: Model, units: Any, *_: Any, **options: Any) -> dict[str, Interval]:
        self.asked += 1
        values = {unit.name: float(self.random.uniform(0.07, 0.13)) for unit in units}
        return {name: Interval(value=value, low=0.9 * value, high=1.1 * value) for name, value in values.items()}

    def time_models(self, models: dict[str, Model], *_: Any, **options: Any) -> dict[str, Any]:
        return {name: np.array([float(self.random.uniform(9, 11))]) for name in models}

    def _of(self, model: Model) -> float:
        return 4 + sum(node.op_type == "Add" for node in model.graph)


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> FakeClocks:
    fake = FakeClocks()
    for name in ("compare_latency", "latency_shares", "time_models"):
        monkeypatch.setattr(times, name, getattr(fake, name))
    monkeypatch.setattr(times, "measured_multiple", lambda *_, **options: WIDE)
    return fake


def run(source: Path, **changes: Any) -> Report:
    asked = {"budget_seconds": 60, "target": {"latency_ratio": 0.72}} | changes
    return compress(source, None, Recipe.model_validate(asked), Progress()).report


def cut(report: Report) -> list[str]:
    return [unit.name for unit in report.units if unit.decision == "cut"]


def test_with_the_table_of_a_report_the_same_is_cut_to_the_last_bit(model_path: Path, clocks: FakeClocks) -> None:
    first = run(model_path)
    assert first.latency_table is not None

    again = run(model_path, latency_table=first.latency_table.model_dump(mode="json"))

    assert 0 < len(cut(first)) < BLOCKS
    assert cut(again) == cut(first)
    assert again.sha256 == first.sha256
    assert again.latency_table == first.latency_table
    assert again.predicted_latency_ratio == first.predicted_latency_ratio
    assert clocks.asked == 1
    assert sum(len(row.units) for row in first.latency_table.units) == BLOCKS
    assert first.latency_table.plans
    assert 1 <= first.latency_table.prices <= choosing.PRICES_MAX
    assert first.latency_table.environment == describe(Deploy()).model_dump()


def subject_of(source: Path, **changes: Any) -> Subject:
    return prepare(source, None, Recipe.model_validate({"budget_seconds": 60} | changes), Progress())


def names(units: Sequence[Unit]) -> list[str]:
    return [unit.name for unit in units]


def brought(table: LatencyTable) -> dict[str, Any]:
    return {"latency_table": table.model_dump(mode="json")}


def test_a_table_of_another_machine_is_named_in_a_warning(model_path: Path, clocks: FakeClocks) -> None:
    here = describe(Deploy()).model_dump()
    table = LatencyTable(original_ms=3.0, units=(), environment=here | {"processor": "Z80", "batch": 1})
    subject = subject_of(model_path, **brought(table))

    found = Times(subject, [], Clock(60), Checkpoint(None, []))

    (note,) = found.notes()
    assert "processor: Z80 there" in note
    assert "batch" not in note
    assert found.original_ms == 3.0


def test_the_table_of_another_network_is_refused(model_path: Path, clocks: FakeClocks) -> None:
    table = LatencyTable(original_ms=3.0, units=(UnitTimes(units=("a_block",), share=0.1, low=0.1, high=0.1),))

    with pytest.raises(RecipeInvalid, match="speaks of 'a_block'"):
        run(model_path, **brought(table))


def test_what_the_table_does_not_tell_is_timed(model_path: Path, clocks: FakeClocks) -> None:
    subject = subject_of(model_path)
    units = whole_blocks(find_units(subject.model))
    known = UnitTimes(units=(units[0].name,), share=0.5, low=0.4, high=0.6)
    plan = PlanTime(units=(units[0].name, units[1].name), saving=0.6)
    table = LatencyTable(original_ms=3.0, units=(known,), plans=(plan,))
    asked = Times(subject_of(model_path, **brought(table)), names(units), Clock(60), Checkpoint(None, []))

    shares = asked.shares(units)

    assert shares[units[0].name] == Interval(value=0.5, low=0.4, high=0.6)
    assert all(0.07 <= shares[unit.name].value <= 0.13 for unit in units[1:])
    assert asked.saving(units[:2]) == 0.6
    assert asked.saving(units[:3]) != asked.saving(units[2:])
    assert len(asked.table().plans) == 3


def test_a_second_attempt_reads_the_times_of_the_first(model_path: Path, clocks: FakeClocks, tmp_path: Path) -> None:
    subject = subject_of(model_path)
    units = whole_blocks(find_units(subject.model))
    first = Times(subject, names(units), Clock(60), Checkpoint(tmp_path, [b"about"]))
    shares, saving = first.shares(units), first.saving(units[:2])
    first.prices, first.spare_prices = 7, 2
    first.keep()

    second = Times(subject, names(units), Clock(60), Checkpoint(tmp_path, [b"about"]))

    assert (second.shares(units), second.saving(units[:2])) == (shares, saving)
    assert second.original_ms == first.original_ms
    assert second.table() == first.table()
    assert clocks.asked == 1
