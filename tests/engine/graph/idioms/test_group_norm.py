"""GroupNorm spelled out is found where it is one, and stays spelled out: the runtime is slower with the operator."""

from __future__ import annotations

import numpy as np
import pytest

from engine.graph.idioms import find
from tests.engine.graph.idioms.spelling import finished, normalised
from tests.networks import CHANNELS, Draft, stem


def spelled(draft: Draft, x: str, groups: int = 2, flat: tuple[int, ...] = (0, 2, -1), scale: float = 1.0) -> str:
    rows = draft.node("Reshape", x, draft.constant(flat, np.int64))
    ones, zeros = draft.constant(np.full(groups, scale)), draft.constant(np.zeros(groups))
    normed = draft.node("InstanceNormalization", rows, ones, zeros, epsilon=1e-5)
    back = draft.node("Reshape", normed, draft.constant([-1, CHANNELS, 16, 16], np.int64))
    product = draft.node("Mul", back, draft.weight(CHANNELS, 1, 1, scale=1.0))
    return draft.node("Add", product, draft.weight(1, CHANNELS, 1, 1, scale=1.0))


@pytest.mark.parametrize("opset", [11, 18, 21])
def test_it_is_found(opset: int) -> None:
    draft = Draft(opset=opset)
    plain = normalised(finished(draft, spelled(draft, stem(draft)), ("batch", CHANNELS, 16, 16)))

    (place,) = find(plain, "GroupNormalization")
    assert place.attributes["num_groups"] == 2
    assert "GroupNormalization" not in {node.op_type for node in plain.graph}


def test_groups_that_mix_images_are_not_taken_for_it() -> None:
    """A Reshape to one image of twice as many groups."""
    draft = Draft()
    x = draft.node("Slice", stem(draft), *(draft.constant([at], np.int64) for at in (0, 2, 0)))
    plain = normalised(finished(draft, spelled(draft, x, flat=(1, 2, -1)), ("batch", CHANNELS, 16, 16)))

    assert not find(plain, "GroupNormalization")


@pytest.mark.parametrize("scale", [2.0, 1.0005])
def test_an_instance_norm_that_scales_by_itself_is_not_taken_for_it(scale: float) -> None:
    draft = Draft()
    plain = normalised(finished(draft, spelled(draft, stem(draft), scale=scale), ("batch", CHANNELS, 16, 16)))

    assert not find(plain, "GroupNormalization")
