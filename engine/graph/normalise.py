"""One plain form for every upload: constants folded, no-ops gone, shapes known; what it computes stays the same."""

from __future__ import annotations

import logging
import math

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import (
    IdentityEliminationPass,
    LiftConstantsToInitializersPass,
    RemoveInitializersFromInputsPass,
    TopologicalSortPass,
)

from engine.errors import ModelUnreadable, ModelUnsafe
from engine.graph.edits import remove_dead, replace_value
from engine.graph.model import Model
from engine.graph.shapes import fold, infer_shapes, settle_shapes

OLDEST_OPSET = 11
OLDEST_IR_VERSION = 4
"""The first in which an initialiser need not be an input as well."""

MOST_ELEMENTS = 1 << 30
"""Elements of one tensor between two nodes, for a batch of one: 4 GiB of float32."""

LONGEST_VECTOR = 1 << 22
"""Elements of a tensor with one axis, as shape inference follows each number of it."""

# Both libraries report what they skipped as warnings; skipping is what we ask for.
logging.getLogger("onnxscript.optimizer").setLevel(logging.ERROR)
logging.getLogger("onnx_ir.passes").setLevel(logging.ERROR)


def normalise(model: Model) -> Model:
    """Return the same network in plain form; names and opset stay, though an opset before 11 is lifted to 11.

    Initialisers that doubled as inputs are initialisers only: a default that can be overridden cannot be folded.
    """
    plain = Model(_lifted(model))
    RemoveInitializersFromInputsPass()(plain.ir)
    plain.ir.ir_version = max(plain.ir.ir_version, OLDEST_IR_VERSION)
    TopologicalSortPass()(plain.ir)
    LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(plain.ir)
    _refuse_bombs(plain)
    infer_shapes(plain)
    fold(plain)
    LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(plain.ir)
    _drop_dropout(plain)
    IdentityEliminationPass()(plain.ir)
    remove_dead(plain)
    infer_shapes(plain)
    settle_shapes(plain)
    _refuse_huge(plain)
    return Model(plain.ir)  # names the nodes that folding made


def _refuse_bombs(model: Model) -> None:
    """Look at sizes on a copy first: following the numbers of a vector that doubles forty times takes for ever."""
    sizes_only = model.copy()
    infer_shapes(sizes_only, through_values=False)
    _refuse_huge(sizes_only)


def _refuse_huge(model: Model) -> None:
    """Refuse a graph that makes a tensor too large for any machine out of a few bytes; open sizes count as one."""
    for node in model.graph:
        for value in node.outputs:
            sizes = [size if isinstance(size, int) else 1 for size in value.shape or ()]
            most = LONGEST_VECTOR if len(sizes) == 1 else MOST_ELEMENTS
            if math.prod(sizes) > most:
                raise ModelUnsafe(
                    f"Node '{node.name}': {node.op_type} makes a tensor of {math.prod(sizes)} elements, {sizes}. "
                    f"At most {most} are run.",
                    where=node.name,
                )


def _lifted(model: Model) -> ir.Model:
    """Return a copy of the graph at opset 11 or later."""
    if model.opset >= OLDEST_OPSET:
        return model.copy().ir
    try:
        proto = onnx.version_converter.convert_version(ir.to_proto(model.ir), OLDEST_OPSET)
    except (RuntimeError, ValueError) as error:
        message = f"The network has opset {model.opset}, and lifting it to {OLDEST_OPSET} failed: {error}."
        raise ModelUnreadable(f"{message} Export it again with opset {OLDEST_OPSET} or later.") from error
    return ir.from_proto(proto)


def _drop_dropout(model: Model) -> None:
    """Remove dropout that is at rest, as it is at inference: one whose mask nobody reads."""
    for node in list(model.graph):
        if node.op_type != "Dropout" or any(value.uses() or value.is_graph_output() for value in node.outputs[1:]):
            continue
        training = node.inputs[2] if len(node.inputs) > 2 else None
        at_rest = training is None or (training.const_value is not None and not training.const_value.numpy().any())
        if at_rest and node.inputs[0] is not None:
            replace_value(model, node.outputs[0], node.inputs[0])
