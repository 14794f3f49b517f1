"""Every method takes a tiny network all the way: the target is met or its miss is told, and a table repeats it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from engine import allowance, teaching
from engine.compress import Delivery, compress
from engine.data import ladder
from engine.errors import NothingToCut, RecipeInvalid, TargetInfeasible
from engine.graph.channels.groups import find_groups
from engine.graph.cuts import Cut, Narrowing, remove
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.units import Unit, find_units
from engine.measure.cost import count
from engine.planning import choosing, times
from engine.progress import Progress
from engine.recipe import METHODS, Recipe
from engine.recovery.schedule import Schedule
from engine.report import Interval, Latency, LatencyComparison, Outcome, Report
from tests.networks import NETWORKS, Draft, images

SHAPES = {"image": (3, 8, 8)}
WIDTH, INNER, MULTIPLE = 8, 32, 8


def network() -> Model:
    """Two blocks whose inner channels are many, every layer with its norm."""
    draft = Draft()
    x = draft.node("Relu", draft.batch_norm(draft.conv("image", 3, WIDTH), WIDTH))
    for _ in range(2):
        y = draft.node("Relu", draft.batch_norm(draft.conv(x, WIDTH, INNER), INNER))
        x = draft.node("Relu", draft.node("Add", x, draft.batch_norm(draft.conv(y, INNER, WIDTH), WIDTH)))
    return draft.model(draft.classify(x), ("batch", 3, 8, 8))


class Clocks:
    """A machine whose time is a network's work, more or less: no two measurements are the same."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)
        self.asked = 0

    def near(self, value: float) -> float:
        return value * float(self.random.uniform(0.99, 1.01))

    def compare_latency(self, a: Model, b: Model, *_: Any, **options: Any) -> LatencyComparison:
        ratio = self.near(count(b, SHAPES).macs / count(a, SHAPES).macs)
        took = Latency(latency_ms_p50=ratio, latency_ms_p95=ratio, samples=9)
        ratios = Interval(value=ratio, low=ratio - 0.01, high=ratio + 0.01)
        return LatencyComparison(original=took, delivered=took, ratio=ratios)

    def shares(self, model: Model, cuts: Sequence[Cut]) -> dict[str, Interval]:
        self.asked += 1
        whole = count(model, SHAPES).macs
        saved = {cut.name: self.near(1 - count(remove(model, [cut]), SHAPES).macs / whole) for cut in cuts}
        return {name: Interval(value=value, low=0.9 * value, high=1.1 * value) for name, value in saved.items()}

    def latency_shares(self, model: Model, units: Sequence[Unit], *_: Any, **options: Any) -> dict[str, Interval]:
        return self.shares(model, units)

    def width_shares(
        self, model: Model, kinds: Mapping[str, Sequence[Sequence[Narrowing]]], *_: Any, **options: Any
    ) -> dict[str, Interval]:
        return self.shares(model, [step for members in kinds.values() for member in members for step in member])

    def measured_multiple(self, *_: Any, **options: Any) -> int:
        return MULTIPLE

    def time_models(self, models: dict[str, Model], *_: Any, **options: Any) -> dict[str, Any]:
        return {name: np.array([self.near(10.0)]) for name in models}


@pytest.fixture(autouse=True)
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    fake = Clocks()
    for name in ("compare_latency", "latency_shares", "width_shares", "measured_multiple", "time_models"):
        monkeypatch.setattr(times, name, getattr(fake, name))
    monkeypatch.setattr(teaching, "schedule_for", lambda model: Schedule(steps=2, batch=8, evaluate_every=1))
    monkeypatch.setattr(teaching, "schedule_by_folds", lambda subject, plan, schedule, *_: schedule)
    monkeypatch.setattr(ladder, "DRAWN_IMAGES", 24)
    monkeypatch.setattr(choosing, "PRICES_MAX", 4)
    return fake


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder, model = tmp_path_factory.mktemp("network"), network()
    (folder / "model.onnx").write_bytes(model.to_bytes())
    np.save(folder / "images.npy", next(iter(images(model, batch=30).values())))
    return folder / "model.onnx", folder / "images.npy"


