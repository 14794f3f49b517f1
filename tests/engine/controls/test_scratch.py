"""Controls are trained on the network that was found, stand in the report beside it, and never fail a job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import compress as story
from engine import teaching
from engine.checkpoint import Checkpoint
from engine.clock import Clock
from engine.compress import compress
from engine.controls.scratch import (
    EPOCHS,
    Found,
    reason_against,
    schedule_for,
    time_share,
    train_controls,
    untrained_copy,
)
from engine.data import ladder
from engine.data.images import ImageSet
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.labels.lessons import scores_of, unnormalised
from engine.progress import Progress, Update
from engine.recipe import Recipe
from engine.recovery.schedule import Schedule
from engine.report import Report
from engine.subject import Subject, prepare
from tests.engine.labels.test_training import coloured
from tests.engine.test_compress import HurriedClock
from tests.networks import CHANNELS, NETWORKS, Draft, half_precision, stem

BOTH: dict[str, Any] = {
    "budget_seconds": 10,
    "deploy": {"batch": 2},
    "method": {"name": "practise"},
    "target": {"units": 1},
    "controls": ["scratch_e", "scratch_b"],
    "control_epochs": 2,
}


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teaching, "schedule_for", lambda model: Schedule(steps=2, batch=8, evaluate_every=1))
    monkeypatch.setattr(story, "Clock", HurriedClock)
    monkeypatch.setattr(ladder, "DRAWN_IMAGES", 24)


@pytest.fixture
def model_path(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(NETWORKS["residual"][0]().to_bytes())
    return path


def run(model_path: Path, images: ImageSet, checkpoint: Path | None = None) -> tuple[Report, list[Update]]:
    arrays = {"images": images.inputs} | ({} if images.labels is None else {"labels": images.labels})
    calibration, told = model_path.with_name("images.npz"), list[Update]()
    np.savez(calibration, **arrays)
    recipe = Recipe.model_validate(BOTH)
    return compress(model_path, calibration, recipe, Progress(told.append), checkpoint).report, told


def test_the_report_holds_both_controls_beside_the_inherited_weights(model_path: Path, tmp_path: Path) -> None:
    report, told = run(model_path, coloured(60, seed=1), tmp_path / "checkpoint")

    assert report.fidelity is not None
    assert report.fidelity.accuracy is not None
    smaller = report.original.macs / report.delivered.macs
    planned = [2, EPOCHS["scratch_b"](2, smaller)]
    assert [control.name for control in report.controls] == ["scratch_e", "scratch_b"]
    assert [control.epochs_planned for control in report.controls] == planned
    for control in report.controls:
        assert (control.images, control.test_images, control.stopped_by) == (48, 6, "schedule")
        assert control.inherited_accuracy == report.fidelity.accuracy.delivered
        assert control.accuracy is not None
        assert control.difference is not None
        assert control.difference.value == pytest.approx(control.inherited_accuracy.value - control.accuracy.value)
        assert f"random weights on {control.images} labelled images" in control.meaning
    assert [stage.name for stage in report.stages][-1] == "controls"
    assert [update.fraction for update in told] == sorted(update.fraction for update in told)

    again, _ = run(model_path, coloured(60, seed=1), tmp_path / "checkpoint")

    assert again.controls == report.controls  # the seconds, too: they were not trained again


def test_without_labels_each_control_says_why_and_keeps_no_time(model_path: Path) -> None:
    images = coloured(12, seed=1).inputs
    np.save(model_path.with_name("images.npy"), images)
    found = prepare(model_path, model_path.with_name("images.npy"), Recipe.model_validate(BOTH), Progress())

    reports = train_controls(found, Found(found.model, 1.5), Clock(10), lambda *_: None, Checkpoint(None, []))

    assert [(control.name, control.accuracy, control.epochs) for control in reports] == [
        ("scratch_e", None, 0.0),
        ("scratch_b", None, 0.0),
    ]
    assert all("have no labels" in control.meaning for control in reports)
    assert time_share(found) == 0.0


def subject(images: ImageSet | None) -> Subject:
    """As much of a job as decides whether a network can be taught."""
    test = coloured(5, seed=3)

    class Labelled:
        labelled = images
        split = type("Split", (), {"test": test})

    return Labelled  # type: ignore[return-value]


def mapped() -> Model:
    draft = Draft()
    return draft.model(stem(draft), output_shape=("batch", CHANNELS, 16, 16))


def of_three() -> Model:
    draft = Draft()
    return draft.model(draft.classify(stem(draft), classes=3), output_shape=("batch", 3))


@pytest.mark.parametrize(
    ("model", "found"),
    [
        (mapped(), "gives no class scores"),
        (of_three(), "not the classes that the network scores"),
        (half_precision(), "half precision"),
        (NETWORKS["residual_of_one"][0](), "takes 1 images at a time"),
        (NETWORKS["transformer_of_one"][0](), None),
        (NETWORKS["residual"][0](), None),
    ],
)
def test_what_cannot_be_taught_says_why(model: Model, found: str | None) -> None:
    reason = reason_against(subject(coloured(20, seed=1)), normalise(model))

    assert (reason is None) if found is None else (reason is not None and found in reason)


def test_cross_entropy_reads_what_a_last_softmax_reads() -> None:
    draft = Draft()
    scores = draft.classify(stem(draft))
    model = draft.model(draft.node("Softmax", scores, axis=1))
    output = scores_of(model)

    assert output is not None
    assert unnormalised(output) == scores


@pytest.mark.parametrize(("times_smaller", "epochs"), [(0.5, 10), (1.0, 10), (1.5, 15), (2.0, 20), (4.0, 20)])
def test_b_works_as_long_as_e_would_on_the_original_but_at_most_twice(times_smaller: float, epochs: int) -> None:
    assert EPOCHS["scratch_e"](10, times_smaller) == 10
    assert EPOCHS["scratch_b"](10, times_smaller) == epochs


@pytest.mark.parametrize(("images", "batch"), [(10, 16), (400, 16), (1_600, 64), (50_000, 128)])
def test_an_epoch_sees_each_image_once(images: int, batch: int) -> None:
    for name, optimiser in (("residual", "sgd"), ("transformer", "adamw")):
        schedule = schedule_for(untrained_copy(normalise(NETWORKS[name][0]()), 0), images, 10)

        assert (schedule.optimiser, schedule.batch) == (optimiser, batch)
        assert 0 <= schedule.steps * batch - 10 * images < batch
