"""Scales are found through every norm that writes a group, order its channels, and tell how they were trained."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import NothingToCut
from engine.graph.channels.groups import find_groups
from engine.graph.channels.scales import group_scales
from engine.graph.folds import fold
from engine.graph.merges import merge
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.methods.slimming import TRAINED_PART, heaps, note, order
from engine.planning import normed
from tests.networks import CHANNELS, NETWORKS, Draft, stem


def two_blocks() -> Model:
    """A skip written by two norms, after a stem without one; the first block's inside by one of its own."""
    draft = Draft()
    x = stem(draft)
    for _ in range(2):
        inner = draft.node("Relu", draft.batch_norm(draft.conv(x, CHANNELS, CHANNELS), CHANNELS))
        x = draft.node("Relu", draft.node("Add", x, draft.batch_norm(draft.conv(inner, CHANNELS, CHANNELS), CHANNELS)))
    return draft.model(draft.classify(x))


def test_the_scales_of_a_group_are_found_by_the_name_that_folding_leaves_it() -> None:
    plain = normalise(two_blocks())
    scales = [
        plain.weight(str(node.inputs[1].name))  # type: ignore[union-attr]  # a norm has a scale
        for node in plain.graph
        if node.op_type == "BatchNormalization"
    ]
    skip, first, second = (group.name for group in find_groups(merge(fold(plain))).groups)

    found = group_scales(plain)

    np.testing.assert_allclose(found[skip], (scales[1] + scales[3]) / 2, rtol=1e-6)
    np.testing.assert_allclose(found[first], scales[0], rtol=1e-6)
    np.testing.assert_allclose(found[second], scales[2], rtol=1e-6)


def test_a_norm_before_its_layer_scales_the_channels_that_it_reads() -> None:
    """As in DenseNet, where a Relu stands between and nothing is folded; a negative scale counts as a positive one."""
    draft = Draft()
    scale = np.linspace(-1, 1, CHANNELS).astype(np.float32)
    rest = [draft.constant(np.ones(CHANNELS)) for _ in range(3)]
    normed_stem = draft.node("BatchNormalization", stem(draft), draft.constant(scale), *rest)
    x = draft.node("Relu", draft.conv(draft.node("Relu", normed_stem), CHANNELS, 2 * CHANNELS))
    plain = normalise(draft.model(draft.classify(x, 2 * CHANNELS)))
    read, written = find_groups(plain).groups

    found = group_scales(plain)

    np.testing.assert_allclose(found[read.name], np.abs(scale), rtol=1e-6)
    assert written.name not in found
    assert [group.name for group in normed(plain, (read, written))] == [read.name]


def test_without_a_norm_slimming_is_refused_with_the_reason() -> None:
    folded = fold(normalise(NETWORKS["residual_with_batch_norm"][0]()))

    with pytest.raises(NothingToCut, match="no batch norm left"):
        normed(folded, find_groups(folded).groups)


def test_the_least_scale_goes_first_and_equals_go_in_their_order() -> None:
    assert order(np.array([0.9, 0.001, 0.4, 0.001])) == [1, 3, 2, 0]


def drawn(low: float, spread: float = 0.3, seed: int = 0) -> list[np.ndarray]:
    """2,000 scales about 0.5, a part `low` of them about 1e-4."""
    generator = np.random.default_rng(seed)
    centres = np.where(generator.random(2_000) < low, 1e-4, 0.5)
    return np.array_split(centres * np.exp(generator.standard_normal(2_000) * spread), 20)


@pytest.mark.parametrize("low", [0.02, 0.1, 0.3, 0.7])
@pytest.mark.parametrize("seed", range(5))
def test_two_heaps_are_told_apart_whatever_their_sizes(low: float, seed: int) -> None:
    scales = drawn(low, seed=seed)
    below = int((np.concatenate(scales) < 0.01).sum())

    found = heaps(scales)

    assert found is not None
    assert (found.low_count, found.count) == (below, 2_000)
    assert found.low_median == pytest.approx(1e-4, rel=0.3)
    assert found.high_median == pytest.approx(0.5, rel=0.1)
    assert ("was trained for sparsity" in note(found)) == (found.low_part >= TRAINED_PART)


@pytest.mark.parametrize("spread", [0.0, 0.1, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("seed", range(5))
def test_one_heap_however_wide_is_one(spread: float, seed: int) -> None:
    found = heaps(drawn(0.0, spread, seed))

    assert found is None
    assert "was not trained for sparsity" in note(found)


def test_scales_that_are_zero_are_a_heap() -> None:
    found = heaps([np.array([0.0] * 10 + [1.0] * 10)])

    assert found is not None
    assert found.low_count == 10
