"""What is in small tensors: numbers, and sizes of open axes, worked out operator by operator without running the graph.

CONTENTS knows the arithmetic of shapes, in numpy, for numbers and open sizes alike; every other operator, for numbers
only, is ONNX's own reference implementation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx.reference.ops
import onnx_ir as ir
from numpy.typing import NDArray

from engine.graph.shapes.sizes import Size, is_equal, is_less, larger, smaller

Array = NDArray[Any]
"""Numbers of any type, or objects where there is an open size among them."""

Rule = Callable[[ir.Node, Sequence[Array | None]], Array | Sequence[Array] | None]

LONGEST_REFERENCE = 1 << 13
"""Elements that the reference implementations are given: they are written to be read, not to be fast."""

_NOT_FOLDED = {"DequantizeLinear", "QuantizeLinear", "DynamicQuantizeLinear"}
"""Their reading is what they are for: a quantised weight stays one."""

_RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}


class Undecided(Exception):  # an answer, not an error: it depends on the open axes
    """Raised where the result depends on more than sums, products and quotients of open sizes."""


def contents_of(node: ir.Node, inputs: Sequence[Array | None], opset: int) -> Sequence[Array] | None:
    """Return what the outputs hold when the inputs hold this; None where it cannot be told."""
    rule = CONTENTS.get(node.op_type) if node.domain == "" else None
    try:
        with np.errstate(all="ignore"):
            found = _by_reference(node, inputs, opset) if rule is None else rule(node, inputs)
    except (Undecided, ArithmeticError, IndexError, LookupError, TypeError, ValueError):
        return None  # what does not work out here is left to the runtime, which says why
    if found is None:
        return None
    found = [found] if isinstance(found, np.ndarray) else found
    return [settled(array) for array in found] if all(isinstance(array, np.ndarray) for array in found) else None


def is_open(array: Array) -> bool:
    return array.dtype == object


def settled(array: Array) -> Array:
    """Return numbers as int64 where nothing open is left among the objects."""
    if is_open(array) and all(isinstance(size, int) for size in array.flat):
        return array.astype(np.int64)
    return array


def of_sizes(sizes: Sequence[Size]) -> Array:
    array = np.empty(len(sizes), object)
    array[:] = list(sizes)
    return settled(array)


def _by_reference(node: ir.Node, inputs: Sequence[Array | None], opset: int) -> Array | Sequence[Array] | None:
    given = [array for array in inputs if array is not None]
    if node.domain or node.op_type in _NOT_FOLDED or _is_random(node, inputs) or holds_a_graph(node):
        return None
    if any(is_open(array) or array.size > LONGEST_REFERENCE for array in given):
        return None
    try:
        evaluate = onnx.reference.ops.load_op("", node.op_type, opset).eval
        attributes = {name: _plain(attribute) for name, attribute in node.attributes.items()}
        found = evaluate(*inputs, **attributes)
    except Exception:  # the reference raises whatever its authors thought of
        return None
    return list(found) if isinstance(found, tuple | list) else np.asarray(found)


def _is_random(node: ir.Node, inputs: Sequence[Array | None]) -> bool:
    """Say whether every run draws anew; Dropout does while it trains."""
    training = _given(inputs, 2) if node.op_type == "Dropout" else None
    return node.op_type in _RANDOM or (training is not None and bool(training.any()))


def holds_a_graph(node: ir.Node) -> bool:
    return any(a.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS) for a in node.attributes.values())


def _plain(attribute: ir.Attr) -> Any:
    is_tensor = attribute.type == ir.AttributeType.TENSOR
    return ir.serde.serialize_tensor(attribute.as_tensor()) if is_tensor else attribute.value


def _given(inputs: Sequence[Array | None], index: int) -> Array | None:
    return inputs[index] if index < len(inputs) else None


def _first(inputs: Sequence[Array | None]) -> Array:
    return _required(inputs, 0)


def _required(inputs: Sequence[Array | None], index: int) -> Array:
    array = _given(inputs, index)
    if array is None:
        raise Undecided
    return array


def _numbers(array: Array | None) -> list[int]:
    if array is None or is_open(array):
        raise Undecided
    return [int(number) for number in array.flatten()]


def _axes(node: ir.Node, inputs: Sequence[Array | None], index: int) -> list[int] | None:
    """Return the axes, from the attribute or, in later opsets, from an input."""
    if "axes" in node.attributes:
        return list(node.attributes["axes"].as_ints())
    array = _given(inputs, index)
    return None if array is None else _numbers(array)


def _cast(node: ir.Node, inputs: Sequence[Array | None]) -> Array:
    kind, array = ir.DataType(node.attributes.get_int("to", 1)), _first(inputs)
    if is_open(array):
        if kind in (ir.DataType.INT64, ir.DataType.INT32):
            return array
        raise Undecided
    if kind in (ir.DataType.STRING, ir.DataType.UNDEFINED) or array.dtype.kind not in "biuf":
        raise Undecided
    if array.dtype.kind == "f" and kind.is_integer() and not np.isfinite(array).all():
        raise Undecided
    return array.astype(kind.numpy())


def _reshape(node: ir.Node, inputs: Sequence[Array | None]) -> Array:
    array, target = _first(inputs), _numbers(_required(inputs, 1))
    if node.attributes.get_int("allowzero", 0) == 0:
        target = [array.shape[place] if size == 0 else size for place, size in enumerate(target)]
    return array.reshape(target)


def _unsqueeze(node: ir.Node, inputs: Sequence[Array | None]) -> Array:
    return np.expand_dims(_first(inputs), tuple(_axes(node, inputs, 1) or ()))


def _squeeze(node: ir.Node, inputs: Sequence[Array | None]) -> Array:
    axes = _axes(node, inputs, 1)
    return np.squeeze(_first(inputs), None if axes is None else tuple(axes))


def _transpose(node: ir.Node, inputs: Sequence[Array | None]) -> Array:
    return _first(inputs).transpose(node.attributes.get_ints("perm", None))


def _concat(node: ir.Node, inputs: Sequence[Array | None]) -> Array:
    return np.concatenate([_required(inputs, i) for i in range(len(inputs))], node.attributes.get_int("axis", 0))


def _gather(node: ir.Node, inputs: Sequence[Array | None]) -> Array:
    array, indices = _first(inputs), _required(inputs, 1)
    if is_open(indices):
        raise Undecided
    return np.asarray(np.take(array, indices.astype(np.int64), node.attributes.get_int("axis", 0)), array.dtype)


def _slice(node: ir.Node, inputs: Sequence[Array | None]) -> Array:
    array = _first(inputs)
    starts, ends = (_numbers(_required(inputs, index)) for index in (1, 2))
    axes, steps = (None if _given(inputs, index) is None else _numbers(inputs[index]) for index in (3, 4))
    cut = [slice(None)] * array.ndim
    for place, axis in enumerate(axes or range(len(starts))):
        cut[axis] = _python_slice(starts[place], ends[place], 1 if steps is None else steps[place], array.shape[axis])
    return array[tuple(cut)]


def _python_slice(start: int, end: int, step: int, length: int) -> slice:
    """Return the slice that means in Python what the numbers mean in ONNX: an end before the first is not the last."""
    start, end = (place + length if place < 0 else place for place in (start, end))
    if step > 0:
        return slice(max(0, start), max(0, end), step)
    return slice(min(max(0, start), length - 1), None if end < 0 else end, step)


def _split(node: ir.Node, inputs: Sequence[Array | None]) -> Sequence[Array]:
    array, axis = _first(inputs), node.attributes.get_int("axis", 0)
    sizes = _given(inputs, 1)
    parts = list(node.attributes.get_ints("split", ()) or ()) if sizes is None else _numbers(sizes)
    if not parts:
        size = math.ceil(array.shape[axis] / len(node.outputs))
        parts = [size] * len(node.outputs)
    return np.split(array, np.cumsum(parts)[:-1], axis)


def _expand(node: ir.Node, inputs: Sequence[Array | None]) -> Array:
    array, target = _first(inputs), _numbers(_required(inputs, 1))
    return np.broadcast_to(array, np.broadcast_shapes(array.shape, tuple(target))).copy()


def _constant_of_shape(node: ir.Node, inputs: Sequence[Array | None]) -> Array:
    value = (
        node.attributes["value"].as_tensor().numpy().flatten()
        if "value" in node.attributes
        else np.zeros(1, np.float32)
    )
    return np.full(_numbers(_first(inputs)), value[0], value.dtype)


def _range(node: ir.Node, inputs: Sequence[Array | None]) -> Array:
    start, limit, step = (_required(inputs, index) for index in range(3))
    if any(is_open(array) for array in (start, limit, step)):
        raise Undecided
    return np.arange(start.item(), limit.item(), step.item(), dtype=start.dtype)


def _where(node: ir.Node, inputs: Sequence[Array | None]) -> Array:
    condition, a, b = (_required(inputs, index) for index in range(3))
    if is_open(condition):
        raise Undecided
    if is_open(a) or is_open(b):
        a, b = _python_numbers(a), _python_numbers(b)
    return np.where(condition, a, b)


def _scatter(node: ir.Node, inputs: Sequence[Array | None]) -> Array:
    array, indices, updates = (_required(inputs, index) for index in range(3))
    if is_open(indices) or node.attributes.get_string("reduction", "none") != "none":
        raise Undecided
    if is_open(array) or is_open(updates):
        array, updates = _python_numbers(array), _python_numbers(updates)
    array = array.copy()
    array[tuple(np.moveaxis(indices, -1, 0))] = updates
    return array


def _reduce_prod(node: ir.Node, inputs: Sequence[Array | None]) -> Array:
    array, axes = _first(inputs), _axes(node, inputs, 1)
    if array.ndim != 1 or array.dtype.kind not in "iO" or (axes is None and len(inputs) > 1):
        raise Undecided
    keep = node.attributes.get_int("keepdims", 1)
    total = np.empty((1,) if keep else (), object)
    total[...] = math.prod(array.tolist())
    return settled(total).astype(array.dtype, copy=False) if not is_open(settled(total)) else total


def _of_two(function: Callable[[Any, Any], Any], numeric: Callable[..., Array]) -> Rule:
    """Make a rule that takes two tensors element by element: `numeric` for numbers, `function` with open sizes."""

    def rule(node: ir.Node, inputs: Sequence[Array | None]) -> Array:
        a, b = _required(inputs, 0), _required(inputs, 1)
        if not (is_open(a) or is_open(b)):
            return np.asarray(numeric(a, b), None if numeric in _COMPARISONS else a.dtype)
        if {a.dtype.kind, b.dtype.kind} - set("iO"):
            raise Undecided
        found = np.frompyfunc(function, 2, 1)(_python_numbers(a), _python_numbers(b))
        found = np.asarray(found, object)
        return found.astype(bool) if numeric in _COMPARISONS else found

    return rule


def _of_several(function: Callable[[Size, Size], Size], numeric: Callable[..., Array]) -> Rule:
    pair = _of_two(function, numeric)

    def rule(node: ir.Node, inputs: Sequence[Array | None]) -> Array:
        found = _first(inputs)
        for index in range(1, len(inputs)):
            found = np.asarray(pair(node, (found, inputs[index])))
        return found

    return rule


def _python_numbers(array: Array) -> Array:
    """Return objects only: numpy's integers would overflow, and know nothing of open sizes."""
    objects = np.empty(array.shape, object)
    objects[...] = array.tolist() if array.ndim else array.item()
    return objects


