"""An If whose condition is known, as TorchScript writes for a squeeze: the branch taken stands in its place."""

from __future__ import annotations

import onnx_ir as ir

from engine.graph.edits import free_name, take_name
from engine.graph.model import Model
from engine.graph.shapes.contents import Array


def take_branch(model: Model, node: ir.Node, condition: Array) -> None:
    """Put, in place, the nodes of one branch where the If was; what it gave keeps its names and declared shapes."""
    branch = node.attributes["then_branch" if condition.item() else "else_branch"].as_graph()
    given, nodes, held = list(branch.outputs), list(branch), list(branch.initializers.values())
    branch.outputs.clear()
    branch.remove(nodes)
    branch.initializers.clear()
    _rename(model, [*held, *(value for inner in nodes for value in inner.outputs)])
    for value in held:
        model.graph.register_initializer(value)
    model.graph.insert_before(node, nodes)
    for place, old in enumerate(node.outputs):
        new = given[place]
        if new in held or new in given[:place]:
            copy = ir.node("Identity", [new], name=f"{node.name}_output_{place}")
            model.graph.insert_before(node, copy)
            new = copy.outputs[0]
        new.shape, new.type = old.shape or new.shape, old.type or new.type
        take_name(old, new)
    model.graph.remove(node, safe=True)


def _rename(model: Model, values: list[ir.Value]) -> None:
    """Give a name of its own to each value whose name is taken: the branches of two nodes may well share one."""
    taken = set(model.values())
    for value in values:
        if value.name:
            value.name = free_name(str(value.name), taken)
            taken.add(str(value.name))
