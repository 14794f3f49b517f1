"""What is run from a frontier is what the whole network says, wherever the frontier stands."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.data.images import ImageSet
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.stretch import first_difference
from engine.measure.batches import outputs_in_batches
from engine.recipe import Deploy
from engine.recovery import frontier as module
from engine.recovery.frontier import Frontier, batch_for
from tests.networks import NETWORKS, images

COMPUTE = Deploy(threads=1)


def plain(name: str) -> Model:
    return normalise(NETWORKS[name][0]())


def some_images(model: Model, count: int, seed: int = 3) -> ImageSet:
    (inputs,) = images(model, batch=count, seed=seed).values()
    return ImageSet(inputs.astype(np.float32), None, tuple(f"image{i}" for i in range(count)))


def say(model: Model, shown: ImageSet) -> NDArray[np.float32]:
    """The first output for all images."""
    name = model.outputs[0].name
    return np.concatenate([outputs[name] for outputs in outputs_in_batches(model, shown, COMPUTE)])


def say_from(frontier: Frontier, name: str, row: int, model: Model | None = None) -> NDArray[np.float32]:
    return np.concatenate([values[name] for of, values in frontier.values([name], model) if of == row])


@pytest.mark.parametrize("name", NETWORKS)
def test_a_frontier_changes_nothing_wherever_it_stands(name: str) -> None:
    model = plain(name)
    sets = [some_images(model, 3), some_images(model, 2, seed=4)]
    expected = [say(model, shown) for shown in sets]
    frontier = Frontier(model, sets, COMPUTE, batch_for(model))

    for place in range(0, len(model.nodes()), 4):
        frontier.advance(place)
        for row, right in enumerate(expected):
            found = say_from(frontier, model.outputs[0].name, row)
            np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-5 * np.abs(right).max())


def test_no_room_for_what_is_live_costs_time_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_BYTES_MAX", 0)
    model = plain("residual")
    shown = some_images(model, 3)
    frontier = Frontier(model, [shown], COMPUTE, batch=2)

    frontier.advance(6)

    np.testing.assert_allclose(say_from(frontier, model.outputs[0].name, 0), say(model, shown), rtol=1e-5)


@pytest.mark.parametrize("name", ["residual", "inverted_residual", "transformer", "nested", "plain"])
def test_a_changed_network_is_run_from_its_first_difference(name: str) -> None:
    model = plain(name)
    shown = some_images(model, 3)
    layers = [node for node in model.graph if node.op_type in ("Conv", "MatMul") and node.inputs[1].is_initializer()]
    changed = model.copy()
    weight = str(layers[-1].inputs[1].name)
    changed.set_weight(weight, 2 * changed.weight(weight))
    place = first_difference(model, changed)
    frontier = Frontier(model, [shown], COMPUTE, batch=2)

    frontier.advance(place)

    assert place == list(model.nodes()).index(str(layers[-1].name))
    found = say_from(frontier, model.outputs[0].name, 0, changed)
    np.testing.assert_allclose(found, say(changed, shown), rtol=1e-4, atol=1e-5)
    assert first_difference(model, model.copy()) == len(model.nodes())
