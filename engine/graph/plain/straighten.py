"""Nodes that only look at the same numbers in another shape: their targets in numbers, chains of them as one.

Every rule works in place on one node that has been visited, and says whether the node has become needless.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir

from engine.graph.model import Model
from engine.graph.shapes.contents import Array, is_open
from engine.graph.shapes.sizes import Size, product
from engine.graph.shapes.walk import Inference

_VIEWS = {"Flatten", "Reshape", "Squeeze", "Unsqueeze"}
_RESIZE_AXES_OPSET = 18
Strides = tuple[int, tuple[int, ...]]
"""Where a grid of positions starts, and how far each of its axes steps."""


class Constants:
    """New constants of one graph, under names that no value bears; equal shape vectors are one."""

    def __init__(self, model: Model) -> None:
        self._graph = model.graph
        self._taken = model.names()

    def add(self, stem: str, array: Array, tensor: ir.TensorProtocol | None = None) -> ir.Value:
        """Add a constant; its name is the stem itself where that is free."""
        name, number = stem, 1
        while name in self._taken:
            name, number = f"{stem}_{number}", number + 1
        return self.put(name, array, tensor)

    def put(self, name: str, array: Array, tensor: ir.TensorProtocol | None = None) -> ir.Value:
        """Add a constant under the very name of a value that it takes the place of."""
        self._taken.add(name)
        if tensor is None:
            tensor = ir.tensor(np.ascontiguousarray(array).reshape(array.shape), name=name)
        value = ir.Value(name=name, const_value=tensor, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype))
        self._graph.register_initializer(value)
        return value


def straighten(model: Model, inference: Inference, node: ir.Node, constants: Constants) -> ir.Value | None:
    """Simplify a view in place; return the value that the node shows in its very own shape, if there is one."""
    if node.domain:
        return None
    if node.op_type == "Gather":
        node = _as_reshape(model, inference, node, constants) or node
    if node.op_type == "Resize" and model.opset >= _RESIZE_AXES_OPSET:
        _resize_by_axes(inference, node, constants)
    if node.op_type not in _VIEWS or node.inputs[0] is None:
        return None
    base, shape = _base(node.inputs[0]), inference.shape(node.outputs[0])
    if shape is not None and shape == inference.shape(base):
        return base
    if node.op_type == "Reshape":
        _aim(inference, node, base, constants)
    return None


def _base(value: ir.Value) -> ir.Value:
    """Return what a chain of views looks at in the end."""
    producer = value.producer()
    while (
        producer is not None and producer.op_type in _VIEWS and not producer.domain and producer.inputs[0] is not None
    ):
        value = producer.inputs[0]
        producer = value.producer()
    return value


def _aim(inference: Inference, node: ir.Node, base: ir.Value, constants: Constants) -> None:
    """Let a Reshape read the base and a target of numbers: 0 for an open size that stays in place, -1 for one more."""
    shape, before = inference.shape(node.outputs[0]), inference.shape(base)
    target = inference.contents(node.inputs[1])
    if shape is None or before is None:
        return
    aimed = _aimed(shape, before)
    if aimed is None or (node.inputs[0] is base and target is not None and not is_open(target)):
        if target is not None and 0 not in target.tolist():
            node.attributes.pop("allowzero", None)  # says nothing where no size is zero
        return
    node.attributes.pop("allowzero", None)
    node.replace_input_with(0, base)
    node.replace_input_with(1, constants.add(f"{node.outputs[0].name}_target", np.asarray(aimed, np.int64)))


def _aimed(shape: Sequence[Size], before: Sequence[Size]) -> list[int] | None:
    if 0 in shape:
        return None
    found: list[int] = []
    for place, size in enumerate(shape):
        stays = place < len(before) and before[place] == size
        found.append(size if isinstance(size, int) else 0 if stays else -1)
    return found if found.count(-1) <= 1 else None


def _resize_by_axes(inference: Inference, node: ir.Node, constants: Constants) -> None:
    """Name the axes that change, in place of a list of all sizes that is put together while the network runs."""
    sizes = inference.contents(node.inputs[3]) if len(node.inputs) > 3 else None
    before = inference.shape(node.inputs[0])
    if sizes is None or before is None or not is_open(sizes) or "axes" in node.attributes:
        return
    if node.attributes.get_string("coordinate_transformation_mode", "") == "tf_crop_and_resize":
        return  # it cuts regions out of the other axes too
    if node.attributes.get_string("keep_aspect_ratio_policy", "stretch") != "stretch":
        return  # the axes that stay have a say in the scale of all
    axes = [axis for axis, size in enumerate(sizes.tolist()) if size != before[axis]]
    asked = [sizes[axis] for axis in axes]
    if axes and all(isinstance(size, int) for size in asked):
        node.replace_input_with(1, None)  # empty tensors, in older opsets
        node.replace_input_with(2, None)
        node.attributes["axes"] = ir.AttrInt64s("axes", axes)
        node.replace_input_with(3, constants.add(f"{node.outputs[0].name}_sizes", np.asarray(asked, np.int64)))


def _as_reshape(model: Model, inference: Inference, node: ir.Node, constants: Constants) -> ir.Node | None:
    """Replace a Gather that reads a flat tensor from its first to its last element, as `as_strided` is exported."""
    data, shape = inference.shape(node.inputs[0]), inference.shape(node.outputs[0])
    if data is None or shape is None or len(data) != 1 or node.outputs[0].is_graph_output():
        return None
    if node.inputs[1] is None or product(shape) != data[0]:
        return None
    aimed = _aimed(shape, data)
    if aimed is None or _strides(inference, node.inputs[1]) != _contiguous(shape):
        return None
    return _put_reshape(
        model, inference, node, constants.add(f"{node.outputs[0].name}_target", np.asarray(aimed, np.int64))
    )


def _put_reshape(model: Model, inference: Inference, node: ir.Node, target: ir.Value) -> ir.Node:
    name, old = node.outputs[0].name, node.outputs[0]
    reshape = ir.node("Reshape", [node.inputs[0], target], name=node.name)
    model.graph.insert_before(node, reshape)
    old.name, reshape.outputs[0].name = None, name
    old.replace_all_uses_with(reshape.outputs[0])
    model.graph.remove(node, safe=True)
    inference.visit(reshape)
    return reshape


def _contiguous(shape: Sequence[Size]) -> Strides | None:
    """Return the strides of a tensor that lies in memory in order; axes of one element do not step."""
    strides = []
    for axis, size in enumerate(shape):
        step = product(shape[axis + 1 :])
        if size != 1 and not isinstance(step, int):
            return None
        strides.append(step if size != 1 and isinstance(step, int) else 0)
    return 0, tuple(strides)


def _strides(inference: Inference, value: ir.Value | None) -> Strides | None:
    """Return start and steps of a grid of positions that was put together from Range, Unsqueeze, Mul and Add."""
    array, producer = inference.contents(value), None if value is None else value.producer()
    if array is not None:
        return None if is_open(array) else _strides_of_numbers(array)
    build = None if producer is None else _GRIDS.get(producer.op_type)
    return None if producer is None or build is None else build(inference, producer)


def _strides_of_numbers(array: Array) -> Strides | None:
    if not array.size:
        return None
    start = int(array.flat[0])
    steps = [int(np.take(array, 1, axis).flat[0]) - start if size > 1 else 0 for axis, size in enumerate(array.shape)]
    grid = sum((step * place for step, place in zip(steps, np.indices(array.shape), strict=True)), np.int64(start))
    return (start, tuple(steps)) if np.array_equal(grid, array) else None


def _ranged(inference: Inference, node: ir.Node) -> Strides | None:
    start, step = inference.contents(node.inputs[0]), inference.contents(node.inputs[2])
    if start is None or step is None or is_open(start) or is_open(step):
        return None
    return int(start.item()), (int(step.item()),)


def _unsqueezed(inference: Inference, node: ir.Node) -> Strides | None:
    inner, shape = _strides(inference, node.inputs[0]), inference.shape(node.outputs[0])
    axes = inference.contents(node.inputs[1]) if len(node.inputs) > 1 else None
    if inner is None or shape is None or axes is None:
        return None
    new, steps = {int(axis) % len(shape) for axis in axes.flatten()}, iter(inner[1])
    return inner[0], tuple(0 if axis in new else next(steps) for axis in range(len(shape)))


def _added(inference: Inference, node: ir.Node) -> Strides | None:
    a, b = (_strides(inference, operand) for operand in node.inputs)
    if a is None or b is None:
        return None
    steps = _stretched(a[1], b[1])
    return a[0] + b[0], tuple(x + y for x, y in zip(*steps, strict=True))


def _multiplied(inference: Inference, node: ir.Node) -> Strides | None:
    a, b = (_strides(inference, operand) for operand in node.inputs)
    if a is None or b is None or (any(a[1]) and any(b[1])):
        return None
    first, second = _stretched(a[1], b[1])
    number, steps = (a[0], second) if any(second) else (b[0], first)
    return a[0] * b[0], tuple(number * step for step in steps)


def _stretched(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    rank = max(len(a), len(b))
    return (0,) * (rank - len(a)) + a, (0,) * (rank - len(b)) + b


_GRIDS: dict[str, Callable[[Inference, ir.Node], Strides | None]] = {
    "Add": _added,
    "Mul": _multiplied,
    "Range": _ranged,
    "Unsqueeze": _unsqueezed,
}