def run(source: Path, shown: Path | None, **asked: Any) -> Delivery:
    recipe = Recipe.model_validate({"budget_seconds": 60, "target": {"latency_ratio": 0.75}} | asked)
    return compress(source, shown, recipe, Progress())


def narrowed(report: Report) -> dict[str, int]:
    """How many channels stay of each group that lost any."""
    return {group.name: group.kept for group in report.groups if group.kept < group.channels}


def require_sound(delivery: Delivery) -> None:
    """The network runs, and its layers are as wide as the report says."""
    onnx.checker.check_model(onnx.load_model_from_string(delivery.model.to_bytes()), full_check=True)
    session = onnxruntime.InferenceSession(delivery.model.to_bytes())
    (scores,) = session.run(None, {"image": np.ones((3, 3, 8, 8), np.float32)})
    assert scores.shape == (3, 5)
    assert np.isfinite(scores).all()
    widths = {
        str(node.name): delivery.model.weight(str(node.inputs[1].name)).shape[0]  # type: ignore[union-attr]  # weights
        for node in delivery.model.graph
        if node.op_type == "Conv"
    }
    for name, kept in narrowed(delivery.report).items():
        assert widths[name] == kept
        assert kept % MULTIPLE == 0


@pytest.mark.parametrize("name", METHODS)
def test_every_method_meets_the_target_or_tells_by_how_much_it_missed(name: str, files: tuple[Path, Path]) -> None:
    delivery = run(*files, method={"name": name})

    report = delivery.report
    assert report.recipe.method.name == name
    assert report.summary.startswith(("Met:", "Missed:", "No gain:")) or "weights" in METHODS[name].cuts
    require_sound(delivery)
    cuts = METHODS[name].cuts
    if report.outcome is Outcome.TARGET_MET and cuts != {"weights"}:
        assert report.latency is not None
        assert report.latency.ratio.value <= 0.75 * 1.02
        assert narrowed(report) or "channels" not in cuts or "units" in cuts
        assert ("units" in cuts) or not [unit for unit in report.units if unit.decision == "cut"]
        said = len(narrowed(report))
        assert (f"{said} group" in report.summary) == (said > 0)
    assert bool(report.groups) == ("channels" in cuts)
    assert report.delivered.macs <= report.original.macs


