"""The grid is what the clock says: the smallest step down from 128 channels that surely pays."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest

from engine.measure import width_grid
from engine.measure.width_grid import MULTIPLES, WIDTH, _network, measured_multiple
from engine.recipe import Deploy


def clock(block: dict[str, int]) -> Any:
    """A machine that takes as long as for the next whole block, by the kind of layers."""

    def time_models(models: dict[str, Any], *_: Any, **options: Any) -> dict[str, Any]:
        def took(name: str) -> float:
            kind, width = name.split()
            return float(-(-int(width) // block[kind]) * block[kind])

        return {name: np.full(5, took(name)) for name in models}

    return time_models


@pytest.mark.parametrize(
    ("dense", "depthwise", "multiple"),
    [(1, 1, 4), (4, 4, 4), (8, 4, 8), (4, 8, 8), (16, 8, 16), (8, 32, 32), (32, 32, 32), (128, 8, 32)],
)
def test_it_is_the_smallest_step_that_pays_for_every_kind_of_layer(
    dense: int, depthwise: int, multiple: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where none does, the largest: too coarse a grid costs some choice, too fine a one costs time."""
    monkeypatch.setattr(width_grid, "time_models", clock({"dense": dense, "depthwise": depthwise}))

    assert measured_multiple(Deploy(), seed=0, budget_seconds=1.0) == multiple
    assert multiple in MULTIPLES


def test_a_step_that_takes_longer_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with 127 channels of a depthwise block: 2.2 times as long as with 128."""
    whole = clock({"dense": 8, "depthwise": 8})

    def time_models(models: dict[str, Any], *_: Any, **options: Any) -> dict[str, Any]:
        taken = whole(models)
        return {name: took * (1 if int(name.split()[1]) % 8 == 0 else 2.2) for name, took in taken.items()}

    monkeypatch.setattr(width_grid, "time_models", time_models)

    assert measured_multiple(Deploy(), seed=0, budget_seconds=1.0) == 8


def noisy(ratios: dict[int, float], spread: float) -> Any:
    """A machine on which a step down takes this part of the whole, more or less."""

    def time_models(models: dict[str, Any], *_: Any, **options: Any) -> dict[str, Any]:
        noise = np.random.default_rng(0)
        part = {name: ratios.get(WIDTH - int(name.split()[1]), 1.0) for name in models}
        return {name: part[name] * (1 + spread * noise.standard_normal(40)) for name in models}

    return time_models


@pytest.mark.parametrize(
    ("ratios", "spread", "multiple"),
    [
        ({4: 0.985, 8: 0.99, 16: 0.87, 32: 0.74}, 0.03, 16),  # 4 pays by its median alone, 16 surely
        ({4: 0.999, 8: 0.90, 16: 0.87, 32: 0.86}, 0.15, 8),  # nothing surely pays
        ({4: 0.999, 8: 0.99, 16: 0.99, 32: 0.99}, 0.001, 32),
    ],
)
def test_what_surely_pays_goes_before_what_may_be_noise(
    ratios: dict[int, float], spread: float, multiple: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(width_grid, "time_models", noisy(ratios, spread))

    assert measured_multiple(Deploy(), seed=0, budget_seconds=1.0) == multiple


@pytest.mark.parametrize(("provider", "batch"), [("cpu", 1), ("cuda", 8)])
def test_a_processor_is_asked_with_one_image(provider: str, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def time_models(models: dict[str, Any], deploy: Deploy, *_: Any, **options: Any) -> dict[str, Any]:
        asked.append(deploy)
        return {name: np.ones(5) for name in models}

    monkeypatch.setattr(width_grid, "time_models", time_models)
    deploy = Deploy.model_validate({"provider": provider, "batch": 8, "threads": 1})

    measured_multiple(deploy, seed=0, budget_seconds=1.0)

    assert asked == [deploy.model_copy(update={"batch": batch})]


@pytest.mark.parametrize("kind", ["dense", "depthwise"])
def test_the_networks_that_are_timed_run(kind: str) -> None:
    for width in (WIDTH, WIDTH - MULTIPLES[0]):
        session = onnxruntime.InferenceSession(_network(kind, width).to_bytes())

        (found,) = session.run(None, {"image": np.ones((1, width, 28, 28), np.float32)})

        assert found.shape == (1, width, 28, 28)
        assert np.isfinite(found).all()
