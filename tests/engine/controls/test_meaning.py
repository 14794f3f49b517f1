"""What a control means is said in the direction of its figures, and no further than they go."""

from __future__ import annotations

from typing import Any

import pytest

from engine.controls.meaning import meaning
from engine.report import ControlReport, Interval


def control(value: float, low: float, high: float, **changes: Any) -> ControlReport:
    half = Interval(value=0.5, low=0.4, high=0.6)
    figures = {"name": "scratch_e", "accuracy": half, "inherited_accuracy": half, "images": 400, "test_images": 100}
    figures |= {"epochs": 160.0, "epochs_planned": 160, "stopped_by": "schedule", "meaning": ""}
    figures["difference"] = Interval(value=value, low=low, high=high)
    return ControlReport.model_validate(figures | changes)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ((0.3, 0.2, 0.4), "the inherited weights are worth 30 points (+20 to +40)"),
        ((-0.3, -0.4, -0.2), "train this architecture anew"),
        ((0.01, -0.05, 0.07), "cannot tell which is better"),
    ],
)
def test_the_figures_say_which_is_better(found: tuple[float, float, float], said: str) -> None:
    assert said in meaning(control(*found))


def test_few_images_say_nothing_about_many() -> None:
    few, many = (meaning(control(0.3, 0.2, 0.4, images=images)) for images in (400, 45_000))

    assert "from 400 images nobody learns a network" in few
    assert "nobody learns" not in many
    assert all("architecture matters more" in said for said in (few, many))


def test_training_that_was_cut_short_is_told_of() -> None:
    said = meaning(control(0.3, 0.2, 0.4, epochs=12.5, stopped_by="budget"))

    assert "12.5 epochs of 160, all that the time allowed" in said
