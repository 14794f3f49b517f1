"""Opsets lifted to one that the rest of the engine speaks, by ONNX's converter; what it gets wrong stays as it is."""

from __future__ import annotations

import logging

import onnx
from onnxscript.version_converter import ConvertVersionPass

from engine.errors import ModelUnreadable
from engine.graph.bodies import bodies
from engine.graph.model import Model

OPSET = 18
"""Axes, pads and splits are inputs from here on, and LayerNormalization is an operator."""

OLDEST_OPSET = 11
"""From here on a network runs as it is, where it cannot be lifted."""

_LOST_BEFORE = {"Hardmax": 13}
"""Operators whose older meaning the converter drops without a word: Hardmax flattened from its axis on."""

# The converter reports what it skips as warnings; what it skipped is looked for here.
logging.getLogger("onnxscript.version_converter").setLevel(logging.ERROR)


def lift(model: Model, opset: int = OPSET) -> tuple[Model, str | None]:
    """Return a copy at this opset or later, or at the one it has and the reason why it cannot be lifted.

    Names, inputs and outputs stay. Raises ModelUnreadable where an opset before 11 cannot be lifted.
    """
    if model.opset >= opset:
        return model.copy(), None
    problem = _known_problem(model)
    if problem is None:
        lifted = _converted(model, opset)
        if lifted is not None:
            return lifted, None
        problem = "ONNX's converter does not lift it"
    if model.opset < OLDEST_OPSET:
        raise ModelUnreadable(
            f"The network has opset {model.opset}, and lifting it to {opset} failed: {problem}. "
            f"Export it again with opset {OLDEST_OPSET} or later."
        )
    return model.copy(), f"The network stays at opset {model.opset}: {problem}. Export it with opset {opset} or later."


def _known_problem(model: Model) -> str | None:
    for node in model.graph:
        if not node.domain and model.opset < _LOST_BEFORE.get(node.op_type, 0):
            return f"node '{node.name}', {node.op_type}, would change its meaning"
        if bodies(node):
            return f"node '{node.name}', {node.op_type}, holds graphs, in which the converter leaves nodes as they are"
    return None


def _converted(model: Model, opset: int) -> Model | None:
    copy = model.copy()
    ConvertVersionPass(opset, fallback=True)(copy.ir)
    lifted = Model(copy.ir)
    places = [
        *zip((*lifted.graph.inputs, *lifted.graph.outputs), (*model.graph.inputs, *model.graph.outputs), strict=True)
    ]
    if lifted.opset != opset or any((new.name, new.dtype) != (old.name, old.dtype) for new, old in places):
        return None
    for new, old in places:
        new.shape = old.shape  # the converter tells what the file leaves open
    least = onnx.helper.find_min_ir_version_for([onnx.helper.make_opsetid("", opset)])
    lifted.ir.ir_version = max(lifted.ir.ir_version, least)
    return lifted
