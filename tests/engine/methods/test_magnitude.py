"""Zeros are where the pattern says, no more and no fewer, and nothing else has changed."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import NothingToCut
from engine.graph.folds import fold
from engine.graph.merges import merge
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.methods.magnitude import one_by_one, thin, thinnable, two_of_four, zeros_in
from tests.networks import NETWORKS, Draft


def plain(name: str) -> Model:
    return merge(fold(normalise(NETWORKS[name][0]())))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.9])
def test_as_many_weights_are_zero_as_asked_for_and_all_others_stay(name: str, sparsity: float) -> None:
    model = plain(name)

    thinned = thin(model, sparsity, "one_by_one")

    zeros, weights = zeros_in(thinned, thinnable(thinned))
    assert zeros == round(sparsity * weights)
    assert list(thinned.nodes()) == list(model.nodes())
    for weight in model.graph.initializers:
        before, after = model.weight(weight), thinned.weight(weight)
        assert ((after == before) | (after == 0)).all()


@pytest.mark.parametrize("seed", range(5))
def test_the_largest_stay_measured_in_their_layers_own_deviation(seed: int) -> None:
    """So a layer that a norm multiplied by a thousand loses as many as before."""
    generator = np.random.default_rng(seed)
    weights = {name: generator.standard_normal((8, 6, 3, 3)).astype(np.float32) for name in "abc"}
    larger = weights | {"b": 1000 * weights["b"]}

    found, again = one_by_one(weights, 0.6), one_by_one(larger, 0.6)

    for name, mask in found.items():
        sizes = np.abs(weights[name]) / weights[name].std()
        assert sizes[mask].min() >= max((np.abs(w) / w.std())[~found[n]].max() for n, w in weights.items())
        np.testing.assert_array_equal(again[name], mask)


@pytest.mark.parametrize(("shape", "axis"), [((8, 12, 3, 3), 1), ((16, 5), 0), ((4, 8), 1)])
@pytest.mark.parametrize("seed", range(5))
def test_of_every_four_the_two_largest_stay(shape: tuple[int, ...], axis: int, seed: int) -> None:
    weight = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)

    mask = two_of_four(weight, axis)

    assert mask is not None
    fours = np.moveaxis(np.where(mask, np.abs(weight), 0), axis, -1).reshape(-1, 4)
    whole = np.moveaxis(np.abs(weight), axis, -1).reshape(-1, 4)
    assert ((fours > 0).sum(axis=1) == 2).all()
    np.testing.assert_array_equal(np.sort(fours, axis=1)[:, 2:], np.sort(whole, axis=1)[:, 2:])


def test_fours_lie_along_the_channels_that_a_layer_reads() -> None:
    model = plain("residual")

    thinned = thin(model, 0.5, "2:4")

    for layer in thinnable(thinned):
        weight = thinned.weight(layer.weight)
        reads = weight.shape[1]  # convolutions, and a Gemm whose outputs come first
        zeros = (weight == 0).reshape(len(weight), reads, -1)
        if reads == 3:
            assert not zeros.any()
        else:
            assert (zeros.reshape(len(weight), reads // 4, 4, -1).sum(axis=2) == 2).all()


def test_a_network_without_fours_is_refused_with_the_reason() -> None:
    draft = Draft()
    flat = draft.node("Flatten", draft.node("GlobalAveragePool", "image"))
    model = normalise(draft.model(draft.node("Gemm", flat, draft.weight(5, 3), draft.weight(5), transB=1)))

    with pytest.raises(NothingToCut, match="multiple of four"):
        thin(model, 0.5, "2:4")
    with pytest.raises(NothingToCut, match="zeroed"):
        thin(normalise(NETWORKS["residual"][0]()), 1e-9, "one_by_one")
