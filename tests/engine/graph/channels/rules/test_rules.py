"""Each rule on its own: the groups are those that a careful reader would find, and removing them is ignoring them."""

from __future__ import annotations

import random

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from engine.graph.channels.groups import Grouping, find_groups
from engine.graph.channels.ignore import ignore_channels
from engine.graph.channels.remove import remove_channels
from engine.graph.channels.rules import RULES
from engine.graph.model import Model
from tests.engine.graph.channels.rules.cases import CASES, normalised, operators_in_cases
from tests.engine.graph.channels.rules.cases.drafting import PIXELS
from tests.engine.graph.same import assert_close


def run(model: Model) -> list[NDArray[np.float32]]:
    """Run as written, without the runtime's own optimisations; open sizes are two images of six by six."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.to_bytes(), options, providers=["CPUExecutionProvider"])
    (info,) = model.inputs
    shape = [size if isinstance(size, int) else PIXELS if axis else 2 for axis, size in enumerate(info.shape)]
    image = np.random.default_rng(7).standard_normal(shape, dtype=np.float32)
    return session.run(None, {info.name: image})  # type: ignore[no-any-return]


def some_channels(grouping: Grouping, seed: int) -> dict[str, list[int]]:
    """Draw a cut: of the first seed one channel of each group, of the second all but one, then any number."""
    chance, cuts = random.Random(seed), {}
    for group in grouping.groups:
        most = group.size - 1
        count = {0: 1, 1: most}.get(seed, chance.randint(0, most))
        cuts[group.name] = chance.sample(range(group.size), count)
    return cuts


@pytest.mark.parametrize("name", CASES)
def test_removing_equals_ignoring(name: str) -> None:
    model = normalised(name)
    grouping = find_groups(model)

    assert tuple(group.size for group in grouping.groups) == CASES[name].sizes
    assert not grouping.unknown
    for seed in range(3) if grouping.groups else ():
        cuts = some_channels(grouping, seed)
        removed, ignored = remove_channels(model, cuts), ignore_channels(model, cuts)

        for found, wanted in zip(run(removed), run(ignored), strict=True):
            assert_close(found, wanted)


def test_every_rule_has_a_case() -> None:
    assert operators_in_cases() == set(RULES)
