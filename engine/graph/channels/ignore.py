"""The other half of the surgery law: the whole network, whose readers are blind to some channels."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from engine.graph.channels.flow import follow
from engine.graph.channels.remove import Cuts, kept_after
from engine.graph.channels.rules.site import Reader
from engine.graph.edits import add_initialiser, free_name
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
            along = [-1 if axis == reader.axis else 1 for axis in range(reader.rank)]
            _blind(blind, nodes[reader.node], reader, kept.mask(reader.form).reshape(along))
    return blind


def _blind(model: Model, node: ir.Node, reader: Reader, mask: NDArray[np.bool_]) -> None:
    value = node.inputs[reader.index]
    assert value is not None
    dtype = next(read.dtype for read in (value, *node.inputs) if read is not None and read.dtype is not None)
    zero = add_initialiser(model, f"{node.name}.zero", np.zeros((), dtype.numpy()))
    seen = add_initialiser(model, f"{node.name}.mask", mask)
    where = ir.node("Where", [seen, value, zero], name=f"{node.name}.blind_{reader.index}_{reader.axis}")
    where.outputs[0].name = free_name(str(where.name), model.names())
    where.outputs[0].dtype, where.outputs[0].shape = dtype, value.shape
    model.graph.insert_before(node, where)
    node.replace_input_with(reader.index, where.outputs[0])
