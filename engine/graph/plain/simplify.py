"""Constants and the arithmetic of shapes worked out, no-ops dropped: the same function in fewer nodes."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import numpy as np
import onnx_ir as ir
from onnxscript.optimizer import fold_constants

from engine.graph.bodies import bodies
from engine.graph.edits import remove_dead, replace_value
from engine.graph.model import Model
from engine.graph.plain.straighten import Constants, straighten
from engine.graph.plain.taken_branch import take_branch
from engine.graph.shapes import write_shapes
from engine.graph.shapes.contents import is_open
from engine.graph.shapes.rules import ELEMENT_BY_ELEMENT, broadcast
from engine.graph.shapes.walk import Inference, constant_of

_LONGEST_ALIKE = 64
"""Elements of a tensor of open sizes up to which another one that always holds the same is looked for."""

_LISTS = {"SequenceConstruct", "SequenceAt", "SplitToSequence", "ConcatFromSequence"}
"""Lists of tensors, which onnxscript's optimiser resolves once it reads constants."""


def simplify(model: Model) -> None:
    """Work out, in place, what does not depend on the input, and write the shapes of all that is left.

    Constants become initialisers under the names of the values that they were. Of what depends on open sizes alone, the
    first value that always holds the same is read by all; a Reshape with one open size left reads a constant target.
    """
    inference = _walk(model)
    while _take_branches(model, inference):
        inference = _walk(model)
    if _LISTS & {node.op_type for node in model.graph} and not any(map(bodies, model.graph)):
        fold_constants(model.ir, onnx_shape_inference=False, input_size_limit=0)
        inference = _walk(model)
    remove_dead(model)
    write_shapes(model, inference)


def _take_branches(model: Model, inference: Inference) -> bool:
    """Put a branch in the place of each If whose condition is known; say whether there was one."""
    found = False
    for node in [node for node in model.graph if node.op_type == "If" and not node.domain]:
        condition = inference.contents(node.inputs[0])
        if condition is not None and not is_open(condition) and condition.size == 1:
            take_branch(model, node, condition)
            found = True
    return found


def _walk(model: Model) -> Inference:
    inference, alike, constants = Inference(model.ir), dict[Hashable, ir.Value](), Constants(model)
    for node in list(model.graph):
        _read_past_expand(inference, node)
        inference.visit(node)
        if _store_constants(model, inference, node, constants) or _read_twin(inference, node, alike):
            continue
        shown = straighten(model, inference, node, constants)
        if shown is None and _changes_nothing(inference, node):
            shown = node.inputs[0]
        if shown is not None and node.graph is not None:
            replace_value(model, node.outputs[0], shown)
    return inference


def _store_constants(model: Model, inference: Inference, node: ir.Node, constants: Constants) -> bool:
    """Let readers read an initialiser in place of what a node makes out of constants alone."""
    arrays = [inference.contents(value) for value in node.outputs]
    if any(array is None or is_open(array) for array in arrays) or any(v.is_graph_output() for v in node.outputs):
        return False
    # the tensor of a Constant node need not be copied
    tensor = constant_of(node) if node.op_type == "Constant" and not node.domain else None
    for value, array in zip(node.outputs, arrays, strict=True):
        assert array is not None
        name, value.name = str(value.name), None
        constant = constants.put(name, array, tensor)
        value.replace_all_uses_with(constant)
        if tensor is None:
            inference.note_made(constant)
    read = [value for value in node.inputs if value is not None]
    model.graph.remove(node, safe=True)
    for value in read:
        _drop_unread(model, value)
    return True


def _drop_unread(model: Model, value: ir.Value) -> None:
    """Free the memory of a constant whose last reader has been worked out."""
    if value.is_initializer() and not value.uses() and not value.is_graph_output() and not value.is_graph_input():
        model.graph.initializers.pop(str(value.name), None)


def _read_twin(inference: Inference, node: ir.Node, alike: dict[Hashable, ir.Value]) -> bool:
    """Let readers of open sizes read the first value that always holds the same."""
    if len(node.outputs) != 1 or node.outputs[0].is_graph_output():
        return False
    array = inference.contents(node.outputs[0])
    if array is None or not is_open(array) or array.size > _LONGEST_ALIKE:
        return False
    key = (inference.dtype(node.outputs[0]), array.shape, tuple(array.flatten().tolist()))
    twin = alike.setdefault(key, node.outputs[0])
    if twin is not node.outputs[0]:
        node.outputs[0].replace_all_uses_with(twin)
    return True


def _read_past_expand(inference: Inference, node: ir.Node) -> None:
    """Let element by element operators stretch a tensor by themselves that an Expand stretches for them."""
    if node.op_type not in ELEMENT_BY_ELEMENT or node.domain or None in node.inputs:
        return
    for place, value in enumerate(node.inputs):
        expand = None if value is None else value.producer()
        if expand is None or expand.op_type != "Expand" or expand.domain:
            continue
        shapes = [inference.shape(other) for other in node.inputs]
        before = inference.shape(expand.inputs[0])
        known = [shape for shape in shapes if shape is not None]
        if before is None or len(known) < len(shapes):
            continue
        stretched = broadcast([*known[:place], before, *known[place + 1 :]])
        if None not in stretched and stretched == broadcast(known):
            node.replace_input_with(place, expand.inputs[0])


def _changes_nothing(inference: Inference, node: ir.Node) -> bool:
    """Say whether a node always hands on what it reads."""
    check = _NO_OPS.get(node.op_type)
    return check is not None and not node.domain and bool(node.inputs) and check(inference, node)


def _keeps_type(inference: Inference, node: ir.Node) -> bool:
    return inference.dtype(node.inputs[0]) == inference.dtype(node.outputs[0])


def _keeps_shape(inference: Inference, node: ir.Node) -> bool:
    before = inference.shape(node.inputs[0])
    return before is not None and before == inference.shape(node.outputs[0])


def _keeps_order(inference: Inference, node: ir.Node) -> bool:
    order = node.attributes.get_ints("perm", None)
    return order is not None and list(order) == sorted(order)


def _takes_all(inference: Inference, node: ir.Node) -> bool:
    steps = inference.contents(node.inputs[4]) if len(node.inputs) > 4 else np.ones(1, np.int64)
    return _keeps_shape(inference, node) and steps is not None and not is_open(steps) and bool((steps > 0).all())


def _pads_nothing(inference: Inference, node: ir.Node) -> bool:
    pads = inference.contents(node.inputs[1]) if len(node.inputs) > 1 else None
    return pads is not None and not is_open(pads) and not pads.any()


_NO_OPS: dict[str, Callable[[Inference, ir.Node], bool]] = {
    "Cast": _keeps_type,
    "CastLike": _keeps_type,
    "Concat": lambda inference, node: len(node.inputs) == 1,
    "Expand": _keeps_shape,
    "Pad": _pads_nothing,
    "Slice": _takes_all,
    "Tile": _keeps_shape,
    "Transpose": _keeps_order,
}
