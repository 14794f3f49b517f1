"""Origins move as the numbers do in ONNX Runtime, also where sizes are open."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest
from onnx import TensorProto

from engine.execution.runtime import open_session, run
from engine.graph.model import Model
from engine.graph.origins import Lost, move
from engine.graph.shapes import infer_shapes
from tests.networks import Draft

SHAPE = (2, 3, 4, 6)
Build = Callable[[Draft], list[str]]


def one(op_type: str, *numbers: list[int] | int, **attributes: object) -> Build:
    def build(draft: Draft) -> list[str]:
        return [draft.node(op_type, "image", *(draft.constant(each, np.int64) for each in numbers), **attributes)]

    return build


def split(sizes: list[int], axis: int) -> Build:
    def build(draft: Draft) -> list[str]:
        first = draft.node("Split", "image", draft.constant(sizes, np.int64), outputs=len(sizes), axis=axis)
        return [first, *(f"{first}_{index}" for index in range(1, len(sizes)))]

    return build


MOVERS: dict[str, Build] = {
    "reshape": one("Reshape", [0, 12, -1]),
    "reshape in five": one("Reshape", [-1, 3, 2, 2, 6]),
    "flatten": one("Flatten", axis=2),
    "transpose": one("Transpose", perm=[2, 0, 3, 1]),
    "transpose backwards": one("Transpose"),
    "gather a row": one("Gather", [2, 0, 2], axis=1),
    "gather one": one("Gather", -1, axis=3),
    "slice": one("Slice", [1, 0], [3, 6], [2, 3], [1, 2]),
    "slice from the end": one("Slice", [-4], [-1], [3]),
    "split": split([1, 2], 1),
    "split evenly": split([2, 2, 2], -1),
    "unsqueeze": one("Unsqueeze", [0, 3]),
    "squeeze": lambda draft: [draft.node("Squeeze", draft.node("Slice", "image", *_piece(draft)), _axes(draft))],
    "expand": lambda draft: [draft.node("Expand", draft.node("Slice", "image", *_piece(draft)), _wide(draft))],
}


def _piece(draft: Draft) -> list[str]:
    return [draft.constant([at], np.int64) for at in (1, 2, 1)]


def _axes(draft: Draft) -> str:
    return draft.constant([1], np.int64)


def _wide(draft: Draft) -> str:
    return draft.constant([1, 5, 1, 1], np.int64)


def built(build: Build, batch: int | str) -> tuple[Model, list[str]]:
    draft = Draft(18)
    names = build(draft)
    also = dict.fromkeys(names[1:], (TensorProto.FLOAT, SHAPE))
    model = draft.model(names[0], (batch, *SHAPE[1:]), SHAPE, also)
    for value in model.graph.outputs:
        value.shape = None
    infer_shapes(model)
    return model, names


@pytest.mark.parametrize("batch", [2, "batch"])
@pytest.mark.parametrize("name", MOVERS)
def test_labels_move_as_the_numbers_do(name: str, batch: int | str) -> None:
    """An open batch is one image in origins, and all images alike."""
    model, names = built(MOVERS[name], batch)
    images = 2 if batch == 2 else 1
    numbers = np.arange(np.prod(SHAPE[1:]) * images).reshape(images, *SHAPE[1:])
    origins = {str(model.graph.inputs[0].name): numbers}

    for node in model.graph:
        origins |= zip((str(value.name) for value in node.outputs), move(node, origins[_read(node)]), strict=True)

    found = run(open_session(model), {"image": numbers.astype(np.float32)})
    for each in names:
        assert np.array_equal(origins[each], found[each])


def _read(node: ir.Node) -> str:
    value = node.inputs[0]
    assert value is not None
    return str(value.name)


def test_rows_that_were_open_come_apart_again() -> None:
    """As Gemm writes them: all images' tokens are one axis, and it has three columns."""
    model, _ = built(one("Reshape", [-1, 4, 3]), "batch")
    node = next(iter(model.graph))
    assert node.inputs[0] is not None
    node.inputs[0].shape = ir.Shape([None, 3])

    (found,) = move(node, np.array([[5, 6, 7]]))

    assert found.tolist() == [[[5, 6, 7]] * 4]


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (one("Relu"), "stands between"),
        (one("Slice", [5], [0], [3], [-1]), "goes backwards"),
        (lambda draft: [draft.node("Gather", "image", draft.node("Shape", "image"), axis=3)], "when the network runs"),
    ],
)
def test_what_is_not_followed_is_said(build: Build, reason: str) -> None:
    model, _ = built(build, 2)
    last = list(model.graph)[-1]

    with pytest.raises(Lost, match=reason):
        move(last, np.zeros(SHAPE, np.int64))
