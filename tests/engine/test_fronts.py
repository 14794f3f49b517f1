"""A whole front from one job, on a tiny network: files, figures, what it goes on from, and a second attempt."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from engine import candidates, teaching
from engine import compress as story
from engine.commands.compress import write
from engine.compress import Delivery, compress
from engine.planning.times import measure_against_upload
from engine.progress import Progress, Update, candidate
from engine.recipe import Recipe
from engine.recovery.closed_form import cut_and_repair
from engine.recovery.schedule import Schedule
from engine.report import Interval, LatencyComparison, Outcome, Report
from tests.engine.test_compress import HurriedClock
from tests.networks import NETWORKS, images

FRONT: dict[str, Any] = {
    "budget_seconds": 10,
    "deploy": {"batch": 2},
    "target": {"pareto": 3},
    "method": {"name": "practise"},  # the clock below sees nodes, and no widths
}


@pytest.fixture(scope="module", autouse=True)
def hurried() -> Iterator[None]:
    """Few steps and short measurements, and a clock that sees what was cut: a busy machine must not decide this."""

    def by_size(subject: Any, cut: Any, **options: Any) -> LatencyComparison:
        found = measure_against_upload(subject, cut, **options)
        ratio = len(list(cut.graph)) / len(list(subject.upload.graph))
        return found.model_copy(update={"ratio": Interval(value=ratio, low=ratio - 0.001, high=ratio + 0.001)})

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(teaching, "schedule_for", lambda model: Schedule(steps=8, batch=8, evaluate_every=1))
        patched.setattr(candidates, "measure_against_upload", by_size)
        patched.setattr(story, "Clock", HurriedClock)
        yield


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder, network = tmp_path_factory.mktemp("front"), NETWORKS["residual"][0]()
    (folder / "model.onnx").write_bytes(network.to_bytes())
    np.save(folder / "images.npy", next(iter(images(network, batch=24).values())))
    return folder / "model.onnx", folder / "images.npy"


@dataclass(frozen=True)
class Finished:
    """One front that was made: what was told on the way, and of each cut how much it took over."""

    delivery: Delivery
    told: list[Update]
    begun: list[tuple[int, int, bool]]  # units cut, those gone before, with trained weights?


@pytest.fixture(scope="module")
def finished(files: tuple[Path, Path], hurried: None) -> Finished:
    begun: list[tuple[int, int, bool]] = []

    def spied(model: Any, units: Any, *arguments: Any, **options: Any) -> Any:
        start = options["start"]
        taught = start is not None and any(
            not np.array_equal(model.weight(name), start.weight(name)) for name in start.graph.initializers
        )
        begun.append((len(units), len(options["gone"]), taught))
        return cut_and_repair(model, units, *arguments, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(candidates, "cut_and_repair", spied)
        delivery, told = front_of(files)
    return Finished(delivery, told, begun)


def front_of(files: tuple[Path, Path], kept: Path | None = None) -> tuple[Delivery, list[Update]]:
    told: list[Update] = []
    recipe = Recipe.model_validate(FRONT)
    return compress(*files, recipe, Progress(told.append, recipe.budget_seconds), kept), told


def test_a_front_is_delivered_whole(finished: Finished, tmp_path: Path) -> None:
    report = finished.delivery.report

    write(finished.delivery, tmp_path)

    assert report.outcome is Outcome.TARGET_MET
    assert len(report.candidates) >= 3
    assert Report.model_validate_json((tmp_path / "report.json").read_text()) == report
    points = [(one.latency.ratio.value, one.recovery.error_final) for one in report.candidates]
    assert points == sorted(points, key=lambda point: (-point[0], point[1]))
    for one in report.candidates:
        delivered = (tmp_path / one.file).read_bytes()
        assert hashlib.sha256(delivered).hexdigest() == one.sha256
        assert one.fidelity is not None
        assert one.recovery.error_final <= one.recovery.error_closed_form
        assert one.cost.macs < report.original.macs
        assert np.isfinite(answer(delivered)).all()
    model = next(one for one in report.candidates if one.is_model)
    assert report.sha256 == model.sha256 == hashlib.sha256((tmp_path / "model.onnx").read_bytes()).hexdigest()
    assert {unit.name for unit in report.units if unit.decision == "cut"} >= set(model.units)
    assert "<svg" in (tmp_path / "front.svg").read_text()
    assert len(list((tmp_path / "candidates").iterdir())) == len(report.candidates)


def answer(network: bytes) -> np.ndarray[Any, Any]:
    (scores,) = onnxruntime.InferenceSession(network).run(None, {"image": np.ones((2, 3, 16, 16), np.float32)})
    return np.asarray(scores)


def test_each_candidate_goes_on_from_what_the_one_before_has_learnt(finished: Finished) -> None:
    """As many units may have gone before: a part of a block goes first, and then the block in its place."""
    assert finished.begun[0][1:] == (0, False)
    assert any(gone > 0 for _, gone, _ in finished.begun[1:])
    assert all(gone <= units and taught == (gone > 0) for units, gone, taught in finished.begun)


def test_each_candidate_is_a_stage_and_the_fraction_never_falls(finished: Finished) -> None:
    report = finished.delivery.report

    fractions = [update.fraction for update in finished.told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1)
    names = [candidate(number + 1) for number in range(len(finished.begun))]
    assert [stage.name for stage in report.stages][-len(names) :] == names
    assert len(report.candidates) + len(report.dropped) == len(names)


def test_a_second_attempt_makes_no_candidate_twice(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first attempt is killed in its second candidate; the second attempt makes all but the first."""
    calls = 0

    def killed(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return cut_and_repair(*arguments, **options)

    monkeypatch.setattr(candidates, "cut_and_repair", killed)
    with pytest.raises(KeyboardInterrupt):
        front_of(files, tmp_path)
    first = json.loads(next(tmp_path.glob("1-figures-*.json")).read_text())
    calls = 2  # from here on it only counts

    again, _ = front_of(files, tmp_path)

    everyone = [*again.report.candidates, *again.report.dropped]
    assert calls - 2 == len(everyone) - 1
    assert first["recovery"] in [one.recovery.model_dump() for one in again.report.candidates]
    for one in again.report.candidates:
        assert hashlib.sha256(again.candidates[one.file].to_bytes()).hexdigest() == one.sha256


def test_where_nothing_is_faster_the_original_is_delivered_alone(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Interval(value=1.2, low=1.1, high=1.3)

    def slower(*arguments: Any, **options: Any) -> LatencyComparison:
        return measure_against_upload(*arguments, **options).model_copy(update={"ratio": slow})

    monkeypatch.setattr(candidates, "measure_against_upload", slower)

    delivery, _ = front_of(files)

    assert delivery.report.outcome is Outcome.NO_GAIN
    assert (delivery.report.candidates, delivery.candidates) == ((), {})
    assert delivery.report.delivered == delivery.report.original
    assert {one.reason for one in delivery.report.dropped} == {"not surely faster than the original"}
