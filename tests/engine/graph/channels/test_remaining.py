"""What remains is what the narrowed network has: its shapes, and its values where the whole one ignores what went."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.execution.runtime import open_session, run
from engine.graph.channels.groups import find_groups
from engine.graph.channels.ignore import ignore_channels
from engine.graph.channels.remaining import narrowed, remaining
from engine.graph.channels.remove import remove_channels
from engine.graph.extract import extract
from engine.graph.model import Model
from engine.graph.normalise import normalise
from tests.engine.graph.channels.rules.cases import CASES, normalised
from tests.engine.graph.same import assert_close
from tests.networks import NETWORKS, images, residual

NAMES = [*(name for name in CASES if CASES[name].sizes)][1::3]
NETWORK_NAMES = ["residual", "inverted_residual", "squeeze_excite", "transformer", "dense", "plain", "windows"]


def model_of(name: str) -> Model:
    return normalise(NETWORKS[name][0]()) if name in NETWORKS else normalised(name)


def some_cuts(model: Model, seed: int = 0) -> dict[str, list[int]]:
    random = np.random.default_rng(seed)
    return {
        group.name: sorted(int(c) for c in random.permutation(group.size)[: group.size // 2])
        for group in find_groups(model).groups
    }


def values_of(model: Model, names: list[str], shown: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return run(open_session(extract(model, names)), shown)


@pytest.mark.parametrize("name", [*NAMES, *NETWORK_NAMES])
def test_every_value_is_that_of_the_whole_network_which_ignores_what_went(name: str) -> None:
    """Value by value: those named lose just these positions, and no other loses any."""
    model = model_of(name)
    cuts = some_cuts(model)
    left, smaller = remaining(model, cuts), remove_channels(model, cuts)
    names = [
        str(value.name)
        for node in model.graph
        for value in node.outputs
        if value.dtype is not None and value.dtype.is_floating_point() and not value.is_graph_output()
    ]

    whole = values_of(ignore_channels(model, cuts), names, images(model))

    for found_in, found in values_of(smaller, names, images(model)).items():
        assert (found.shape != whole[found_in].shape) == (found_in in {*left.values, *left.untold})
        if found_in not in left.untold:
            assert_close(found, narrowed(whole[found_in], left.values.get(found_in, ())), name=found_in)


@pytest.mark.parametrize("name", NETWORK_NAMES)
def test_readers_are_those_of_the_groups_that_are_narrowed(name: str) -> None:
    model = model_of(name)
    for group in find_groups(model).groups:
        assert remaining(model, {group.name: [0]}).readers == set(group.readers)


def test_what_goes_from_an_axis_of_open_size_is_untold() -> None:
    """Windows that are cut across images and channels alike: how many there are only the images tell."""
    left = remaining(model_of("windows"), some_cuts(model_of("windows")))

    assert left.untold
    assert not left.untold & set(left.values)


def test_where_nothing_goes_all_remains() -> None:
    model = normalise(residual())

    assert remaining(model, {}) == remaining(model, {"node_2_Conv": []})
    assert not remaining(model, {}).values


def test_positions_are_taken_along_each_axis() -> None:
    array = np.arange(24).reshape(2, 3, 4)

    found = narrowed(array, ((1, np.array([0, 2])), (2, np.array([3]))))

    assert np.array_equal(found, array[:, [0, 2]][:, :, [3]])
    assert narrowed(array, ()) is array
