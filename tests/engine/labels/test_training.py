"""Training from random weights learns what there is to learn, twice alike, and goes on where it was killed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.checkpoint import Checkpoint
from engine.controls.scratch import schedule_for, untrained_copy
from engine.data.images import ImageSet
from engine.graph.folds import fold
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.labels import training
from engine.labels.training import Lessons, Trained, train
from engine.measure.fidelity import correct
from engine.recipe import Deploy
from engine.recovery.schedule import Schedule
from tests.networks import NETWORKS

COMPUTE = Deploy(threads=1)
QUICK = Schedule("sgd", steps=40, batch=16, learning_rate=0.02, warm_up=0.1)


COLOURS = np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 2], [2, 2, 0]], np.float32)


def coloured(count: int, seed: int) -> ImageSet:
    """Noise of five colours; the colour is the label."""
    labels = np.arange(count) % 5
    noise = np.random.default_rng(seed).standard_normal((count, 3, 16, 16), dtype=np.float32)
    names = tuple(str(index) for index in range(count))
    return ImageSet(noise + COLOURS[labels][:, :, None, None], labels.astype(np.int64), names)


def lessons(model: Model) -> Lessons:
    return Lessons(coloured(80, seed=1), str(model.graph.outputs[0].name), mirrored=True, layout="NCHW")


def untrained(name: str = "residual") -> Model:
    return untrained_copy(normalise(NETWORKS[name][0]()), seed=0)


def run(
    model: Model,
    schedule: Schedule = QUICK,
    seconds: float = 600,
    folder: Path | None = None,
    tell: Callable[[float, str], None] = lambda done, said: None,
) -> Trained:
    taught = lessons(model)
    room = Checkpoint(folder, [b"one"])
    return train(model, taught, schedule, device="cpu", seed=3, seconds=seconds, tell=tell, checkpoint=room)


@pytest.mark.parametrize(("name", "rate"), [("residual", None), ("transformer", 3e-3)])
def test_what_can_be_learnt_is_learnt_and_folded(name: str, rate: float | None) -> None:
    model, unseen = untrained(name), coloured(50, seed=2)
    usual = schedule_for(model, images=80, epochs=8)
    before = correct(model, unseen, COMPUTE)

    trained = run(model, dataclasses.replace(usual, learning_rate=rate or usual.learning_rate))

    after = correct(fold(model), unseen, COMPUTE)
    assert before is not None
    assert after is not None
    assert before.mean() < 0.6
    assert after.mean() >= 0.9
    assert trained.is_finite
    assert trained.stopped_by == "schedule"


def test_one_seed_trains_one_network() -> None:
    first, second = untrained(), untrained()

    for model in (first, second):
        run(model, Schedule("sgd", steps=4, batch=16, learning_rate=0.02))

    assert first.to_bytes() == second.to_bytes()


def test_a_killed_training_goes_on_as_if_it_had_not_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "SAVE_EVERY_SECONDS", 0.0)
    whole, broken, second = untrained(), untrained(), untrained()
    short = Schedule("sgd", steps=6, batch=16, learning_rate=0.02)

    def kill(done: float, said: str) -> None:
        if said.startswith("step 4"):
            raise KeyboardInterrupt

    run(whole, short)
    with pytest.raises(KeyboardInterrupt):
        run(broken, short, folder=tmp_path, tell=kill)
    trained = run(second, short, folder=tmp_path)

    assert second.to_bytes() == whole.to_bytes()
    assert trained.steps == 6
    assert list(tmp_path.iterdir()) == []


def test_time_that_is_spent_ends_it() -> None:
    model = untrained()

    trained = run(model, seconds=0.0)

    assert (trained.steps, trained.stopped_by) == (0, "budget")


def test_weights_that_run_away_are_told_of() -> None:
    model = untrained("transformer")

    trained = run(model, Schedule("sgd", steps=8, batch=16, learning_rate=1e30))

    assert not trained.is_finite
