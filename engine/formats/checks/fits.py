"""Whether the sizes and types of an ONNX graph's values fit the nodes that read them, as far as the file tells them.

Each node that the runtime would refuse, or that would make us cut in the wrong place, is named here at the door.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import zip_longest

import onnx

from engine.formats.checks.arguments import ARGUMENTS
from engine.formats.checks.bodies import bodies
from engine.formats.checks.facts import Known, Read, Sizes, agree, as_text
from engine.formats.checks.nodes import fault
from engine.formats.checks.order import in_order

OLDEST_OPSET = 11
"""Before it some operators read their inputs by other rules; what is older is lifted after it has been read."""


def check_fits(proto: onnx.ModelProto, opset: int) -> Known:
    """Return what is known of the values of the outermost graph.

    Raises ModelUnreadable, naming the node, where sizes or types contradict, or where nodes wait for each other.
    """
    return _check_graph(proto, proto.graph, None, opset)


def _check_graph(proto: onnx.ModelProto, graph: onnx.GraphProto, around: Known | None, opset: int) -> Known:
    """Check the nodes of a graph and of all bodies in it; return what is known of its values."""
    nodes = in_order(graph)
    known = Known(proto, graph, nodes, around)
    for node in nodes:
        _check_types(node, known, opset)
        read = Read(node, known)
        if opset >= OLDEST_OPSET and node.op_type in FITS:
            FITS[node.op_type](read)
        for body in bodies(node):
            _check_graph(proto, body, known, opset)
    return known


def _check_types(node: onnx.NodeProto, known: Known, opset: int) -> None:
    """Every element type is one that the operator takes, and types that it calls by one name are the same."""
    bound: dict[str, str] = {}
    for name, (variable, allowed, same) in zip(
        node.input, _formal_inputs(node.op_type, opset, len(node.input)), strict=True
    ):
        found = known.type_of(name) if name else None
        if found is None:
            continue
        if found not in allowed:
            raise fault(node, f"takes no {found}, which is what '{name}' is")
        if same and bound.setdefault(variable, found) != found:
            raise fault(node, f"reads {bound[variable]} and {found}, which have to be the same")


@cache
def _formal_inputs(op_type: str, opset: int, count: int) -> tuple[tuple[str, frozenset[str], bool], ...]:
    """Return, for each input, the name of its type variable, the types that it may have, and whether all are one."""
    formal = onnx.defs.get_schema(op_type, opset).inputs
    found = [(entry.type_str, frozenset(entry.types), entry.is_homogeneous) for entry in formal[:count]]
    return (*found, *[found[-1]] * (count - len(found))) if found else ()


def _convolution(read: Read) -> None:
    """Weights are (outputs, inputs of one group, *kernel)."""
    weight, group = read.sizes(1), read.integer("group", 1)
    if weight is None:
        return
    _require_kernel(read, weight)
    outputs, inputs = weight[0], weight[1]
    read.require_that(outputs is None or outputs % group == 0, f"has {outputs} outputs in {group} groups")
    read.require(0, (None, None if inputs is None else inputs * group, *[None] * (len(weight) - 2)))
    read.require(2, (outputs,))


def _transposed_convolution(read: Read) -> None:
    """Weights are (inputs, outputs of one group, *kernel)."""
    weight, group = read.sizes(1), read.integer("group", 1)
    if weight is None:
        return
    _require_kernel(read, weight)
    inputs, outputs = weight[0], weight[1]
    read.require_that(inputs is None or inputs % group == 0, f"has {inputs} inputs in {group} groups")
    read.require(0, (None, inputs, *[None] * (len(weight) - 2)))
    read.require(2, (None if outputs is None else outputs * group,))


def _require_kernel(read: Read, weight: Sizes) -> None:
    read.require_that(len(weight) > 2 and 0 not in weight, f"has weights of {as_text(weight)}")
    kernel = read.integers("kernel_shape")
    read.require_that(
        kernel is None or agree(tuple(kernel), weight[2:]), f"says kernel {kernel} and has weights of {as_text(weight)}"
    )
    _require_lengths(read, len(weight) - 2)


def _pooling(read: Read) -> None:
    _require_lengths(read, len(read.integers("kernel_shape") or ()))


def _require_lengths(read: Read, axes: int) -> None:
    for name, length in (("strides", axes), ("dilations", axes), ("pads", 2 * axes)):
        found = read.integers(name)
        read.require_that(
            found is None or len(found) == length, f"has {found} in '{name}' and {axes} axes to move along"
        )
    sizes = read.sizes(0)
    read.require_that(
        sizes is None or len(sizes) == axes + 2, f"moves along {axes} axes and reads {sizes and as_text(sizes)}"
    )


def _general_product(read: Read) -> None:
    a, b = read.sizes(0), read.sizes(1)
    read.require(0, (None, None))
    read.require(1, (None, None))
    if a is not None and b is not None:
        inner_a, inner_b = a[0 if read.integer("transA", 0) else 1], b[1 if read.integer("transB", 0) else 0]
        _require_same(read, inner_a, inner_b)


def _product(read: Read) -> None:
    a, b = read.sizes(0), read.sizes(1)
    if a is not None and b is not None:
        read.require_that(len(a) > 0 and len(b) > 0, "multiplies a number without axes")
        _require_same(read, a[-1], b[-2] if len(b) > 1 else b[0])


def _require_same(read: Read, a: int | None, b: int | None) -> None:
    read.require_that(a is None or b is None or a == b, f"multiplies {a} columns by {b} rows")


def _per_channel(read: Read) -> None:
    """Norms hold one number for each channel."""
    sizes = read.sizes(0)
    read.require_that(sizes is None or len(sizes) > 1, f"norms the channels of {sizes and as_text(sizes)}")
    channels = None if sizes is None else sizes[1]
    for index in range(1, len(read.node.input)):
        read.require(index, (channels,))


def _element_wise(read: Read) -> None:
    """Sizes meet from the last axis on; each is the same or one."""
    every = [sizes[::-1] for index in range(len(read.node.input)) if (sizes := read.sizes(index)) is not None]
    for together in zip_longest(*every, fillvalue=1):
        real = {size for size in together if size not in (None, 1)}
        read.require_that(len(real) < 2, f"joins axes of {sorted(real, key=str)}, which are neither equal nor one")


def _joined(read: Read) -> None:
    """All but the joined axis agree."""
    every = [sizes for index in range(len(read.node.input)) if (sizes := read.sizes(index)) is not None]
    axis = read.integer("axis", 0)
    for sizes in every:
        read.require_that(-len(sizes) <= axis < len(sizes), f"works along axis {axis} of {as_text(sizes)}")
        first, other = list(every[0]), list(sizes)
        if len(first) == len(other):
            first[axis] = other[axis] = None
        read.require_that(agree(tuple(first), tuple(other)), f"joins {as_text(every[0])} and {as_text(sizes)}")


def _branches(read: Read) -> None:
    """Both branches take nothing and give what the node gives."""
    for body in bodies(read.node):
        _require_counts(read, body, 0, len(read.node.output), exactly=True)


def _looped(read: Read) -> None:
    """A body takes the turn, whether to go on, and the states; it gives all but the turn, and what is stacked."""
    states = len(read.node.input) - 2
    for body in bodies(read.node):
        _require_counts(read, body, states + 2, 1 + max(states, len(read.node.output)))


def _scanned(read: Read) -> None:
    """A body takes the states and a slice of whatever is scanned; it gives the states, and what is stacked."""
    states = len(read.node.input) - read.integer("num_scan_inputs", 0)
    read.require_that(0 <= states < len(read.node.input), f"scans {len(read.node.input) - states} inputs")
    for body in bodies(read.node):
        _require_counts(read, body, len(read.node.input), max(states, len(read.node.output)))


def _require_counts(read: Read, body: onnx.GraphProto, inputs: int, outputs: int, *, exactly: bool = False) -> None:
    taken, given = len(body.input), len(body.output)
    read.require_that(taken == inputs, f"holds a graph of {taken} inputs, where it gives {inputs}")
    fits = given == outputs if exactly else given >= outputs
    read.require_that(fits, f"holds a graph of {given} outputs, where it wants {outputs}")


FITS: dict[str, Callable[[Read], None]] = {
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "MaxPool": _pooling,
    "AveragePool": _pooling,
    "Gemm": _general_product,
    "MatMul": _product,
    "BatchNormalization": _per_channel,
    "InstanceNormalization": _per_channel,
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean", "Where"), _element_wise),
    "Concat": _joined,
    **ARGUMENTS,
    "If": _branches,
    "Loop": _looped,
    "Scan": _scanned,
}