def _of_one(open_too: bool, numeric: Callable[[Array], Array]) -> Rule:
    def rule(node: ir.Node, inputs: Sequence[Array | None]) -> Array:
        array = _first(inputs)
        if is_open(array) and not open_too:
            raise Undecided
        return array if is_open(array) else np.asarray(numeric(array), array.dtype)

    return rule


def _of_floats(numeric: Callable[[Array], Array]) -> Rule:
    """Make a rule for numbers alone."""
    return lambda node, inputs: np.asarray(numeric(_numeric(inputs, 0)), _numeric(inputs, 0).dtype)


def _matmul(node: ir.Node, inputs: Sequence[Array | None]) -> Array:
    return np.asarray(_numeric(inputs, 0) @ _numeric(inputs, 1))


def _numeric(inputs: Sequence[Array | None], index: int) -> Array:
    array = _required(inputs, index)
    if is_open(array):
        raise Undecided
    return array


def _quotient(a: Array, b: Array) -> Array:
    """Divide as ONNX does: integers towards zero."""
    if a.dtype.kind not in "iu":
        return np.asarray(np.divide(a, b))
    if not np.all(b):
        raise Undecided
    return np.asarray(np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b)))


def _open_quotient(a: Size, b: Size) -> Size:
    """Round towards zero, which for what cannot be negative is down."""
    if is_less(a, 0) is not False or (is_less(b, 1) is not False and not _is_axis(b)):
        raise Undecided
    return a // b


