"""Folding constants never changes what the network says."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from engine.execution.runtime import open_session, run
from engine.graph.folds import FOLDS, fold
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.units import blocks, find_units
from tests.engine.graph.same import assert_same
from tests.networks import CHANNELS, NETWORKS, Draft, images, residual_with_batch_norm, stem


def assert_same_function(found: Model, wanted: Model) -> None:
    onnx.checker.check_model(found.to_bytes(), full_check=True)
    inputs = images(wanted)
    theirs, ours = run(open_session(wanted), inputs), run(open_session(found), inputs)
    assert found.outputs == wanted.outputs
    assert_same(ours, theirs)


def norms(model: Model) -> int:
    return sum(node.op_type == "BatchNormalization" for node in model.graph)


def test_each_norm_after_a_convolution_is_folded() -> None:
    model = normalise(residual_with_batch_norm())

    folded = fold(model)

    assert norms(model) == 5
    assert norms(folded) == 0
    assert [unit.kind for unit in find_units(folded)] == [unit.kind for unit in find_units(model)]
    assert_same_function(folded, model)


def test_values_keep_their_names() -> None:
    """What read a norm's output by name reads the convolution's, which is the same."""
    model = normalise(residual_with_batch_norm())
    convolved = {node.outputs[0].name for node in model.graph if node.op_type == "Conv"}

    folded = fold(model)

    gone = set(model.values()) - set(folded.values())
    assert convolved <= gone
    assert not gone & {unit.source for unit in find_units(model)}
    assert [unit.target for unit in blocks(find_units(folded))] == [unit.target for unit in blocks(find_units(model))]


def test_a_shared_kernel_is_folded_for_each_reader_apart() -> None:
    draft = Draft()
    x, kernel = stem(draft), draft.weight(CHANNELS, CHANNELS, 3, 3)
    for _ in range(2):
        y = draft.node("Conv", x, kernel, pads=[1, 1, 1, 1])
        x = draft.node("Relu", draft.node("Add", x, draft.batch_norm(y, CHANNELS)))
    model = normalise(draft.model(draft.classify(x)))

    folded = fold(model)

    assert norms(folded) == 0
    assert_same_function(folded, model)


def test_a_norm_stays_where_another_node_reads_the_convolution() -> None:
    draft = Draft()
    y = draft.conv("image", 3, CHANNELS)
    model = normalise(draft.model(draft.classify(draft.node("Add", y, draft.batch_norm(y, CHANNELS)))))

    folded = fold(model)

    assert norms(folded) == 1
    assert_same_function(folded, model)


@pytest.mark.parametrize("transposed", [0, 1])
def test_a_norm_after_a_linear_layer_is_folded(transposed: int) -> None:
    draft = Draft()
    pooled = draft.node("Flatten", draft.node("GlobalAveragePool", draft.conv("image", 3, CHANNELS)))
    weight = draft.weight(5, CHANNELS) if transposed else draft.weight(CHANNELS, 5)
    linear = draft.node("Gemm", pooled, weight, draft.weight(5), transB=transposed, alpha=0.5)
    model = normalise(draft.model(draft.batch_norm(linear, 5)))

    folded = fold(model)

    assert norms(folded) == 0
    assert_same_function(folded, model)


@pytest.mark.parametrize("group", [1, 2])
def test_a_norm_after_a_transposed_convolution_is_folded(group: int) -> None:
    draft = Draft()
    x = draft.conv("image", 3, 4)
    up = draft.node(
        "ConvTranspose", x, draft.weight(4, CHANNELS // group, 2, 2), strides=[2, 2], group=group, kernel_shape=[2, 2]
    )
    model = normalise(draft.model(draft.classify(draft.batch_norm(up, CHANNELS))))

    folded = fold(model)

    assert norms(folded) == 0
    assert_same_function(folded, model)


def per_channel(draft: Draft, rank: int = 4) -> str:
    return draft.constant(draft.random.uniform(0.5, 1.5, (CHANNELS, *(1,) * (rank - 2))))


@pytest.mark.parametrize("op_type", ["Mul", "Div", "Add", "Sub"])
@pytest.mark.parametrize("constant_first", [True, False])
@pytest.mark.parametrize("number", [True, False])
@pytest.mark.parametrize("group", [1, 2])
def test_constants_behind_a_convolution_are_folded(
    op_type: str, constant_first: bool, number: bool, group: int
) -> None:
    draft = Draft()
    x = draft.conv(draft.conv("image", 3, 4), 4, CHANNELS, group=group)
    constant = draft.constant(1.7) if number else per_channel(draft)
    x = draft.node(op_type, *((constant, x) if constant_first else (x, constant)))
    model = normalise(draft.model(draft.classify(draft.node("Relu", x))))

    folded = fold(model)

    assert (op_type in kinds(folded)) == (op_type == "Div" and constant_first)  # no layer divides by what it makes
    assert_same_function(folded, model)


def kinds(model: Model) -> list[str]:
    return [node.op_type for node in model.graph]


@pytest.mark.parametrize("bias", [True, False])
def test_layer_scale_behind_a_transpose_is_folded(bias: bool) -> None:
    """A ConvNeXt's block: its linear layer makes (batch, side, side, channels), and each channel has its scale."""
    draft = Draft()
    x = stem(draft)
    y = draft.node("MatMul", draft.node("Transpose", x, perm=[0, 2, 3, 1]), draft.weight(CHANNELS, CHANNELS))
    y = draft.node("Add", y, draft.weight(CHANNELS)) if bias else y
    y = draft.node("Mul", per_channel(draft), draft.node("Transpose", y, perm=[0, 3, 1, 2]))
    model = normalise(draft.model(draft.classify(draft.node("Add", x, y))))

    folded = fold(model)

    assert "Mul" not in kinds(folded)
    assert_same_function(folded, model)


