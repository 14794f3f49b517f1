"""Writers: the linear layer that writes into a value last, so that changing its weights can repair the value."""

from __future__ import annotations

import math
from dataclasses import dataclass

import onnx_ir as ir

from engine.graph.edits import kind, only_reader
from engine.graph.model import Model

UNKNOWNS_MAX = 4608
"""Weights of one output channel, a 3x3 convolution of 512, that least squares can be asked for at once.

Of more of them each channel that is read has one factor for all its taps and places, and there may be as many of those.
"""

QUICK_UNKNOWNS_MAX = 1152
"""The same, a 3x3 convolution of 128, where many cuts are only compared.

Moments take the square of it and answers the cube, and asked for channels such a layer has a ninth as many.
"""

_VECTORS_RANK = 2
_LINEAR = {"Conv", "Gemm", "MatMul"}
_RELAYS = {"Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Mul", "Add"}
"""What may stand between a linear layer and the sum: layout, a constant factor (layer scale), a constant bias."""


@dataclass(frozen=True)
class Writer:
    """A linear node and its way to the last sum before a value.

    The sum is relays(node(reads)) + skip; `skip` is None where the node alone makes it. `bias` is the initialiser that
    is added to each output channel, None where there is none. `relays` are node names, from the linear node onwards.
    """

    node: str
    reads: str
    weight: str
    bias: str | None
    relays: tuple[str, ...]
    skip: str | None
    total: str


def find_writer(model: Model, value: str, *, through_relu: bool) -> Writer | None:
    """Return the writer of a value, or None where its last sum is not written by a linear layer of its own.

    `through_relu` says whether a Relu between the sum and the value may be looked through, which is right where all
    that reads the value is a Relu as well.
    """
    total = model.values()[value]
    node = total.producer()
    if through_relu and node is not None and kind(node) == "Relu":
        assert node.inputs[0] is not None
        total = node.inputs[0]
        node = total.producer()
    if node is None:
        return None
    if kind(node) == "Add" and not any(_is_weight(read) for read in node.inputs):
        return _writer_into_sum(total, node)
    return _writer_along(total, None, total)


def find_layer(node: ir.Node) -> Writer | None:
    """Return a linear node alone, whatever comes behind it, or None where its weights could not be refitted."""
    if kind(node) not in _LINEAR or not _is_refittable(node):
        return None
    reads, weight, bias = [*node.inputs, None][:3]
    assert reads is not None
    assert weight is not None
    return Writer(
        node=str(node.name),
        reads=str(reads.name),
        weight=str(weight.name),
        bias=None if bias is None else str(bias.name),
        relays=(),
        skip=None,
        total=str(node.outputs[0].name),
    )


def find_written(node: ir.Node) -> ir.Value | None:
    """Return the value that a layer is there for: the sum that it and its relays end in, else its last relay's output.

    None for what is no layer whose weights could be refitted.
    """
    if kind(node) not in _LINEAR or not _is_refittable(node):
        return None
    value = node.outputs[0]
    while (reader := only_reader(value)) is not None:
        is_sum = kind(reader) == "Add" and not any(_is_weight(read) for read in reader.inputs)
        if not is_sum and (kind(reader) not in _RELAYS or _only_data_input(reader) is not value):
            break
        value = reader.outputs[0]
        if is_sum:
            break
    return value


def output_channels(model: Model, writer: Writer) -> int:
    """Return how many channels a writer's node puts out."""
    node, shape = model.nodes()[writer.node], model.weight(writer.weight).shape
    return int(shape[0] if kind(node) == "Conv" or is_transposed(node) else shape[1])


def unknowns(model: Model, writer: Writer) -> int:
    """Return how many weights make one output channel, its bias not counted."""
    return model.weight(writer.weight).size // output_channels(model, writer)


def is_small(model: Model, writer: Writer) -> bool:
    """Tell whether each of a layer's weights can be asked for."""
    return unknowns(model, writer) <= UNKNOWNS_MAX


def is_quick(model: Model, writer: Writer) -> bool:
    """Tell whether each of a layer's weights is asked for even where that only serves to compare cuts."""
    return unknowns(model, writer) <= QUICK_UNKNOWNS_MAX or not is_mappable(model, writer)


def is_mappable(model: Model, writer: Writer) -> bool:
    """Tell whether it can be asked by which sums of its channels a layer too large for that should read each."""
    channels = channels_read(model, writer)
    return groups_of(model, writer) == 1 and channels < unknowns(model, writer) and channels <= UNKNOWNS_MAX


