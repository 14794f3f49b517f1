"""Gates are trained by labels or by the network's own answers, once, and what they say is what goes first."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from engine.data.images import ImageSet
from engine.methods import practise, sss
from engine.methods.sss import METHOD, order
from engine.pricing import gates as gating
from engine.pricing.study import Study
from engine.progress import Progress
from engine.recipe import Recipe
from engine.subject import prepare
from tests.engine.labels.test_training import coloured
from tests.engine.methods.test_practise import silent, study_of
from tests.networks import NETWORKS


def study(folder: Path, labels: bool) -> Study:
    """A job's study of the residual network, with so few steps that nothing but the way is looked at."""
    images: ImageSet = coloured(40, seed=1)
    (folder / "model.onnx").write_bytes(NETWORKS["residual"][0]().to_bytes())
    arrays = {"images": images.inputs} | ({"labels": cast(Any, images.labels)} if labels else {})
    np.savez(folder / "images.npz", **arrays)
    recipe = Recipe.model_validate({"method": {"name": "sss", "steps": 3}})
    subject = prepare(folder / "model.onnx", folder / "images.npz", recipe, Progress())
    alone = study_of("residual")
    return dataclasses.replace(alone, model=subject.model, subject=subject)


@pytest.mark.parametrize(("labels", "teacher"), [(True, "labels"), (False, "the uncut network's answers")])
def test_gates_are_trained_once_and_weigh_what_was_measured(
    labels: bool, teacher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, trainings = study(tmp_path, labels), []

    def counted(*given: Any, **options: Any) -> dict[str, Any]:
        trainings.append(gating.learn_gates(*given, **options))
        return trainings[-1]

    monkeypatch.setattr(sss, "learn_gates", counted)
    measured = practise.harm(found, silent)
    assert METHOD.harm is not None
    assert METHOD.ranking is not None
    assert METHOD.notes is not None

    harm, _ = METHOD.harm(found, silent), METHOD.ranking(found)

    (gates,) = trainings
    for unit in found.units:
        openness = min(float(gates[unit.name][0]), 1.0)
        assert harm[unit.name] == pytest.approx(openness * measured[unit.name])
    assert METHOD.notes(found)[0].startswith(f"Trained by {teacher}, ")


def test_what_was_trained_in_an_earlier_attempt_is_not_trained_for_a_note() -> None:
    assert METHOD.notes is not None
    assert METHOD.notes(study_of("residual")) == ()


def test_the_least_open_gate_goes_first() -> None:
    assert order(np.array([0.4, 0.0, 1.3, 0.0])) == [1, 3, 0, 2]
