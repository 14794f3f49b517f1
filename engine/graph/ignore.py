"""The other half of the surgery law: the whole network, whose readers are blind to some channels."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from engine.graph.channels import Cuts, kept_after
from engine.graph.edits import add_initialiser
from engine.graph.flow import follow
from engine.graph.model import Model


def ignore_channels(model: Model, cuts: Cuts) -> Model:
    """Return a new model of the same sizes in which whatever sums over these channels finds zero in their place.

    Its outputs are those of remove_channels(model, cuts). Zero is put in by Where: 0 times infinity is no zero.
    """
    flow = follow(model)
    kept = kept_after(model, flow, cuts)
    blind = model.copy()
    nodes = blind.nodes()
    for reader in flow.readers:
        if kept.changes(reader.form):
            node = nodes[reader.node]
            mask = _along(kept.mask(reader.form), reader.axis, node.inputs[reader.index])
            _blind(blind, node, reader.index, mask)
    return blind


def _along(mask: np.ndarray, axis: int, value: ir.Value | None) -> np.ndarray:
    """Turn a mask so that it broadcasts along one axis of a value."""
    assert value is not None
    assert value.shape is not None
    return mask.reshape([-1 if i == axis else 1 for i in range(len(value.shape))])


def _blind(model: Model, node: ir.Node, index: int, mask: np.ndarray) -> None:
    value = node.inputs[index]
    assert value is not None
    assert value.dtype is not None
    zero = add_initialiser(model, f"{node.name}.zero", np.zeros((), value.dtype.numpy()))
    seen = add_initialiser(model, f"{node.name}.mask", mask)
    where = ir.node("Where", [seen, value, zero], name=f"{node.name}.blind_{index}")
    where.outputs[0].name = f"{node.name}.blind_{index}"
    where.outputs[0].dtype, where.outputs[0].shape = value.dtype, value.shape
    model.graph.insert_before(node, where)
    node.replace_input_with(index, where.outputs[0])
