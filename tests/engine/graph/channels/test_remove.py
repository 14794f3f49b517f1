"""Removal of channels: what goes, what stays, and what is refused. The surgery law itself has its own files."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from onnx import TensorProto

from engine.errors import RecipeInvalid
from engine.graph.channels.groups import find_groups
from engine.graph.channels.ignore import ignore_channels
from engine.graph.channels.remove import remove_channels
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.shapes import infer_shapes
from tests.engine.graph.channels.rules.cases import CASES, normalised
from tests.networks import CHANNELS, Draft, residual

IN_SHAPE = [name for name in CASES if CASES[name].sizes][::3]


def shape_of(model: Model, name: str) -> list[object]:
    shape = model.values()[name].shape
    assert shape is not None
    return [size if isinstance(size, int) else size.value for size in shape]


def two_heads_on_one_row() -> Model:
    """Two pairs of layers, one row of biases for all; each pair shares its weights."""
    draft = Draft()
    row = draft.constant(np.arange(8) / 8)
    first, second = draft.weight(8, 3, 1, 1), draft.weight(8, 3, 1, 1)
    parts = []
    for kernel in (first, first, second):
        parts.append(draft.conv(draft.node("Relu", draft.node("Conv", "image", kernel, row)), 8, 1))
    return normalise(draft.model(draft.classify(draft.node("Sum", *parts), 1), ("batch", 3, 6, 6)))


def rows_read(model: Model) -> list[str]:
    """Return the biases of the layers that read the image."""
    return [
        str(node.inputs[2].name) for node in model.graph if node.inputs[0] is model.graph.inputs[0] and node.inputs[2]
    ]


def test_everything_else_stays_as_it_was() -> None:
    model = normalise(residual())
    before = model.to_bytes()

    smaller = remove_channels(model, {"node_2_Conv": [1, 2, 5]})

    assert model.to_bytes() == before
    assert (smaller.inputs, smaller.outputs, smaller.opset) == (model.inputs, model.outputs, model.opset)
    assert list(smaller.nodes()) == list(model.nodes())
    assert list(smaller.values()) == list(model.values())
    changed = {n for n in model.graph.initializers if smaller.weight(n).shape != model.weight(n).shape}
    assert changed == {"weight_2", "weight_3", "weight_4"}
    assert np.array_equal(smaller.weight("weight_2"), model.weight("weight_2")[[0, 3, 4, 6, 7]])
    assert np.array_equal(smaller.weight("weight_4"), model.weight("weight_4")[:, [0, 3, 4, 6, 7]])
    assert all(np.array_equal(smaller.weight(n), model.weight(n)) for n in model.graph.initializers if n not in changed)
    assert shape_of(smaller, "relu_3") == ["batch", 5, 16, 16]


@pytest.mark.parametrize("name", IN_SHAPE)
def test_the_shapes_written_are_those_that_inference_finds(name: str) -> None:
    model = normalised(name)
    cuts = {group.name: [0] for group in find_groups(model).groups}

    smaller = remove_channels(model, cuts)

    again = smaller.copy()
    for node in again.graph:
        for value in node.outputs:
            value.shape = None
    infer_shapes(again)
    for value_name, value in again.values().items():
        if value.shape is not None and not value.is_initializer():
            known = [size for size in shape_of(smaller, value_name) if isinstance(size, int)]
            assert [size for size in value.shape if isinstance(size, int)] == known


def test_a_cut_in_two_steps_is_one_cut() -> None:
    """Groups keep their names and channels are counted anew."""
    model = normalise(residual())

    at_once = remove_channels(model, {"node_0_Conv": [0, 4], "node_7_Conv": [7]})
    first = remove_channels(model, {"node_0_Conv": [0]})
    in_steps = remove_channels(first, {"node_0_Conv": [3], "node_7_Conv": [7]})

    assert in_steps.to_bytes() == at_once.to_bytes()


def test_a_row_that_strangers_share_is_copied_and_friends_go_on_sharing() -> None:
    model = two_heads_on_one_row()
    first, second = (group.name for group in find_groups(model).groups)

    smaller = remove_channels(model, {first: [0, 1]})
    both = remove_channels(model, {first: [0, 1], second: [3]})

    assert [(smaller.weight(row)).tolist() for row in rows_read(smaller)] == [(np.arange(2, 8) / 8).tolist()] * 2 + [
        (np.arange(8) / 8).tolist()
    ]
    for model_after in (smaller, both):
        one, same, other = rows_read(model_after)
        assert one == same != other
    assert [both.weight(row).size for row in rows_read(both)] == [6, 6, 7]


def test_numbers_that_are_an_output_too_stay_what_they_are() -> None:
    """The target of a Reshape is handed out as it was, and the node gets numbers of its own."""
    draft = Draft()
    target = draft.constant([0, CHANNELS, -1], np.int64)
    x = draft.node("Reshape", draft.conv("image", 3, CHANNELS), target)
    pooled = draft.node("ReduceMean", x, draft.constant([2], np.int64), keepdims=0)
    scores = draft.node("MatMul", pooled, draft.weight(CHANNELS, 5))
    model = normalise(draft.model(scores, also={target: (TensorProto.INT64, (3,))}))
    (group,) = find_groups(model).groups

    smaller = remove_channels(model, {group.name: [0, 1]})

    (reshape,) = [node for node in smaller.graph if node.op_type == "Reshape"]
    handed_out, used = str(smaller.graph.outputs[1].name), str(reshape.inputs[1].name)
    assert smaller.weight(handed_out).tolist() == [0, CHANNELS, -1]
    assert smaller.weight(used).tolist()[1] == CHANNELS - 2


def test_an_empty_cut_changes_nothing() -> None:
    model = normalise(residual())

    assert remove_channels(model, {"node_2_Conv": []}).to_bytes() == model.to_bytes()
    assert ignore_channels(model, {}).to_bytes() == model.to_bytes()


@pytest.mark.parametrize(
    ("cuts", "found"),
    [
        ({"nowhere": [0]}, "has no group 'nowhere'"),
        ({"node_2_Conv": [8]}, r"has 8 channels, and channels \[8\] cannot go"),
        ({"node_2_Conv": [-1]}, r"channels \[-1\] cannot go"),
        ({"node_2_Conv": range(8)}, "a cut of all its channels cannot go. One stays"),
    ],
)
def test_a_cut_that_makes_no_sense_is_refused(cuts: dict[str, list[int]], found: str) -> None:
    model = normalise(residual())

    for change in (remove_channels, ignore_channels):
        with pytest.raises(RecipeInvalid, match=found):
            change(model, cuts)


def test_the_scale_of_attention_stays_that_of_the_whole_head() -> None:
    model = normalised("attention_native")
    inside = find_groups(model).groups[2].name

    smaller = remove_channels(model, {inside: [0, 3]})

    (node,) = [node for node in smaller.graph if node.op_type == "Attention"]
    assert node.attributes["scale"].as_float() == pytest.approx(4**-0.5)
    assert "scale" not in next(n for n in model.graph if n.op_type == "Attention").attributes


def test_blind_readers_read_zero_and_nothing_else_changes() -> None:
    model = normalise(residual())

    blind = ignore_channels(model, {"node_2_Conv": [1, 2]})

    (added,) = [node for node in blind.graph if node.name not in model.nodes()]
    assert added.op_type == "Where"
    assert [use.node.name for use in added.outputs[0].uses()] == ["node_4_Conv"]
    assert isinstance(added.inputs[0], ir.Value)
    assert np.flatnonzero(~blind.weight(str(added.inputs[0].name))).tolist() == [1, 2]
