"""Distillation ends at its best step, tells the truth about it, and goes on where it was killed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from engine.checkpoint import Checkpoint
from engine.data.images import ImageSet
from engine.graph.features import Features, find_features
from engine.graph.holes import features_after
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.surgery import remove_units
from engine.graph.units import blocks, find_units
from engine.recipe import Deploy
from engine.recovery import distil as distilling
from engine.recovery.distil import Training, distil
from engine.recovery.optimisers import OPTIMISERS
from engine.recovery.reference import Reference
from engine.recovery.schedule import Schedule, rows, schedule_for
from engine.recovery.views import draw_views
from tests.networks import NETWORKS, images

COMPUTE = Deploy(threads=1)
SHORT = Schedule(steps=12, batch=8, learning_rate=3e-3, evaluate_every=3)


def image_set(model: Model, count: int, seed: int) -> ImageSet:
    (inputs,) = images(model, batch=count, seed=seed).values()
    return ImageSet(inputs.astype(np.float32), None, tuple(f"image{i}" for i in range(count)))


class Bench:
    """One cut network, its teacher's answers, and whatever a test wants to do with them."""

    def __init__(self, name: str) -> None:
        self.model = normalise(NETWORKS[name][0]())
        self.features: Features = find_features(self.model)
        units = blocks(find_units(self.model))[-1:]
        self.student = remove_units(self.model, units)
        self.found_in = features_after(self.model, units, self.features)
        self.reference = Reference(self.model, self.features, image_set(self.model, 8, seed=2), COMPUTE)
        self.views = draw_views(
            self.model, self.features, image_set(self.model, 16, seed=3), COMPUTE, layout="NCHW", seed=0, seconds=60
        )

    def train(
        self, student: Model, schedule: Schedule = SHORT, seconds: float = 600, folder: Path | None = None
    ) -> Training:
        return distil(
            student,
            self.found_in,
            self.views,
            self.reference,
            schedule=schedule,
            device="cpu",
            seed=0,
            seconds=seconds,
            tell=lambda fraction, message: None,
            checkpoint=Checkpoint(folder, [b"this job"]),
        )


@pytest.mark.parametrize("name", ["residual", "branch_first", "inverted_residual", "transformer"])
def test_the_error_told_is_the_error_of_the_network_left(name: str) -> None:
    bench = Bench(name)
    before = bench.reference.error_of(bench.student, bench.found_in)

    training = bench.train(bench.student)

    assert training.error < before
    assert bench.reference.error_of(bench.student, bench.found_in) == pytest.approx(training.error, rel=1e-3)


def test_steps_that_only_harm_are_all_undone() -> None:
    bench = Bench("residual")
    before = bench.student.to_bytes()
    wild = Schedule(steps=6, batch=8, learning_rate=10.0, evaluate_every=2, patience=1)

    training = bench.train(bench.student, wild)

    assert training.best_step == 0
    assert training.stopped_by == "early_stop"
    assert bench.student.to_bytes() == before


@pytest.mark.parametrize(
    ("errors", "best_look"),
    [
        ([1.0, 0.5, 0.505, 0.6], 2),  # eight images: 1.25 % more says nothing, and later steps are better as a rule
        ([1.0, 0.5, 0.508, 0.6], 1),
        ([1.0, 0.5, 0.505, 0.51], 2),  # the allowance is on the best, not on the last
        ([1.0, 1.005, 1.1, 1.0], 0),  # what is no better than the start is never taken
    ],
)
def test_a_later_step_is_taken_unless_it_is_clearly_worse(
    errors: list[float], best_look: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, looks = Bench("residual"), iter(errors)
    monkeypatch.setattr(bench.reference, "error", lambda answers, features: next(looks))

    training = bench.train(bench.student, Schedule(steps=3, batch=8, evaluate_every=1, warm_up=0.01))

    assert training.best_step == best_look
    assert training.error == errors[best_look]


def test_a_rise_while_the_rate_rises_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, looks = Bench("residual"), iter([1.0, 2.0, 3.0, 2.5, 2.0, 1.5, 0.9])
    monkeypatch.setattr(bench.reference, "error", lambda answers, features: next(looks))

    training = bench.train(bench.student, Schedule(steps=6, batch=8, evaluate_every=1, warm_up=0.4, patience=2))

    assert (training.best_step, training.stopped_by) == (6, "schedule")


def test_no_time_means_no_step() -> None:
    bench = Bench("residual")

    training = bench.train(bench.student, seconds=0.0)

    assert (training.steps, training.stopped_by) == (0, "budget")


@pytest.mark.parametrize(
    ("name", "optimiser"),
    [("residual", "muon"), ("transformer", "muon"), ("inverted_residual", "adamw")],
)
def test_few_weights_a_channel_are_taught_in_small_steps(name: str, optimiser: str) -> None:
    schedule = schedule_for(Bench(name).student)

    assert schedule.optimiser == optimiser
    assert (schedule.batch, schedule.learning_rate) == ((16, 3e-5) if optimiser == "adamw" else (64, 3e-3))


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_killed_attempt_is_gone_on_from(optimiser: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after half the steps and taken up again, the weights are those of one run without a stop."""
    bench, schedule = Bench("residual"), dataclasses.replace(SHORT, optimiser=optimiser)
    whole, halves = bench.student.copy(), bench.student.copy()

    class Killed(Exception):
        pass

    monkeypatch.setattr(distilling, "SAVE_EVERY_SECONDS", 0.0)

    def kill(fraction: float, message: str) -> None:
        if message.startswith("step 6"):
            raise Killed

    bench.train(whole, schedule)
    with pytest.raises(Killed):
        distil(
            halves.copy(),
            bench.found_in,
            bench.views,
            bench.reference,
            schedule=schedule,
            device="cpu",
            seed=0,
            seconds=600,
            tell=kill,
            checkpoint=Checkpoint(tmp_path / "kept", [b"this job"]),
        )
    again = bench.train(halves, schedule, folder=tmp_path / "kept")

    assert again.steps == schedule.steps
    for name in whole.graph.initializers:
        np.testing.assert_allclose(halves.weight(name), whole.weight(name), rtol=1e-5, atol=1e-6)


def test_the_checkpoint_of_another_job_is_not_found(tmp_path: Path) -> None:
    Checkpoint(tmp_path, [b"network", b"recipe"]).write_json("harm", {"a": 1.0})

    assert Checkpoint(tmp_path, [b"network", b"recipe"]).read_json("harm") == {"a": 1.0}
    assert Checkpoint(tmp_path, [b"network", b"another"]).read_json("harm") is None
    assert Checkpoint(tmp_path, [b"networkrecipe", b""]).read_json("harm") is None
    assert Checkpoint(None, [b"network", b"recipe"]).read_json("harm") is None


def test_the_same_seed_gives_the_same_weights() -> None:
    """The clock has no say where it is not behind the schedule."""
    bench = Bench("residual")
    first, second = bench.student.copy(), bench.student.copy()

    bench.train(first)
    bench.train(second)

    assert first.to_bytes() == second.to_bytes()


@pytest.mark.parametrize(
    ("count", "batch", "multiple"), [(10, 4, 1), (10, 64, 1), (3, 64, 8), (100, 64, 24), (5, 4, 2)]
)
def test_a_round_shows_no_row_twice_before_all_that_fit(count: int, batch: int, multiple: int) -> None:
    drawn = rows(count, batch, multiple, seed=0)

    first = next(drawn)

    assert len(first) % multiple == 0
    assert len(first) <= max(batch, multiple)
    assert len(set(first.tolist())) == min(count, len(first))
