"""Folding batch norm never changes what the network says."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from engine.execution.runtime import open_session, run
from engine.graph.fold import fold_batch_norm
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.units import find_units
from tests.networks import CHANNELS, Draft, images, residual_with_batch_norm, stem

TOLERANCE = 1e-5


def assert_same_function(found: Model, wanted: Model) -> None:
    onnx.checker.check_model(found.to_bytes(), full_check=True)
    inputs = images(wanted)
    theirs, ours = run(open_session(wanted), inputs), run(open_session(found), inputs)
    assert found.outputs == wanted.outputs
    for name, values in theirs.items():
        assert np.abs(ours[name] - values).max() <= TOLERANCE * np.abs(values).max()


def norms(model: Model) -> int:
    return sum(node.op_type == "BatchNormalization" for node in model.graph)


def test_each_norm_after_a_convolution_is_folded() -> None:
    model = normalise(residual_with_batch_norm())

    folded = fold_batch_norm(model)

    assert norms(model) == 5
    assert norms(folded) == 0
    assert len(find_units(folded)) == len(find_units(model))
    assert_same_function(folded, model)


def test_values_keep_their_names() -> None:
    """What read a norm's output by name reads the convolution's, which is the same."""
    model = normalise(residual_with_batch_norm())
    convolved = {node.outputs[0].name for node in model.graph if node.op_type == "Conv"}

    folded = fold_batch_norm(model)

    gone = set(model.values()) - set(folded.values())
    assert convolved <= gone
    assert not gone & {unit.source for unit in find_units(model)}
    assert [unit.target for unit in find_units(folded)] == [unit.target for unit in find_units(model)]


def test_a_shared_kernel_is_folded_for_each_reader_apart() -> None:
    draft = Draft()
    x, kernel = stem(draft), draft.weight(CHANNELS, CHANNELS, 3, 3)
    for _ in range(2):
        y = draft.node("Conv", x, kernel, pads=[1, 1, 1, 1])
        x = draft.node("Relu", draft.node("Add", x, draft.batch_norm(y, CHANNELS)))
    model = normalise(draft.model(draft.classify(x)))

    folded = fold_batch_norm(model)

    assert norms(folded) == 0
    assert_same_function(folded, model)


def test_a_norm_stays_where_another_node_reads_the_convolution() -> None:
    draft = Draft()
    y = draft.conv("image", 3, CHANNELS)
    model = normalise(draft.model(draft.classify(draft.node("Add", y, draft.batch_norm(y, CHANNELS)))))

    folded = fold_batch_norm(model)

    assert norms(folded) == 1
    assert_same_function(folded, model)


@pytest.mark.parametrize("transposed", [0, 1])
def test_a_norm_after_a_linear_layer_is_folded(transposed: int) -> None:
    draft = Draft()
    pooled = draft.node("Flatten", draft.node("GlobalAveragePool", draft.conv("image", 3, CHANNELS)))
    weight = draft.weight(5, CHANNELS) if transposed else draft.weight(CHANNELS, 5)
    linear = draft.node("Gemm", pooled, weight, draft.weight(5), transB=transposed, alpha=0.5)
    model = normalise(draft.model(draft.batch_norm(linear, 5)))

    folded = fold_batch_norm(model)

    assert norms(folded) == 0
    assert_same_function(folded, model)


def test_a_norm_after_a_transposed_convolution_is_folded() -> None:
    draft = Draft()
    up = draft.node("ConvTranspose", "image", draft.weight(3, CHANNELS, 2, 2), strides=[2, 2])
    model = normalise(draft.model(draft.classify(draft.batch_norm(up, CHANNELS))))

    folded = fold_batch_norm(model)

    assert norms(folded) == 0
    assert_same_function(folded, model)
