"""Branches beside an identity skip: blocks of a ResNet, attentions, MLPs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx_ir as ir

from engine.graph.bodies import reads
from engine.graph.edits import kind
from engine.graph.units.unit import Unit
from engine.graph.units.view import View, is_closed


def find_branches(view: View) -> list[Unit]:
    """Return every identity-skip branch that holds weights.

    An Add of two values of equal shape joins a unit where (1) one operand, the source, lies on every path from the
    graph's inputs to the other, the branch; paths that carry only shapes do not count; (2) nothing inside the branch is
    read from outside it; (3) the branch reads a weight, so that the x + x³ of a spelled-out GELU is not taken for one.
    """
    return [unit for node in view.nodes.values() if (unit := _branch_at(view, node)) is not None]


def _branch_at(view: View, join: ir.Node) -> Unit | None:
    """Return the unit that this node joins, if it is such a node."""
    if kind(join) != "Add" or None in join.inputs:
        return None
    source, branch = sorted((value for value in join.inputs if value is not None), key=view.position)
    if view.is_static(source) or view.is_static(branch) or not view.has_same_shape(source, branch, join.outputs[0]):
        return None
    region = view.region(source, branch)
    if region is None or not _is_private(branch) or not is_closed(region, branch) or not _reads_a_weight(region):
        return None
    return Unit(
        name=str(join.name),
        source=str(source.name),
        target=str(join.outputs[0].name),
        nodes=tuple(str(node.name) for node in view.in_order(region)),
        join=str(join.name),
        branch=str(branch.name),
    )


def _is_private(branch: ir.Value) -> bool:
    return len(list(branch.uses())) == 1 and not branch.is_graph_output()


def _reads_a_weight(region: Iterable[ir.Node]) -> bool:
    return any(value.const_value is not None and value.const_value.size > 1 for value in _float_weights(region))


def _float_weights(region: Iterable[ir.Node]) -> Iterator[ir.Value]:
    for node in region:
        for value in reads(node):
            if (
                value is not None
                and value.is_initializer()
                and value.dtype is not None
                and value.dtype.is_floating_point()
            ):
                yield value
