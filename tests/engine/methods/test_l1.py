"""The filters with the least weight go first, whoever writes a channel, and no image is looked at."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.methods.l1 import rank
from tests.engine.pricing.readers import CASES, studied
from tests.networks import Draft


@pytest.mark.parametrize("name", CASES)
def test_the_order_is_that_of_the_absolute_weights(name: str) -> None:
    case = CASES[name]
    model, random = case.build(), np.random.default_rng(1)
    weight = str(model.nodes()[case.name].inputs[1].name)  # type: ignore[union-attr]  # it has weights
    wanted = random.permutation(case.size)
    scales, old = np.empty(case.size, np.float32), np.sign(model.weight(weight))
    scales[wanted] = np.linspace(0.1, 1, case.size)
    by_filter = (-1, *[1] * (old.ndim - 1)) if case.name.endswith("Conv") else (1, -1)
    model.set_weight(weight, old * scales.reshape(by_filter))

    assert rank(studied(model, case.name, repair=2, check=1)) == list(wanted)


def two_writers() -> Model:
    """Two layers write one group, and their sum is read."""
    draft = Draft()
    x = draft.node("Add", draft.conv("image", 3, 6), draft.conv("image", 3, 6, kernel=1))
    y = draft.node("Relu", draft.conv(draft.node("Relu", x), 6, 5))
    return normalise(draft.model(draft.classify(y, channels=5), ("batch", 3, 8, 8)))


def test_the_weights_of_all_that_write_a_channel_count() -> None:
    model = two_writers()
    first, second = (model.weight(name).astype(np.float64) for name in ("weight_0", "weight_2"))
    norms = np.abs(first).sum(axis=(1, 2, 3)) + np.abs(second).sum(axis=(1, 2, 3))

    order = rank(studied(model, "node_0_Conv", repair=2, check=1))

    assert order == list(np.argsort(norms, kind="stable"))


def test_equal_filters_go_in_their_order() -> None:
    study = studied(CASES["convolution"].build(), "node_0_Conv", repair=2, check=1)

    assert rank(dataclasses.replace(study, written=np.ones((6, 4)))) == list(range(6))