def test_with_the_table_of_a_report_the_same_widths_are_chosen(files: tuple[Path, Path], clocks: Clocks) -> None:
    """Widths have rows of their own in the table, and so has what they are multiples of."""
    first = run(*files).report
    asked = clocks.asked
    assert first.latency_table is not None

    again = run(*files, latency_table=first.latency_table.model_dump(mode="json")).report

    assert narrowed(first)
    assert narrowed(again) == narrowed(first)
    assert again.sha256 == first.sha256
    assert again.latency_table == first.latency_table
    assert clocks.asked == asked
    assert first.latency_table.width_multiple == MULTIPLE
    rows = {row for unit in first.latency_table.units for row in unit.units}
    assert {f"{group}: {kept} of {INNER}" for group, kept in narrowed(first).items()} <= rows
    assert len([row for row in rows if " of " in row]) == 2 * (INNER // MULTIPLE - 1)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "PASSES_MIN", 10**15)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("name", ["auto", "practise", "thinet"])
@pytest.mark.parametrize("with_images", [True, False])
def test_a_short_job_is_delivered_whole_and_says_what_it_left_out(
    name: str, with_images: bool, files: tuple[Path, Path]
) -> None:
    delivery = run(files[0], files[1] if with_images else None, method={"name": name})

    report = delivery.report
    require_sound(delivery)
    assert report.outcome is Outcome.TARGET_MET
    assert report.latency is not None
    assert report.latency.ratio.value <= 0.75 * 1.02
    assert report.recovery.error_final <= report.recovery.error_plain
    assert report.latency_table is not None
    assert (report.latency_table.is_coarse, report.latency_table.prices) == (True, 0)
    assert [line for line in report.warnings if "60 s is short" in line]


def test_a_budget_is_short_sooner_where_another_file_takes_its_part(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    passes_a_second = allowance.MACS_A_SECOND / count(normalise(network()), SHAPES).macs
    monkeypatch.setattr(allowance, "PASSES_MIN", 0.97 * 60 * passes_a_second)  # a file in halves takes 0.06

    alone, beside = run(*files).report, run(*files, outputs=["fp32", "fp16"]).report

    assert not [line for line in alone.warnings if "is short" in line]
    assert [line for line in beside.warnings if "60 s is short" in line]


def test_the_table_of_a_short_job_does_not_keep_a_longer_one_from_pricing(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(allowance, "PASSES_MIN", 10**15)
        coarse = run(*files).report.latency_table
        again = run(*files, latency_table=coarse).report
    assert coarse is not None

    longer = run(*files, latency_table=coarse).report

    assert again.latency_table == coarse
    assert longer.latency_table is not None
    assert not {*longer.latency_table.units} & {*coarse.units}  # each is timed anew
    assert longer.latency_table.prices > 0
    assert not [line for line in longer.warnings if "is short" in line]


@pytest.mark.usefixtures("short")
def test_a_front_in_a_short_time_is_delivered(files: tuple[Path, Path]) -> None:
    delivery = run(*files, target={"pareto": 2})

    assert len(delivery.report.candidates) >= 2
    assert delivery.report.latency_table is not None
    assert (delivery.report.latency_table.is_coarse, delivery.report.latency_table.prices) == (True, 0)
    assert [line for line in delivery.report.warnings if "60 s is short" in line]


def test_what_is_kept_is_neither_narrowed_nor_left_out(files: tuple[Path, Path]) -> None:
    model = normalise(network())
    block, (_, inner, *_) = find_units(model)[0].name, find_groups(model).groups

    report = run(*files, method={"keep": [inner.name, block]}, target={"macs_ratio": 0.8}).report

    assert inner.name not in narrowed(report)
    assert {group.reason for group in report.groups if group.name == inner.name} == {"the recipe keeps it"}
    assert {unit.decision for unit in report.units if unit.name == block} == {"kept"}


def test_more_than_the_narrowest_widths_save_is_refused(files: tuple[Path, Path]) -> None:
    with pytest.raises(TargetInfeasible, match="2 groups at the narrowest"):
        run(*files, method={"name": "l1"}, target={"latency_ratio": 0.05})


def test_where_every_group_is_too_narrow_a_method_of_channels_has_nothing_to_take(tmp_path: Path) -> None:
    """Eight channels, on a machine that computes eight at once; blocks there are."""
    (tmp_path / "model.onnx").write_bytes(NETWORKS["residual"][0]().to_bytes())

    with pytest.raises(NothingToCut, match="wider than what this machine"):
        run(tmp_path / "model.onnx", None, method={"name": "l1"})


def test_channels_are_no_unit(files: tuple[Path, Path]) -> None:
    """Where so many units are asked for no width is looked at, and a method that takes widths alone is refused."""
    report = run(*files, target={"units": 1}).report

    assert [unit.decision for unit in report.units].count("cut") == 1
    assert report.groups == ()
    assert report.latency_table is not None
    assert report.latency_table.width_multiple is None
    with pytest.raises(RecipeInvalid, match="method thinet takes channels alone"):
        run(*files, target={"units": 1}, method={"name": "thinet"})


def test_a_front_of_widths_and_blocks_is_delivered(files: tuple[Path, Path]) -> None:
    delivery = run(*files, target={"pareto": 2})

    assert any(one.narrowed for one in delivery.report.candidates)
    for one in delivery.report.candidates:
        session = onnxruntime.InferenceSession(delivery.candidates[one.file].to_bytes())
        assert np.isfinite(session.run(None, {"image": np.ones((2, 3, 8, 8), np.float32)})[0]).all()
