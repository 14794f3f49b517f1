"""How shapes follow from shapes, operator by operator, where open sizes go through arithmetic; None is not known.

Formulas are those of the operators' specifications. Operators that are not in SHAPES are left to ONNX's own inference,
which knows all of them and loses open sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from engine.graph.shapes.sizes import Size, is_less, product, smaller

Shape = tuple[Size | None, ...]
Known = tuple[Size, ...]
Contents = Sequence[NDArray[Any] | None]
Rule = Callable[[ir.Node, Sequence[Known], Contents], Sequence[Shape]]

_FARTHEST = 1 << 31
"""A slice that ends here or later ends with the axis: exporters write the largest integer of either width."""


class Unknown(Exception):  # an answer, not an error
    """Raised where a rule needs numbers that nobody knows."""


def broadcast(shapes: Sequence[Known]) -> Shape:
    """Return the shape that all of them are stretched to, as numpy does; two different open sizes give no telling."""
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(_stretched(sizes) for sizes in zip(*padded, strict=True))


def _stretched(sizes: Sequence[Size]) -> Size | None:
    others = {size for size in sizes if size != 1}
    numbers = {size for size in others if isinstance(size, int)}
    chosen = numbers or others  # a number other than 1 wins: the open one has to be it, or 1
    return 1 if not others else chosen.pop() if len(chosen) == 1 else None


def _elementwise(node: ir.Node, shapes: Sequence[Known], contents: Contents) -> Sequence[Shape]:
    return [broadcast(shapes)]


def _same(node: ir.Node, shapes: Sequence[Known], contents: Contents) -> Sequence[Shape]:
    return [shapes[0]] * len(node.outputs)


def _sizes(contents: Contents, index: int) -> list[Size]:
    """Return the sizes that one input holds."""
    array = contents[index] if index < len(contents) else None
    if array is None:
        raise Unknown
    return list(array.flatten().tolist())


def _numbers(contents: Contents, index: int) -> list[int]:
    sizes = _sizes(contents, index)
    if not all(isinstance(size, int) for size in sizes):
        raise Unknown
    return [size for size in sizes if isinstance(size, int)]


def _has(node: ir.Node, index: int) -> bool:
    return len(node.inputs) > index and node.inputs[index] is not None


def _axes(node: ir.Node, contents: Contents, rank: int) -> list[int] | None:
    """Return the axes that an attribute or the second input names, counted from the front; None for no mention."""
    if "axes" in node.attributes:
        axes: Sequence[int] = node.attributes["axes"].as_ints()
    elif _has(node, 1):
        axes = _numbers(contents, 1)
    else:
        return None
    return [axis % rank for axis in axes]


def _transpose(node: ir.Node, shapes: Sequence[Known], contents: Contents) -> Sequence[Shape]:
    order = node.attributes.get_ints("perm", None)
    return [tuple(shapes[0][axis] for axis in (order or range(len(shapes[0]))[::-1]))]


def _matmul(node: ir.Node, shapes: Sequence[Known], contents: Contents) -> Sequence[Shape]:
    a, b = shapes
    if len(a) < 2 or len(b) < 2:
        raise Unknown
    batch: Shape = broadcast([a[:-2], b[:-2]]) if len(a) > 2 or len(b) > 2 else ()
    return [(*batch, a[-2], b[-1])]


def _concat(node: ir.Node, shapes: Sequence[Known], contents: Contents) -> Sequence[Shape]:
    axis = node.attributes["axis"].as_int() % len(shapes[0])
    agreed = [next((size for size in sizes if isinstance(size, int)), sizes[0]) for sizes in zip(*shapes, strict=True)]
    total: Size = 0
    for shape in shapes:
        total = total + shape[axis]
    return [(*agreed[:axis], total, *agreed[axis + 1 :])]


def _reshape(node: ir.Node, shapes: Sequence[Known], contents: Contents) -> Sequence[Shape]:
    target: list[Size] = _sizes(contents, 1)
    if node.attributes.get_int("allowzero", 0) == 0:
        target = [shapes[0][place] if size == 0 else size for place, size in enumerate(target)]
    if -1 in target:
        others = product(size for size in target if size != -1)
        rest = product(shapes[0]) // others if others != 0 else 0
        target[target.index(-1)] = rest
    return [tuple(target)]


def _flatten(node: ir.Node, shapes: Sequence[Known], contents: Contents) -> Sequence[Shape]:
    axis = node.attributes.get_int("axis", 1)
    return [(product(shapes[0][:axis]), product(shapes[0][axis:]))]


def _squeeze(node: ir.Node, shapes: Sequence[Known], contents: Contents) -> Sequence[Shape]:
    axes = _axes(node, contents, len(shapes[0]))
    if axes is None:
        axes = [axis for axis, size in enumerate(shapes[0]) if size == 1]
        if any(not isinstance(size, int) for size in shapes[0]):
            raise Unknown
    return [tuple(size for axis, size in enumerate(shapes[0]) if axis not in axes)]


def _unsqueeze(node: ir.Node, shapes: Sequence[Known], contents: Contents) -> Sequence[Shape]:
    count = len(node.attributes["axes"].as_ints()) if "axes" in node.attributes else len(_numbers(contents, 1))
    rank = len(shapes[0]) + count
    axes, sizes = _axes(node, contents, rank) or [], iter(shapes[0])
    return [tuple(1 if axis in axes else next(sizes) for axis in range(rank))]


def _expand(node: ir.Node, shapes: Sequence[Known], contents: Contents) -> Sequence[Shape]:
    return [broadcast([shapes[0], tuple(_sizes(contents, 1))])]


def _tile(node: ir.Node, shapes: Sequence[Known], contents: Contents) -> Sequence[Shape]:
    return [tuple(size * times for size, times in zip(shapes[0], _sizes(contents, 1), strict=True))]


def _gather(node: ir.Node, shapes: Sequence[Known], contents: Contents) -> Sequence[Shape]:
    data, indices = shapes
    axis = node.attributes.get_int("axis", 0) % len(data)
    return [(*data[:axis], *indices, *data[axis + 1 :])]


def _slice(node: ir.Node, shapes: Sequence[Known], contents: Contents) -> Sequence[Shape]:
    if "starts" in node.attributes:
        raise Unknown  # before opset 10
    starts, ends = _sizes(contents, 1), _sizes(contents, 2)
    shape: list[Size | None] = list(shapes[0])
    axes = _numbers(contents, 3) if _has(node, 3) else list(range(len(starts)))
    steps = _numbers(contents, 4) if _has(node, 4) else [1] * len(starts)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        shape[axis] = _length(shapes[0][axis], start, end, step)
    return [tuple(shape)]


def _length(size: Size, start: Size, end: Size, step: int) -> Size | None:
    """Return how many are taken from an axis of this size."""
    if step < 0:
        whole = step == -1 and start in (-1, size - 1) and isinstance(end, int) and end <= -_FARTHEST
        if isinstance(size, int) and isinstance(start, int) and isinstance(end, int):
            begin, stop = (place + size if place < 0 else place for place in (start, end))
            return len(range(min(max(begin, 0), size - 1), max(stop, -1), step))
        return size if whole else None
    first, last = _place(size, start), _place(size, end)
    if first is None or last is None:
        return None
    length = last - (first if _in_order(size, start, last, end) else smaller(first, last))
    return length if step == 1 else (length + (step - 1)) // step


def _in_order(size: Size, start: Size, last: Size, end: Size) -> bool:
    """Say whether a slice surely ends no earlier than it starts, however long the axis is."""
    if start == 0 or last == size:
        return True
    return isinstance(start, int) and isinstance(end, int) and start <= end and (start < 0) == (end < 0)


def _place(size: Size, place: Size) -> Size | None:
    """Return where on an axis of this size a slice starts or ends: never past it."""
    if isinstance(place, int) and place >= _FARTHEST:
        return size
    if isinstance(size, int) and isinstance(place, int):
        return min(max(place + size if place < 0 else place, 0), size)
    if is_less(place, 0):
        return size - smaller(size, -place)
    if place == 0:
        return 0
    return smaller(size, place) if is_less(place, 0) is False else None


def _split(node: ir.Node, shapes: Sequence[Known], contents: Contents) -> Sequence[Shape]:
    axis, count = node.attributes.get_int("axis", 0) % len(shapes[0]), len(node.outputs)
    size = shapes[0][axis]
    if "split" in node.attributes:
        parts: list[Size] = list(node.attributes["split"].as_ints())
    elif _has(node, 1):
        parts = _sizes(contents, 1)
    else:
        part = (size + (count - 1)) // count  # as near to equal as they can be: the last is the smallest
        parts = [*([part] * (count - 1)), size - part * (count - 1)]
    return [(*shapes[0][:axis], part, *shapes[0][axis + 1 :]) for part in parts]


def _reduce(node: ir.Node, shapes: Sequence[Known], contents: Contents) -> Sequence[Shape]:
    shape, keep = shapes[0], node.attributes.get_int("keepdims", 1)
    axes = _axes(node, contents, len(shape))
    if not axes:
        if node.attributes.get_int("noop_with_empty_axes", 0):
            return [shape]
        axes = list(range(len(shape)))
    return [tuple(1 if axis in axes else size for axis, size in enumerate(shape) if keep or axis not in axes)]


def _shape(node: ir.Node, shapes: Sequence[Known], contents: Contents) -> Sequence[Shape]:
    start, end = node.attributes.get_int("start", 0), node.attributes.get_int("end", None)
    return [(len(shapes[0][start:end]),)]


def _constant_of_shape(node: ir.Node, shapes: Sequence[Known], contents: Contents) -> Sequence[Shape]:
    return [tuple(_sizes(contents, 0))]


def _range(node: ir.Node, shapes: Sequence[Known], contents: Contents) -> Sequence[Shape]:
    (start,), (limit,), (step,) = (_sizes(contents, index) for index in range(3))
    if step != 1 or isinstance(start, float) or isinstance(limit, float):
        raise Unknown
    return [(limit - smaller(start, limit),)]


def _pad(node: ir.Node, shapes: Sequence[Known], contents: Contents) -> Sequence[Shape]:
    shape: list[Size] = list(shapes[0])
    axes = _numbers(contents, 3) if _has(node, 3) else list(range(len(shape)))
    pads = _sizes(contents, 1)
    for place, axis in enumerate(axes):
        shape[axis] = shape[axis] + pads[place] + pads[place + len(axes)]
    return [tuple(shape)]


def _gemm(node: ir.Node, shapes: Sequence[Known], contents: Contents) -> Sequence[Shape]:
    rows = shapes[0][1 if node.attributes.get_int("transA", 0) else 0]
    columns = shapes[1][0 if node.attributes.get_int("transB", 0) else 1]
    return [(rows, columns)]


def _conv(node: ir.Node, shapes: Sequence[Known], contents: Contents) -> Sequence[Shape]:
    image, kernel = shapes[0], shapes[1][2:]
    if not all(isinstance(size, int) for size in kernel):
        raise Unknown
    return [(image[0], shapes[1][0], *_windows(node, image[2:], [size for size in kernel if isinstance(size, int)]))]


def _pool(node: ir.Node, shapes: Sequence[Known], contents: Contents) -> Sequence[Shape]:
    image = shapes[0]
    shape = (*image[:2], *_windows(node, image[2:], node.attributes["kernel_shape"].as_ints()))
    return [shape] * len(node.outputs)


def _windows(node: ir.Node, sizes: Known, kernel: Sequence[int]) -> list[Size]:
    rank, pad = len(sizes), node.attributes.get_string("auto_pad", "NOTSET")
    strides = node.attributes.get_ints("strides", None) or [1] * rank
    dilations = node.attributes.get_ints("dilations", None) or [1] * rank
    pads = node.attributes.get_ints("pads", None) or [0] * 2 * rank
    if pad in ("SAME_UPPER", "SAME_LOWER"):
        return [(size + (stride - 1)) // stride for size, stride in zip(sizes, strides, strict=True)]
    if node.attributes.get_int("ceil_mode", 0):
        raise Unknown  # whether a last window counts that starts in the padding is ONNX's own to say
    found: list[Size] = []
    for axis, size in enumerate(sizes):
        padding = pads[axis] + pads[axis + rank] if pad == "NOTSET" else 0
        found.append((size + (padding - dilations[axis] * (kernel[axis] - 1) - 1)) // strides[axis] + 1)
    return found


def _conv_transpose(node: ir.Node, shapes: Sequence[Known], contents: Contents) -> Sequence[Shape]:
    image, weight = shapes[0], shapes[1]
    if "output_shape" in node.attributes or node.attributes.get_string("auto_pad", "NOTSET") != "NOTSET":
        raise Unknown
    rank, found = len(image) - 2, list[Size]()
    strides = node.attributes.get_ints("strides", None) or [1] * rank
    dilations = node.attributes.get_ints("dilations", None) or [1] * rank
    pads = node.attributes.get_ints("pads", None) or [0] * 2 * rank
    more = node.attributes.get_ints("output_padding", None) or [0] * rank
    for axis, size in enumerate(image[2:]):
        reach = (weight[2 + axis] - 1) * dilations[axis] + 1
        found.append((size - 1) * strides[axis] + more[axis] + reach - pads[axis] - pads[axis + rank])
    return [(image[0], weight[1] * node.attributes.get_int("group", 1), *found)]


def _global_pool(node: ir.Node, shapes: Sequence[Known], contents: Contents) -> Sequence[Shape]:
    return [(*shapes[0][:2], *[1] * (len(shapes[0]) - 2))]


def _resize(node: ir.Node, shapes: Sequence[Known], contents: Contents) -> Sequence[Shape]:
    shape: list[Size | None] = list(shapes[0])
    axes = [a % len(shape) for a in node.attributes.get_ints("axes", None) or range(len(shape))]
    if node.attributes.get_string("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise Unknown
    if _has(node, 3):
        for axis, size in zip(axes, _sizes(contents, 3), strict=True):
            shape[axis] = size
        return [tuple(shape)]
    if node.attributes.get_string("coordinate_transformation_mode", "") == "tf_crop_and_resize":
        raise Unknown
    scales = contents[2]
    if scales is None:
        raise Unknown
    for axis, scale in zip(axes, scales.flatten().tolist(), strict=True):
        shape[axis] = _scaled(shapes[0][axis], scale)
    return [tuple(shape)]


def _scaled(size: Size, scale: float) -> Size | None:
    if isinstance(size, int):
        return int(np.floor(np.float32(size) * np.float32(scale)))
    if scale == int(scale):
        return size * int(scale)
    return size // int(1 / scale) if scale > 0 and 1 / scale == int(1 / scale) else None


def _blocks_to_space(node: ir.Node, shapes: Sequence[Known], contents: Contents) -> Sequence[Shape]:
    (batch, channels, height, width), block = shapes[0], node.attributes["blocksize"].as_int()
    return [(batch, channels // (block * block), height * block, width * block)]


def _space_to_blocks(node: ir.Node, shapes: Sequence[Known], contents: Contents) -> Sequence[Shape]:
    (batch, channels, height, width), block = shapes[0], node.attributes["blocksize"].as_int()
    return [(batch, channels * (block * block), height // block, width // block)]


def _batch_norm(node: ir.Node, shapes: Sequence[Known], contents: Contents) -> Sequence[Shape]:
    return [shapes[0], *[shapes[1]] * (len(node.outputs) - 1)]


_ONE_TO_ONE = (
    *("Abs", "Cast", "Ceil", "Celu", "Clip", "Cos", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish"),
    *("Identity", "InstanceNormalization", "LRN", "LeakyRelu", "Log", "LogSoftmax", "Mish", "Neg", "Not", "Reciprocal"),
    *("Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softmax", "Softplus", "Softsign", "Sqrt", "Swish", "Tanh"),
    *("GroupNormalization", "PRelu", "ScatterElements", "ScatterND", "ThresholdedRelu", "Trilu"),
)
ELEMENT_BY_ELEMENT = (
    *("Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean", "Min", "Mod"),
    *("Mul", "Or", "Pow", "Sub", "Sum", "Xor"),
)
_REDUCTIONS = (
    *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd"),
    *("ReduceSum", "ReduceSumSquare"),
)

SHAPES: dict[str, Rule] = {
    **dict.fromkeys(_ONE_TO_ONE, _same),
    **dict.fromkeys(ELEMENT_BY_ELEMENT, _elementwise),
    **dict.fromkeys(_REDUCTIONS, _reduce),
    **dict.fromkeys(("AveragePool", "LpPool", "MaxPool"), _pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"), _global_pool),
    "BatchNormalization": _batch_norm,
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "DepthToSpace": _blocks_to_space,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Pad": _pad,
    "Range": _range,
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": _shape,
    "Slice": _slice,
    "SpaceToDepth": _space_to_blocks,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _elementwise,
}
