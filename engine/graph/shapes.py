"""Shapes of all values: inferred, and where symbols go through arithmetic, settled by trying two sizes for each."""

from __future__ import annotations

import math
from collections.abc import Iterable

import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass
from onnxscript.optimizer import fold_constants

from engine.graph.model import Model

FOLD_ELEMENTS = 1 << 18
_GROWING = {"ConstantOfShape", "Expand", "Pad", "Range", "Resize", "Tile", "Upsample", "OneHot"}
"""Operators whose result may be far larger than what they read: folded only where the size is known beforehand."""

_FIRST_AXIS, _OTHER_AXES = (5, 7), (224, 256)
"""Two trial sizes for an open axis: of the batch, and of anything else. Halved or divided by 32 they still differ."""

Size = int | str
Symbols = dict[str, tuple[int, int]]


def infer_shapes(model: Model, *, through_values: bool = True) -> None:
    """Write, in place, what follows about shapes and types; what cannot be worked out stays unknown.

    `through_values` also follows the numbers in short vectors, as Reshape needs them; it costs time for long ones.
    """
    ShapeInferencePass(check_type=False, strict_mode=False, data_prop=through_values)(model.ir)


def fold(model: Model) -> None:
    """Replace, in place, small values that follow from constants by constants."""
    fold_constants(model.ir, onnx_shape_inference=True, should_fold=_is_small, output_size_limit=FOLD_ELEMENTS)


def settle_shapes(model: Model) -> None:
    """Give every value, in place, a shape in numbers and names of open axes, as far as it can be told.

    Where inference alone leaves sizes without a name, the graph is bound to one set of sizes and then to another:
    a size that stays is a number, one that moves as an open axis does takes its name, or a multiple of it.
    """
    symbols = _name_open_axes(model)
    if not symbols or all(_is_settled(value, symbols) for node in model.graph for value in node.outputs):
        return
    first, second = (_shapes_with(model, {name: sizes[i] for name, sizes in symbols.items()}) for i in (0, 1))
    outputs = set(model.graph.outputs)
    for node in model.graph:
        for value in node.outputs:
            a, b = first.get(str(value.name)), second.get(str(value.name))
            if value not in outputs and a is not None and b is not None and len(a) == len(b):
                value.shape = ir.Shape([_size(pair, symbols) for pair in zip(a, b, strict=True)])


def _is_small(node: ir.Node) -> bool | None:
    """Keep folding from building huge tensors out of tiny files; None leaves the choice to the optimiser."""
    if node.op_type not in _GROWING:
        return None
    elements = _elements(node.outputs[0])
    if elements is None:
        elements = _most_elements(node)
    return elements is not None and elements <= FOLD_ELEMENTS


def _elements(value: ir.Value | None) -> int | None:
    numbers = None if value is None else _numbers(value)
    return None if numbers is None else math.prod(numbers)


def _most_elements(node: ir.Node) -> int | None:
    """Bound a result whose shape is not known by the numbers that ask for it; None where there is no telling."""
    if node.op_type == "ConstantOfShape":
        return _product_of(node.inputs[0])
    if node.op_type in ("Expand", "Tile"):
        read, asked = _elements(node.inputs[0]), _product_of(node.inputs[1])
        return None if read is None or asked is None else read * asked
    return None


def _product_of(value: ir.Value | None) -> int | None:
    tensor = None if value is None else ir.convenience.get_const_tensor(value)
    return None if tensor is None else math.prod(max(1, int(number)) for number in tensor.numpy().flatten())


def _name_open_axes(model: Model) -> Symbols:
    """Return the two trial sizes of each named open axis of the inputs."""
    symbols: Symbols = {}
    for info in model.inputs:
        for axis, size in enumerate(info.shape):
            if isinstance(size, str):
                symbols.setdefault(size, _FIRST_AXIS if axis == 0 else _OTHER_AXES)
    return symbols


def _is_settled(value: ir.Value, symbols: Symbols) -> bool:
    return value.shape is not None and all(isinstance(size, int) or size.value in symbols for size in value.shape)


def _shapes_with(model: Model, sizes: dict[str, int]) -> dict[str, tuple[int, ...]]:
    """Return the shapes that all values have when the open axes have these sizes."""
    bound = model.copy()
    for value in bound.graph.inputs:
        if value.shape is not None:
            value.shape = ir.Shape([_bind(size, sizes) for size in value.shape])
    for node in bound.graph:
        for value in node.outputs:
            value.shape = None  # what the file says holds for open axes
    infer_shapes(bound)
    fold(bound)
    infer_shapes(bound)
    return {name: shape for name, value in bound.values().items() if (shape := _numbers(value)) is not None}


def _bind(size: int | ir.SymbolicDim, sizes: dict[str, int]) -> int | str | None:
    return size if isinstance(size, int) else sizes.get(str(size.value), size.value)


def _numbers(value: ir.Value) -> tuple[int, ...] | None:
    sizes: Iterable[int | ir.SymbolicDim] | None = value.shape
    numbers = None if sizes is None else tuple(size for size in sizes if isinstance(size, int))
    return numbers if value.shape is not None and numbers is not None and len(numbers) == len(value.shape) else None


def _size(pair: tuple[int, int], symbols: Symbols) -> Size:
    """Name a size by what it was in both trials."""
    a, b = pair
    if a == b:
        return a
    for name, (first, second) in symbols.items():
        if a * second == b * first and a % first == 0:
            return name if a == first else f"{a // first}*{name}"
    return f"{a} or {b}"
