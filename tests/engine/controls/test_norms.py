"""Batch norms that are put in change nothing, and are folded away without a trace."""

from __future__ import annotations

import numpy as np
import pytest

from engine.controls.norms import has_batch_norms, with_norms
from engine.execution.runtime import open_session, run
from engine.graph.folds import fold
from engine.graph.merges import merge
from engine.graph.model import Model
from engine.graph.normalise import normalise
from tests.engine.graph.same import assert_same
from tests.networks import NETWORKS, Draft, images, stem

CONVOLUTIONAL = [name for name in NETWORKS if "transformer" not in name]


def plain(name: str) -> Model:
    return merge(fold(normalise(NETWORKS[name][0]())))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_norm_that_has_learnt_nothing_changes_nothing(name: str) -> None:
    model = plain(name)
    inputs = images(model)

    normed = with_norms(model)

    assert_same(run(open_session(normed), inputs), run(open_session(model), inputs))
    assert has_batch_norms(normed) == (name in CONVOLUTIONAL)


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_a_norm_that_has_learnt_is_folded_without_a_trace(name: str) -> None:
    normed, generator = with_norms(plain(name)), np.random.default_rng(0)
    for node in normed.graph:
        for value in node.inputs[1:] if node.op_type == "BatchNormalization" else ():
            assert value is not None
            shape = normed.weight(str(value.name)).shape
            normed.set_weight(str(value.name), generator.uniform(0.5, 1.5, shape).astype(np.float32))
    inputs = images(normed)

    folded = fold(normed)

    assert not has_batch_norms(folded)
    assert_same(run(open_session(folded), inputs), run(open_session(normed), inputs))


def test_a_layer_that_has_a_norm_gets_no_second_one() -> None:
    model = normalise(NETWORKS["residual_with_batch_norm"][0]())

    again = with_norms(model)

    assert again.nodes().keys() == model.nodes().keys()


def test_a_squeeze_of_channels_gets_no_norm() -> None:
    """Over one place of each image, a few images' statistics say nothing."""
    draft = Draft()
    x = stem(draft)
    gate = draft.conv(draft.node("GlobalAveragePool", x), 8, 8, kernel=1)
    model = normalise(draft.model(draft.classify(draft.node("Mul", x, draft.node("Sigmoid", gate)))))

    normed = with_norms(model)

    assert len(normed.nodes()) - len(model.nodes()) == 1