@pytest.mark.parametrize(("pads", "is_folded"), [(0, True), (1, False)])
def test_a_norm_before_a_convolution_is_folded_unless_there_is_a_border(pads: int, is_folded: bool) -> None:
    """Behind the norm the border is zero; before it, it would be whatever the norm makes zero of."""
    draft = Draft()
    x = draft.node("Relu", draft.conv("image", 3, CHANNELS))
    x = draft.batch_norm(x, CHANNELS)
    for _ in range(2):
        kernel = draft.weight(CHANNELS, CHANNELS // 2, 3, 3)
        y = draft.node("Conv", x, kernel, draft.weight(CHANNELS), pads=[pads] * 4, group=2)
    z = draft.node("Conv", x, draft.weight(CHANNELS, CHANNELS, 3, 3), pads=[pads] * 4)
    model = normalise(draft.model(draft.classify(draft.node("Add", y, z))))

    folded = fold(model)

    assert norms(folded) == (0 if is_folded else 1)
    assert_same_function(folded, model)


def test_a_scale_before_a_convolution_with_a_border_is_folded() -> None:
    draft = Draft()
    x = draft.node("Mul", draft.node("Relu", draft.conv("image", 3, CHANNELS)), per_channel(draft))
    model = normalise(draft.model(draft.classify(draft.conv(x, CHANNELS, CHANNELS))))

    folded = fold(model)

    assert "Mul" not in kinds(folded)
    assert_same_function(folded, model)


@pytest.mark.parametrize("transposed", [0, 1])
def test_constants_before_a_linear_layer_are_folded(transposed: int) -> None:
    draft = Draft()
    x = draft.node("Relu", draft.node("Flatten", draft.node("GlobalAveragePool", draft.conv("image", 3, CHANNELS))))
    x = draft.node("Sub", draft.node("Div", x, per_channel(draft, 2)), per_channel(draft, 2))
    weight = draft.weight(5, CHANNELS) if transposed else draft.weight(CHANNELS, 5)
    model = normalise(draft.model(draft.node("Gemm", x, weight, draft.weight(5), transB=transposed, alpha=0.5)))

    folded = fold(model)

    assert kinds(folded)[-2:] == ["Relu", "Gemm"]
    assert_same_function(folded, model)


def layer_norm(draft: Draft, x: str) -> str:
    scale = draft.constant(draft.random.uniform(0.5, 1.5, CHANNELS))
    return draft.node("LayerNormalization", x, scale, draft.weight(CHANNELS), axis=-1)


def tokens(draft: Draft) -> str:
    flat = draft.node("Flatten", draft.node("GlobalAveragePool", draft.conv("image", 3, CHANNELS)))
    return draft.node("Unsqueeze", flat, draft.constant([1], np.int64))


@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_norm_becomes_part_of_all_that_reads_it(bias: bool) -> None:
    """Without a bias in each reader there is no place for the norm's own: another node would cost time."""
    draft = Draft()
    x = layer_norm(draft, tokens(draft))
    readers = [draft.node("MatMul", x, draft.weight(CHANNELS, 5)) for _ in range(3)]
    added = [draft.node("Add", draft.weight(5), reader) for reader in readers[:2]]
    added.append(draft.node("Add", readers[2], draft.weight(5)) if bias else readers[2])
    total = draft.node("Squeeze", draft.node("Sum", *added), draft.constant([1], np.int64))
    model = normalise(draft.model(total))

    folded = fold(model)

    norm = next(node for node in folded.graph if node.op_type == "LayerNormalization")
    scale, shift = (folded.weight(str(value.name)) for value in norm.inputs[1:] if value is not None)
    assert (bool((scale == 1).all()), bool((shift == 0).all())) == (bias, bias)
    assert kinds(folded) == kinds(model)
    assert_same_function(folded, model)


def test_a_layer_norm_stays_where_a_sum_reads_it_too() -> None:
    draft = Draft()
    x = layer_norm(draft, tokens(draft))
    y = draft.node("Add", draft.node("MatMul", x, draft.weight(CHANNELS, CHANNELS)), draft.weight(CHANNELS))
    total = draft.node("Squeeze", draft.node("Add", x, y), draft.constant([1], np.int64))
    model = normalise(draft.model(total, output_shape=("batch", CHANNELS)))

    assert fold(model).to_bytes() == model.to_bytes()


@pytest.mark.parametrize("name", NETWORKS)
def test_folding_changes_no_network(name: str) -> None:
    model = normalise(NETWORKS[name][0]())

    folded = fold(model)

    assert_same_function(folded, model)
    assert len(blocks(find_units(folded))) == len(blocks(find_units(model)))
    assert fold(folded).to_bytes() == folded.to_bytes()


def test_the_table_names_each_rule() -> None:
    assert all(rule.__name__ == name for name, rule in FOLDS.items())
