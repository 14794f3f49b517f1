"""Groups as a whole: named by what writes them, the same under any other names, and nothing guessed."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from engine.graph.channels.groups import Grouping, find_groups
from engine.graph.channels.kept import Indices
from engine.graph.channels.rules import RULES
from engine.graph.model import Model
from engine.graph.normalise import normalise
from tests.engine.graph.channels.rules.cases import CASES, normalised
from tests.engine.graph.channels.rules.cases.drafting import between_convs
from tests.networks import Draft, residual, transformer


def content(grouping: Grouping) -> list[tuple[int, list[tuple[int, Indices]], int]]:
    """Return what a grouping says beside names."""
    return [
        (group.size, [(place.axis, place.positions) for place in group.places], len(group.readers))
        for group in grouping.groups
    ]


def renamed(model: Model) -> Model:
    """Return the same network under other names, in the opposite order of the alphabet."""
    other = model.copy()
    values = [value for value in other.values().values() if value not in {*other.graph.inputs, *other.graph.outputs}]
    for number, value in enumerate(values):
        value.name = f"v{len(values) - number:05d}"
    for number, node in enumerate(other.graph):
        node.name = f"n{10_000 - number}"
    return other


def without_rules(monkeypatch: pytest.MonkeyPatch, *op_types: str) -> None:
    for op_type in op_types:
        monkeypatch.delitem(RULES, op_type)


@pytest.mark.parametrize("name", list(CASES)[::4])
def test_names_change_nothing_but_names(name: str) -> None:
    model = normalised(name)

    found, again = content(find_groups(model)), content(find_groups(renamed(model)))

    assert len(found) == len(again)
    for (size, places, readers), (other_size, other_places, other_readers) in zip(found, again, strict=True):
        assert (size, readers, len(places)) == (other_size, other_readers, len(other_places))
        for (axis, positions), (other_axis, other_positions) in zip(places, other_places, strict=True):
            assert axis == other_axis
            assert np.array_equal(positions, other_positions)


def test_a_residual_stream_is_one_group_and_each_branch_another() -> None:
    grouping = find_groups(normalise(residual()))

    assert [(group.name, group.size) for group in grouping.groups] == [
        (f"node_{index}_Conv", 8) for index in (0, 2, 7, 12)
    ]
    stream = grouping.groups[0]
    assert stream.readers == ("node_2_Conv", "node_7_Conv", "node_12_Conv", "node_19_Gemm")


def test_groups_that_one_node_writes_are_numbered() -> None:
    names = [group.name for group in find_groups(normalised("grouped")).groups]

    assert names == ["node_0_Conv", "node_0_Conv:2", "node_1_Conv"]


def test_positions_lie_inside_their_axis_and_each_channel_has_its_own() -> None:
    model = normalise(transformer())
    values = model.values()

    places = [place for group in find_groups(model).groups for place in group.places]

    assert places
    for place in places:
        shape = values[place.value].shape
        assert shape is not None
        assert place.positions.min() >= 0
        assert place.positions.max() < shape[place.axis]
        assert len(np.unique(place.positions)) == place.positions.size


def test_an_operator_without_a_rule_is_named_and_freezes_what_it_touches(monkeypatch: pytest.MonkeyPatch) -> None:
    without_rules(monkeypatch, "Relu")
    model = between_convs(lambda d, x: d.conv(d.node("Relu", d.conv(x, 8, 6)), 6, 4), out=4)

    grouping = find_groups(normalise(model))

    assert grouping.unknown == ("node_2_Relu",)
    assert [group.name for group in grouping.groups] == ["node_0_Conv", "node_3_Conv"]
    reasons = {(f.value, f.axis) for f in grouping.frozen if f.node == "node_2_Relu" and f.op_type == "Relu"}
    assert reasons == {("weight_2", 0), ("weight_3", 0), ("weight_4", 1)}


def test_a_rule_that_does_not_fit_freezes_too_and_says_why() -> None:
    model = between_convs(lambda d, x: d.node("Einsum", x, equation="...chw->...chw"))

    grouping = find_groups(normalise(model))

    assert not grouping.groups
    assert not grouping.unknown
    assert "'...chw->...chw' is not a plain list of letters" in {found.reason for found in grouping.frozen}


def test_a_node_that_is_no_good_freezes_too() -> None:
    """A convolution of a vector: nothing runs it, and yet it has to be talked about."""
    draft = Draft()
    model = draft.model(draft.node("Conv", "image", draft.weight(8, 3, 1, 1)), ("batch",))

    (frozen,) = {(found.node, found.reason) for found in find_groups(model).frozen}

    assert frozen == ("node_0_Conv", "its inputs do not fit it: tuple index out of range")


def test_what_a_body_reads_from_around_it_is_frozen() -> None:
    """The If reads its condition alone; its two bodies read the channels."""
    draft = Draft()
    x = draft.conv("image", 3, 8)
    loud = draft.node("Greater", draft.node("ReduceMax", x, keepdims=0), draft.constant(0.0))
    y = draft.node("If", loud)
    model = draft.model(draft.classify(draft.conv(y, 8, 1), 1))
    (chosen,) = [node for node in model.graph if node.op_type == "If"]
    for name, op_type in (("then_branch", "Relu"), ("else_branch", "Neg")):
        inner = ir.node(op_type, [model.values()[x]], name=name)
        body = ir.Graph([], [inner.outputs[0]], nodes=[inner], name=name)
        inner.outputs[0].name, inner.outputs[0].dtype = f"{name}_output", ir.DataType.FLOAT
        inner.outputs[0].shape = ir.Shape(["batch", 8, 16, 16])
        chosen.attributes[name] = ir.AttrGraph(name, body)

    grouping = find_groups(model)

    assert not grouping.groups
    assert grouping.unknown == (chosen.name,)


def test_the_ends_of_the_network_stay() -> None:
    found = find_groups(normalise(residual())).frozen

    ends = {(frozen.value, frozen.axis): frozen.reason for frozen in found if not frozen.node}
    assert ends[("weight_0", 1)] == "it is an input of the network"
    assert ends[("weight_14", 0)] == "it is an output of the network"
