"""A 1x1 convolution and then an average: the average first, so that fewer places are convolved."""

from __future__ import annotations

import onnx_ir as ir

from engine.graph.edits import kind, only_reader, take_name
from engine.graph.merges.convolution import read_stencil
from engine.graph.merges.offer import Offer, places_of
from engine.graph.merges.stencil import Stencil
from engine.graph.model import Model


def pool_first(model: Model, node: ir.Node) -> Offer | None:
    """Offer to let pooling and the 1x1 convolution that it alone reads change places, where the map becomes smaller.

    An average of sums is the sum of averages, and each place of the map is convolved for itself. Pooling with a border
    stays behind: the convolution's bias would be missing from the border.
    """
    conv = node.inputs[0].producer() if node.inputs and node.inputs[0] is not None else None
    if conv is None or kind(conv) != "Conv" or only_reader(conv.outputs[0]) is not node or not _averages(node):
        return None
    stencil, reads = read_stencil(conv), conv.inputs[0]
    if stencil is None or reads is None or not _is_pointwise(stencil):
        return None
    before, after = places_of(conv.outputs[0], node.outputs[0], _steps(node, len(stencil.kernel)))
    if after >= before:
        return None
    return Offer(
        nodes=(str(conv.name), str(node.name)),
        macs_before=stencil.weight.size * before,
        macs_after=stencil.weight.size * after,
        apply=lambda: _change_places(model, conv, node, stencil.inputs),
    )


def _averages(node: ir.Node) -> bool:
    """Say whether a node averages over windows without a border, or over the whole map, and keeps the axes."""
    if kind(node) == "GlobalAveragePool":
        return True
    pool = read_stencil(node) if kind(node) == "AveragePool" else None
    return pool is not None and not any(pool.before) and not any(pool.after)


def _steps(node: ir.Node, rank: int) -> tuple[int, ...]:
    """Return how many places of the map, at least, become one along each axis."""
    steps = node.attributes.get_ints("strides", ())
    return tuple(steps or ()) or ((1,) if kind(node) == "AveragePool" else (2,)) * rank


def _is_pointwise(stencil: Stencil) -> bool:
    """A stride too would be exact only for some windows."""
    flat = stencil.extent == stencil.strides == (1,) * len(stencil.kernel)
    return flat and stencil.has_uniform_constant and not any(stencil.before) and not any(stencil.after)


def _change_places(model: Model, conv: ir.Node, pool: ir.Node, channels: int) -> None:
    reads, between, made = conv.inputs[0], conv.outputs[0], pool.outputs[0]
    assert reads is not None
    assert made.shape is not None
    first = ir.node(pool.op_type, [reads], pool.attributes, name=f"{pool.name}_first")
    model.graph.insert_before(conv, first)
    first.outputs[0].type = made.type
    first.outputs[0].shape = ir.Shape([made.shape[0], channels, *tuple(made.shape)[2:]])
    conv.replace_input_with(0, first.outputs[0])
    between.shape = made.shape
    take_name(made, between)
    model.graph.remove(pool, safe=True)