def channels_read(model: Model, writer: Writer) -> int:
    """Return over how many channels a layer sums: a convolution has a weight for each tap of each of them, and a layer

    behind a map, channels first, that was made one vector has one for each place.
    """
    if kind(model.nodes()[writer.node]) == "Conv":
        return int(model.weight(writer.weight).shape[1])
    vector = model.values()[writer.reads]
    made_by = vector.producer()
    if made_by is None or kind(made_by) not in ("Flatten", "Reshape") or len(vector.shape or ()) != _VECTORS_RANK:
        return unknowns(model, writer)
    sizes = list(made_by.inputs[0].shape or ())[1:]  # type: ignore[union-attr]  # a layout node has an input
    whole = [size for size in sizes if isinstance(size, int)]
    is_told = len(sizes) > 1 and len(whole) == len(sizes) and math.prod(whole) == unknowns(model, writer)
    return whole[0] if is_told else unknowns(model, writer)


def places_read(model: Model, writer: Writer) -> int:
    """Return how many places of each channel a layer finds beside one another in what it reads: a convolution one."""
    is_conv = kind(model.nodes()[writer.node]) == "Conv"
    return 1 if is_conv else unknowns(model, writer) // channels_read(model, writer)


def groups_of(model: Model, writer: Writer) -> int:
    """Return into how many groups a writer divides its channels, each with weights of its own; 1 where all mix."""
    attributes = model.nodes()[writer.node].attributes
    return attributes["group"].as_int() if "group" in attributes else 1


def has_bias(model: Model, writer: Writer) -> bool:
    """Tell whether a writer adds one number to each output channel."""
    return writer.bias is not None and math.prod(model.weight(writer.bias).shape) == output_channels(model, writer)


def is_transposed(node: ir.Node) -> bool:
    """Tell whether a Gemm keeps its weights as (outputs, inputs)."""
    return "transB" in node.attributes and bool(node.attributes["transB"].as_int())


def _writer_into_sum(total: ir.Value, node: ir.Node) -> Writer | None:
    """Try both operands of the sum; the one made later in the graph is the branch."""
    first, second = node.inputs
    assert first is not None
    assert second is not None
    for branch, skip in ((second, first), (first, second)):
        writer = _writer_along(branch, skip, total) if len(branch.uses()) == 1 else None
        if writer is not None:
            return writer
    return None


def _writer_along(value: ir.Value, skip: ir.Value | None, total: ir.Value) -> Writer | None:
    """Walk back from a value through relays to a linear node that nobody else reads."""
    relays: list[ir.Node] = []
    while (node := value.producer()) is not None and kind(node) in _RELAYS:
        read = _only_data_input(node)
        if read is None or len(read.uses()) != 1:
            return None
        relays.insert(0, node)
        value = read
    if node is None or kind(node) not in _LINEAR or not _is_refittable(node):
        return None
    reads, weight = node.inputs[0], node.inputs[1]
    assert reads is not None
    assert weight is not None
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if bias is None and relays and relays[0].op_type == "Add":
        constant = next(read for read in relays[0].inputs if read is not None and _is_weight(read))
        bias = constant if len(constant.uses()) == 1 else None  # what others read too is no bias of this layer
    return Writer(
        node=str(node.name),
        reads=str(reads.name),
        weight=str(weight.name),
        bias=None if bias is None else str(bias.name),
        relays=tuple(str(relay.name) for relay in relays),
        skip=None if skip is None else str(skip.name),
        total=str(total.name),
    )


def _only_data_input(node: ir.Node) -> ir.Value | None:
    if kind(node) in ("Mul", "Add"):
        read = [value for value in node.inputs if not _is_weight(value)]
        return read[0] if len(read) == 1 else None
    return node.inputs[0]


def _is_refittable(node: ir.Node) -> bool:
    """Weights that no other node shares, and a bias, if any, likewise."""
    own = [value for value in node.inputs[1:] if value is not None]
    if not own or any(not _is_weight(value) or len(value.uses()) != 1 for value in own):
        return False
    attributes = node.attributes
    if kind(node) == "Conv":
        return (
            ("auto_pad" not in attributes or attributes["auto_pad"].as_string() == "NOTSET")
            and own[0].shape is not None
            and len(own[0].shape) == 4
        )
    if kind(node) == "Gemm":
        plain = all(name not in attributes or attributes[name].as_float() == 1.0 for name in ("alpha", "beta"))
        return plain and not ("transA" in attributes and attributes["transA"].as_int())
    return own[0].shape is not None and len(own[0].shape) == 2


def _is_weight(value: ir.Value | None) -> bool:
    return value is not None and value.is_initializer()
