"""What a converter hands back, and how its file gets the upload's names, sizes and marks again."""

from __future__ import annotations

from dataclasses import dataclass

import onnx
import onnx_ir as ir

from engine.graph.model import Model


class NotConvertible(Exception):
    """Nothing in the network can be told in fewer bits; the message is a sentence that says why."""


@dataclass(frozen=True)
class Converted:
    """The converted network; `how` says in what numbers it calculates."""

    model: Model
    how: str


def as_delivered(proto: onnx.ModelProto, source: Model) -> Model:
    """Return a converter's network in the order that ONNX asks for, with the marks and declared sizes of its source.

    Converters put nodes at the end, some of them twice, sign the file, note their own steps in it, and fill in sizes
    that were left open.
    """
    _drop_doubles(proto.graph)
    network = Model(ir.from_proto(proto))
    network.graph.sort()
    network.ir.producer_name, network.ir.producer_version = source.ir.producer_name, source.ir.producer_version
    network.ir.metadata_props.clear()
    network.ir.metadata_props.update(source.ir.metadata_props)
    for values, told in ((network.graph.inputs, source.graph.inputs), (network.graph.outputs, source.graph.outputs)):
        for value, before in zip(values, told, strict=True):
            value.shape = before.shape
    return network


def _drop_doubles(graph: onnx.GraphProto) -> None:
    """Drop, in place, each node that writes what an equal one has written: a cast for every reader of one value."""
    written: dict[tuple[str, ...], onnx.NodeProto] = {}
    kept = [
        node
        for node in graph.node
        if written.setdefault(tuple(node.output), node) is node or node != written[tuple(node.output)]
    ]
    del graph.node[:]
    graph.node.extend(kept)
