"""Batch norms for a network whose own were folded away: nothing deep is trained from random weights without them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from engine.graph.edits import Array, add_initialiser, array_of, free_name, is_constant, kind, only_reader
from engine.graph.model import Model

EPSILON = 1e-5
MOMENTUM = 0.9

_CONVOLUTIONS = {"Conv", "ConvTranspose"}
_OTHER_NORMS = {"GroupNormalization", "InstanceNormalization", "LayerNormalization", "RMSNormalization"}


def with_norms(model: Model) -> Model:
    """Return a new model with a batch norm, as yet changing nothing, behind each convolution that has none.

    Not in a network that has norms of another kind, and not where a place has no neighbours, as in a squeeze of
    channels. A network that never had any gets them as well: a control should be as strong as it can be. `fold` puts
    them back into the weights.
    """
    normed = model.copy()
    if any(kind(node) in _OTHER_NORMS for node in normed.graph):
        return normed
    for node in list(normed.graph):
        if _wants_norm(node):
            _insert_behind(normed, node)
    return normed


def has_batch_norms(model: Model) -> bool:
    return any(kind(node) == "BatchNormalization" for node in model.graph)


def _wants_norm(node: ir.Node) -> bool:
    if kind(node) not in _CONVOLUTIONS or not is_constant(node.inputs[1]):
        return False
    made = node.outputs[0]
    reader = only_reader(made)
    is_normed = reader is not None and kind(reader) == "BatchNormalization"
    return not is_normed and not made.is_graph_output() and not _is_one_place(made)


def _is_one_place(made: ir.Value) -> bool:
    return made.shape is not None and all(size == 1 for size in made.shape[2:])


def _insert_behind(model: Model, node: ir.Node) -> None:
    made = node.outputs[0]
    channels = _channels(node)
    one, zero = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    scale = one * np.sqrt(1 + EPSILON, dtype=np.float32)
    arrays: dict[str, Array] = {"scale": scale, "bias": zero, "mean": zero, "variance": one}
    weights = [add_initialiser(model, f"{node.name}.norm_{role}", array) for role, array in arrays.items()]
    norm = ir.node(
        "BatchNormalization",
        [made, *weights],
        attributes={"epsilon": EPSILON, "momentum": MOMENTUM},
        name=free_name(f"{node.name}.norm", set(model.nodes())),
    )
    norm.outputs[0].name = free_name(f"{made.name}.normed", model.names())
    norm.outputs[0].shape, norm.outputs[0].type = made.shape, made.type
    made.replace_all_uses_with(norm.outputs[0])
    norm.replace_input_with(0, made)
    model.graph.insert_after(node, norm)


def _channels(node: ir.Node) -> int:
    shape = array_of(node.inputs[1]).shape
    return int(shape[0]) if kind(node) == "Conv" else int(shape[1]) * node.attributes.get_int("group", 1)
