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


@pytest.mark.parametrize("kind", ["dense", "depthwise"])
def test_the_networks_that_are_timed_run(kind: str) -> None:
    for width in (WIDTH, WIDTH - MULTIPLES[0]):
        session = onnxruntime.InferenceSession(_network(kind, width).to_bytes())

        (found,) = session.run(None, {"image": np.ones((1, width, 28, 28), np.float32)})

        assert found.shape == (1, width, 28, 28)
        assert np.isfinite(found).all()
