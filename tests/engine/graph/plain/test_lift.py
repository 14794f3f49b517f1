"""A lifted network says what it said before, in every operator whose form changed; what cannot be lifted says why."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from engine.errors import ModelUnreadable
from engine.execution.runtime import open_session, run
from engine.graph.model import Model
from engine.graph.normalise import normalise, notes
from engine.graph.plain.lift import OPSET, lift
from tests.engine.graph.same import assert_close
from tests.networks import Draft, images

TOLERANCE = 1e-6
ASYMMETRIC = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


def ints(draft: Draft, *numbers: int) -> str:
    return draft.constant(numbers, np.int64)


def resize(draft: Draft) -> str:
    nothing, scales = draft.constant([], np.float32), draft.constant([1, 1, 2, 2])
    return draft.node("Resize", "image", nothing, scales, **ASYMMETRIC)


def resize_to_sizes(draft: Draft) -> str:
    nothing = draft.constant([], np.float32)
    return draft.node("Resize", "image", nothing, nothing, ints(draft, 2, 3, 9, 11), mode="linear")


def regions(draft: Draft) -> str:
    boxes = draft.constant([[1, 1, 9, 9], [0, 2, 15, 12]])
    return draft.node("RoiAlign", "image", boxes, ints(draft, 0, 1), output_height=3, output_width=3, sampling_ratio=2)


CHANGED: dict[str, Callable[[Draft], str]] = {
    "Softmax over all that follows": lambda draft: draft.node("Softmax", "image"),
    "Softmax over the last axis": lambda draft: draft.node("Softmax", "image", axis=3),
    "LogSoftmax": lambda draft: draft.node("LogSoftmax", "image", axis=-2),
    "Squeeze and Unsqueeze": lambda draft: draft.node("Squeeze", draft.node("Unsqueeze", "image", axes=[-1]), axes=[4]),
    "ReduceSum": lambda draft: draft.node("ReduceSum", "image", axes=[2], keepdims=0),
    "ReduceMean of everything": lambda draft: draft.node("ReduceMean", "image", keepdims=0),
    "ReduceL2": lambda draft: draft.node("ReduceL2", "image", axes=[-1]),
    "Split": lambda draft: draft.node("Split", "image", axis=1, split=[2, 1], outputs=2),
    "Split in half": lambda draft: draft.node("Split", "image", axis=2, outputs=2),
    "Dropout": lambda draft: draft.node("Dropout", "image", ratio=0.3),
    "BatchNormalization": lambda draft: draft.batch_norm("image", 3),
    "Resize by scales": resize,
    "Resize to sizes": resize_to_sizes,
    "Pad": lambda draft: draft.node("Pad", "image", ints(draft, 0, 0, 1, 1, 0, 0, 2, 2), mode="reflect"),
    "RoiAlign": regions,
    "LpPool": lambda draft: draft.node("LpPool", "image", kernel_shape=[2, 2], strides=[2, 2]),
}


def one_operator(opset: int, make: Callable[[Draft], str]) -> Model:
    draft = Draft(opset=opset)
    model = draft.model(make(draft))
    model.graph.outputs[0].shape = None
    return model


@pytest.mark.parametrize("name", CHANGED)
def test_the_meaning_stays(name: str) -> None:
    model = one_operator(11, CHANGED[name])
    inputs = images(model)

    lifted, note = lift(model)

    assert (lifted.opset, note) == (OPSET, None)
    assert lifted.ir.ir_version >= 8  # the first format of a file that knows this opset
    (wanted,), (found,) = (run(open_session(network), inputs).values() for network in (model, lifted))
    assert_close(found, wanted, TOLERANCE)


def test_what_the_converter_gets_wrong_stays_at_its_opset() -> None:
    """Hardmax flattened from its axis on before opset 13."""
    model = one_operator(11, lambda draft: draft.node("Hardmax", "image", axis=2))
    inputs = images(model)

    plain = normalise(model)

    assert plain.opset == 11
    assert notes(plain) == (
        "The network stays at opset 11: node 'node_0_Hardmax', Hardmax, would change its meaning. "
        "Export it with opset 18 or later.",
    )
    (wanted,), (found,) = (run(open_session(network), inputs).values() for network in (model, plain))
    assert np.array_equal(found, wanted)


def test_what_is_too_old_to_run_and_cannot_be_lifted_is_refused() -> None:
    model = one_operator(9, lambda draft: draft.node("Hardmax", "image", axis=2))

    with pytest.raises(ModelUnreadable, match=r"opset 9, and lifting it to 18 failed: node 'node_0_Hardmax'"):
        lift(model)


def test_a_network_of_today_is_copied_as_it_is() -> None:
    model = one_operator(20, lambda draft: draft.node("Gelu", "image"))

    lifted, note = lift(model)

    assert (lifted.opset, note, lifted.to_bytes()) == (20, None, model.to_bytes())
    assert lifted.ir is not model.ir
    assert isinstance(lifted.ir, ir.Model)
