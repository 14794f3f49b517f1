"""Where linear layers find a group's channels, and why some groups cannot be weighed."""

from __future__ import annotations

import numpy as np
import pytest

from engine.graph.channels.groups import find_groups
from engine.graph.channels.readings import columns, find_readings, is_affordable, likeness, nodes_around
from engine.graph.model import Model
from engine.graph.normalise import normalise
from tests.engine.pricing.readers import CASES, group_of
from tests.networks import Draft, residual, stem


@pytest.mark.parametrize("name", CASES)
def test_every_reader_is_found_with_the_places_of_each_channel(name: str) -> None:
    case = CASES[name]
    model = case.build()
    group = group_of(model, case.name)

    readings, why_not = find_readings(model, group)

    assert why_not == ""
    assert [reading.layer.node for reading in readings] == list(case.positions)
    for reading in readings:
        assert np.array_equal(reading.positions, case.positions[reading.layer.node])
    assert is_affordable(model, group)


def _grouped(draft: Draft) -> str:
    return draft.conv(draft.conv("image", 3, 8), 8, 8, group=2)


def _transposed(draft: Draft) -> str:
    """A layer that no least squares is set up for."""
    weight = draft.weight(8, 8, 2, 2)
    return draft.node("ConvTranspose", draft.conv("image", 3, 8), weight, kernel_shape=[2, 2], strides=[2, 2])


def _shared(draft: Draft) -> str:
    """Weights that two layers share."""
    x, kernel = draft.conv("image", 3, 8), draft.weight(8, 8, 3, 3)
    return draft.node("Conv", draft.node("Relu", draft.node("Conv", x, kernel, pads=[1] * 4)), kernel, pads=[1] * 4)


@pytest.mark.parametrize("build", [_grouped, _transposed, _shared])
def test_a_reader_that_could_not_be_refitted_is_named(build: object) -> None:
    draft = Draft()
    model = normalise(draft.model(draft.classify(draft.node("Relu", build(draft)))))  # type: ignore[operator]
    group = find_groups(model).groups[0]

    readings, why_not = find_readings(model, group)

    assert readings == []
    assert f"'{group.readers[0]}'" in why_not
    assert not is_affordable(model, group)


def test_too_large_a_layer_is_not_affordable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither weight by weight nor, where those are too many, channel by channel."""
    model = CASES["read twice"].build()
    group = group_of(model, "node_0_Conv")

    monkeypatch.setattr("engine.graph.writers.UNKNOWNS_MAX", 6)
    assert is_affordable(model, group)
    monkeypatch.setattr("engine.graph.writers.UNKNOWNS_MAX", 5)
    assert not is_affordable(model, group)


@pytest.mark.parametrize("name", CASES)
def test_columns_say_which_channels_of_the_layer_are_the_group_s(name: str) -> None:
    """Behind a Flatten the four places of each channel are one; elsewhere positions are channels already."""
    model = CASES[name].build()

    for reading in find_readings(model, group_of(model, CASES[name].name))[0]:
        expected = np.arange(6)[:, None] if name == "flattened" else reading.positions
        np.testing.assert_array_equal(columns(model, reading), expected)


def test_what_is_around_a_group_are_the_nodes_that_have_its_channels() -> None:
    model = normalise(residual())
    shared, *inner = find_groups(model).groups

    assert nodes_around(model, inner[0]) == {"node_2_Conv", "node_3_Relu", "node_4_Conv"}
    assert nodes_around(model, shared) >= {"node_0_Conv", "node_5_Add", "node_2_Conv", "node_19_Gemm"}


def two_kinds() -> Model:
    """Blocks of one shape, and one with a kernel of its own."""
    draft = Draft()
    x = stem(draft)
    for kernel in (3, 3, 1):
        y = draft.node("Relu", draft.conv(x, 8, 12, kernel=kernel))
        x = draft.node("Relu", draft.node("Add", x, draft.conv(y, 12, 8)))
    return normalise(draft.model(draft.classify(x)))


def test_groups_around_the_same_work_are_alike() -> None:
    model = two_kinds()
    _, *inner = find_groups(model).groups

    first, second, other = (likeness(model, group) for group in inner)

    assert first == second
    assert first != other
