"""In half precision folding and merging still change nothing: what its numbers cannot hold stays as it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest
from onnx import TensorProto

from engine.execution.runtime import open_session, run
from engine.graph.folds import fold
from engine.graph.merges import merge
from engine.graph.model import Model
from engine.graph.normalise import normalise
from tests.networks import Draft, Shape

TOLERANCE = 1e-2
"""Of the largest output; some roundings by 5e-4 each."""

IMAGE: Shape = (2, 4, 6, 6)
Build = Callable[[Draft, float], str]


def half(draft: Draft, scale: float, *shape: int) -> str:
    return draft.constant(draft.random.standard_normal(shape) * scale, np.float16)


def norm(draft: Draft, scale: float) -> str:
    x = draft.node("Conv", "image", half(draft, 1.0, 4, 4, 1, 1))
    zeros, ones = (draft.constant(np.full(4, number), np.float16) for number in (0, 1))
    return draft.node("BatchNormalization", x, draft.constant(np.full(4, scale), np.float16), zeros, zeros, ones)


def number_before(draft: Draft, scale: float) -> str:
    x = draft.node("Mul", "image", draft.constant(scale, np.float16))
    return draft.node("Conv", x, half(draft, scale, 4, 4, 1, 1))


def convolutions(draft: Draft, scale: float) -> str:
    x = draft.node("Conv", "image", half(draft, scale, 4, 4, 1, 1))
    return draft.node("Conv", x, half(draft, scale, 4, 4, 1, 1))


def branches(draft: Draft, scale: float) -> str:
    other = draft.node("Conv", "image", half(draft, 1.0, 4, 4, 1, 1))
    return draft.node("Add", convolutions(draft, scale), other)


def products(draft: Draft, scale: float) -> str:
    return draft.node("MatMul", draft.node("MatMul", "image", half(draft, scale, 6, 6)), half(draft, scale, 6, 6))


BUILDS = {build.__name__: build for build in (norm, number_before, convolutions, branches, products)}


def finish(draft: Draft, value: str) -> Model:
    model = draft.model(draft.node("LeakyRelu", value), IMAGE, IMAGE)
    for place in (*model.graph.inputs, *model.graph.outputs):
        place.type = ir.TensorType(ir.DataType(TensorProto.FLOAT16))
    return normalise(model)


@pytest.mark.parametrize("scale", [1.0, 2e-3, 1e3])
@pytest.mark.parametrize("name", BUILDS)
def test_what_is_folded_or_merged_says_the_same(name: str, scale: float) -> None:
    draft = Draft()
    model = finish(draft, BUILDS[name](draft, scale))
    image = np.random.default_rng(1).standard_normal(IMAGE) * min(1.0, 1e-2 / scale) * (100 if scale < 1 else 1)

    found = merge(fold(model))

    before, after = (
        next(iter(run(open_session(each), {"image": image.astype(np.float16)}).values())) for each in (model, found)
    )
    assert after.shape == before.shape
    assert np.isfinite(before).all()
    difference = np.abs(after.astype(np.float64) - before)
    assert difference.max() <= TOLERANCE * np.abs(before).max()
    assert (len(found.graph) < len(model.graph)) or scale != 1.0