def _is_axis(size: Size) -> bool:
    return is_less(size, 0) is False and size != 0


def _remainder(node: ir.Node, inputs: Sequence[Array | None]) -> Array:
    if node.attributes.get_int("fmod", 0):
        raise Undecided
    found = _of_two(_open_remainder, np.mod)(node, inputs)
    assert isinstance(found, np.ndarray)
    return found


def _open_remainder(a: Size, b: Size) -> Size:
    if not isinstance(b, int) or b <= 0:
        raise Undecided
    return a % b


def _decided(answer: bool | None) -> bool:
    if answer is None:
        raise Undecided
    return answer


_COMPARISONS = {np.equal, np.less, np.greater, np.less_equal, np.greater_equal}

CONTENTS: dict[str, Rule] = {
    "Abs": _of_floats(np.abs),
    "Add": _of_two(lambda a, b: a + b, np.add),
    "And": lambda node, inputs: np.logical_and(_first(inputs), _required(inputs, 1)),
    "Cast": _cast,
    "Ceil": _of_one(True, np.ceil),
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "Div": _of_two(_open_quotient, _quotient),
    "Equal": _of_two(lambda a, b: _decided(is_equal(a, b)), np.equal),
    "Exp": _of_floats(np.exp),
    "Expand": _expand,
    "Floor": _of_one(True, np.floor),
    "Gather": _gather,
    "Greater": _of_two(lambda a, b: _decided(is_less(b, a)), np.greater),
    "GreaterOrEqual": _of_two(lambda a, b: not _decided(is_less(a, b)), np.greater_equal),
    "Identity": lambda node, inputs: _first(inputs),
    "Less": _of_two(lambda a, b: _decided(is_less(a, b)), np.less),
    "LessOrEqual": _of_two(lambda a, b: not _decided(is_less(b, a)), np.less_equal),
    "Log": _of_floats(np.log),
    "MatMul": _matmul,
    "Max": _of_several(larger, np.maximum),
    "Min": _of_several(smaller, np.minimum),
    "Mod": _remainder,
    "Mul": _of_two(lambda a, b: a * b, np.multiply),
    "Neg": lambda node, inputs: -_first(inputs),
    "Not": lambda node, inputs: np.logical_not(_first(inputs)),
    "Or": lambda node, inputs: np.logical_or(_first(inputs), _required(inputs, 1)),
    "Range": _range,
    "ReduceProd": _reduce_prod,
    "Relu": _of_floats(lambda array: np.maximum(array, 0)),
    "Reshape": _reshape,
    "ScatterND": _scatter,
    "Sigmoid": _of_floats(lambda array: 1 / (1 + np.exp(-array))),
    "Slice": _slice,
    "Split": _split,
    "Sqrt": _of_floats(np.sqrt),
    "Squeeze": _squeeze,
    "Sub": _of_two(lambda a, b: a - b, np.subtract),
    "Tanh": _of_floats(np.tanh),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}
