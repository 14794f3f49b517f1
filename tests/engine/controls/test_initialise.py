"""Weights drawn anew have nothing left of what was learnt, and what is no weight stays."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.controls.initialise import EMBEDDING_SPREAD, initialise
from engine.controls.norms import with_norms
from engine.execution.runtime import open_session, run
from engine.graph.folds import fold
from engine.graph.merges import merge
from engine.graph.model import Model
from engine.graph.normalise import normalise
from tests.networks import CHANNELS, NETWORKS, Draft, images

LAYERS = {"Conv": 0, "Gemm": 0, "MatMul": 1}  # the axis of the outputs; the tests' Gemms are transposed


def normed(name: str) -> Model:
    return with_norms(merge(fold(normalise(NETWORKS[name][0]()))))


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_that_was_learnt_is_left(name: str) -> None:
    model = normed(name)
    before = {value: model.weight(value) for value in model.graph.initializers}

    initialise(model, seed=7)  # the tests' networks are themselves drawn with 0

    for node in model.graph:
        weight = node.inputs[1] if node.op_type in LAYERS else None
        if weight is not None and weight.is_initializer():
            assert abs(correlation(model.weight(str(weight.name)), before[str(weight.name)])) < 0.6
            biases = [model.weight(str(value.name)) for value in node.inputs[2:] if value is not None]
            assert not any(bias.any() for bias in biases)
    (scores, *_) = run(open_session(model), images(model)).values()
    assert np.isfinite(scores).all()


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.reshape(-1), other.reshape(-1))[0, 1]) if one.size > 8 else 0.0


def test_a_layer_is_drawn_as_he_drew_it() -> None:
    """Variance 2 / inputs, whichever way the weight lies; 40,000 draws tell it within 3 %."""
    draft = Draft()
    x = draft.node("Relu", draft.conv("image", 3, 64))
    x = draft.node("Relu", draft.node("Conv", x, draft.weight(128, 32, 3, 3), group=2, pads=[1, 1, 1, 1]))
    x = draft.node("ConvTranspose", x, draft.weight(128, 64, 2, 2), strides=[2, 2])
    x = draft.node("Flatten", draft.node("GlobalAveragePool", x))
    x = draft.node("Gemm", x, draft.weight(64, 640), draft.weight(640))
    x = draft.node("MatMul", draft.node("Relu", x), draft.weight(640, 200))
    model = draft.model(draft.node("Gemm", x, draft.weight(300, 200), transB=1), output_shape=("batch", 300))
    inputs = {(128, 32, 3, 3): 288, (128, 64, 2, 2): 128, (64, 640): 64, (640, 200): 640, (300, 200): 200}

    initialise(model, seed=0)

    drawn = {weight.shape: weight for weight in map(model.weight, model.graph.initializers)}
    for shape, count in inputs.items():
        assert math.isclose(drawn[shape].var(), 2 / count, rel_tol=0.05)
        assert abs(drawn[shape].mean()) < 0.02 * drawn[shape].std()


def test_positions_tokens_norms_masks_and_the_images_own_scale_start_where_they_should() -> None:
    draft = Draft()
    scaled = draft.node("Mul", "image", draft.constant(np.full((1, 3, 1, 1), 4.0)))
    x = draft.conv(scaled, 3, CHANNELS, kernel=4, stride=4)
    tokens = draft.node(
        "Transpose", draft.node("Reshape", x, draft.constant([0, CHANNELS, -1], np.int64)), perm=[0, 2, 1]
    )
    positions, mask = draft.weight(1, 25, CHANNELS), draft.constant(np.where(np.eye(25)[None, :, :8] > 0, -100.0, 0.0))
    x = draft.node("Add", draft.node("Add", tokens, positions), mask)
    x = draft.node("Mul", x, draft.weight(CHANNELS))
    x = draft.node("LayerNormalization", x, draft.weight(CHANNELS), draft.weight(CHANNELS))
    pooled = draft.node("ReduceMean", x, draft.constant([1], np.int64), keepdims=0)
    model = draft.model(draft.node("MatMul", pooled, draft.weight(CHANNELS, 5)))
    scale, norm, layer_scale = "weight_0", ("weight_7", "weight_8"), "weight_6"

    initialise(model, seed=0)

    assert (model.weight(scale) == 4.0).all()
    assert math.isclose(model.weight(positions).std(), EMBEDDING_SPREAD, rel_tol=0.2)
    assert set(np.unique(model.weight(mask))) == {-100.0, 0.0}
    assert [set(np.unique(model.weight(name))) for name in (layer_scale, *norm)] == [{1.0}, {1.0}, {0.0}]


def test_one_seed_draws_one_network() -> None:
    first, second, other = (normed("residual") for _ in range(3))

    for model, seed in ((first, 1), (second, 1), (other, 2)):
        initialise(model, seed)

    assert first.to_bytes() == second.to_bytes() != other.to_bytes()
