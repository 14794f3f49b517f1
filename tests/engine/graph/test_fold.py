"""Folding batch norm and putting it back never change what the network says."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from engine.execution.runtime import open_session, run
from engine.graph.fold import fold_batch_norm, insert_batch_norm
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.units import find_units
from tests.networks import CHANNELS, NETWORKS, Draft, images, residual, residual_with_batch_norm, shared_weights

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


def with_norms(model: Model, seed: int = 0) -> Model:
    random = np.random.default_rng(seed)
    statistics = {}
    for node in model.graph:
        if node.op_type == "Conv":
            channels = model.weight(str(node.inputs[1].name)).shape[0]
            statistics[str(node.name)] = (random.standard_normal(channels), random.uniform(0.1, 2, channels))
    return insert_batch_norm(model, statistics)


def test_each_norm_after_a_convolution_is_folded() -> None:
    model = normalise(residual_with_batch_norm())

    folded = fold_batch_norm(model)

    assert norms(model) == 5
    assert norms(folded) == 0
    assert len(find_units(folded)) == len(find_units(model))
    assert_same_function(folded, model)


@pytest.mark.parametrize("name", NETWORKS)
def test_an_inserted_norm_changes_nothing_and_can_be_folded_again(name: str) -> None:
    model = normalise(NETWORKS[name][0]())

    widened = with_norms(model)
    back = fold_batch_norm(widened)

    assert norms(widened) > norms(model)
    assert_same_function(widened, model)
    assert_same_function(back, model)
    assert set(back.nodes()) <= set(model.nodes())


def test_values_keep_their_names_through_insertion_and_folding() -> None:
    """What reads a convolution's output by name reads the norm's, which is the same."""
    model = normalise(residual())

    widened = with_norms(model)

    assert set(model.values()) <= set(widened.values())
    assert [unit.source for unit in find_units(widened)] == [unit.source for unit in find_units(model)]
    assert set(fold_batch_norm(widened).values()) == set(model.values())


def test_a_shared_kernel_is_folded_for_each_reader_apart() -> None:
    model = normalise(shared_weights())

    assert_same_function(fold_batch_norm(with_norms(model)), model)


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
