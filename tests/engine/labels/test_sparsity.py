"""Scales that are pulled go towards zero, the job goes on from what was trained, and without labels it says why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from engine.checkpoint import Checkpoint
from engine.clock import Clock
from engine.data.images import ImageSet
from engine.graph.channels.scales import norm_scales
from engine.graph.model import Model
from engine.labels.sparsity import sparsified
from engine.labels.training import Pull, train
from engine.progress import Progress
from engine.recipe import Recipe
from engine.recovery.schedule import Schedule
from engine.subject import Subject, prepare
from tests.engine.labels.test_training import coloured, lessons
from tests.networks import NETWORKS

SPARSE: dict[str, Any] = {"method": {"name": "slimming", "sparsity_steps": 4, "sparsity": 0.1}}


def scales(model: Model) -> np.ndarray:
    return np.abs(np.concatenate([model.weight(name) for name in norm_scales(model)]))


def trained(strength: float) -> Model:
    model = NETWORKS["residual_with_batch_norm"][0]()
    schedule, room = Schedule("sgd", steps=30, batch=16, learning_rate=0.02), Checkpoint(None, [])
    pull = Pull(tuple(norm_scales(model)), strength)
    train(
        model,
        lessons(model),
        schedule,
        device="cpu",
        seed=0,
        seconds=60,
        tell=lambda *_: None,
        checkpoint=room,
        pull=pull,
    )
    return model


def test_what_is_pulled_goes_towards_zero_by_its_strength() -> None:
    """All else equal, each step takes the rate times the strength off every scale, and momentum makes ten of it."""
    free, pulled, harder = (scales(trained(strength)).sum() for strength in (0.0, 0.02, 0.1))

    assert harder < pulled < free


def subject(folder: Path, labels: bool, **changes: Any) -> Subject:
    images: ImageSet = coloured(40, seed=1)
    (folder / "model.onnx").write_bytes(NETWORKS["residual_with_batch_norm"][0]().to_bytes())
    arrays: dict[str, Any] = {"images": images.inputs} | ({"labels": images.labels} if labels else {})
    np.savez(folder / "images.npz", **arrays)
    recipe = Recipe.model_validate(SPARSE | changes)
    return prepare(folder / "model.onnx", folder / "images.npz", recipe, Progress())


def test_the_job_goes_on_with_what_was_trained_and_a_second_attempt_with_the_same(tmp_path: Path) -> None:
    before, told = subject(tmp_path, labels=True), Progress()
    checkpoint = Checkpoint(tmp_path / "kept", [b"one"])

    after = sparsified(before, told, Clock(60), checkpoint)
    again = sparsified(before, Progress(), Clock(60), checkpoint)

    assert scales(after.plain).sum() < scales(before.plain).sum()
    assert after.upload is before.upload
    assert again.model.to_bytes() == after.model.to_bytes() != before.model.to_bytes()
    assert "trained for sparsity with labels" in after.notes[-1]
    assert [stage.name for stage in told.stages] == ["sparsify"]


def test_without_labels_the_network_stays_and_a_note_says_why(tmp_path: Path) -> None:
    before = subject(tmp_path, labels=False)

    after = sparsified(before, Progress(), Clock(60), Checkpoint(None, []))

    assert after.model is before.model
    assert "have no labels" in after.notes[-1]


def test_nothing_is_trained_unless_it_is_asked_for(tmp_path: Path) -> None:
    before = subject(tmp_path, labels=True, method={"name": "slimming"})

    assert sparsified(before, Progress(), Clock(60), Checkpoint(None, [])) is before
