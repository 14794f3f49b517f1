"""Runs: layers one behind the other that give back the shape that they take, as in VGG."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from engine.errors import OperatorUnsupported
from engine.graph.bodies import bodies
from engine.graph.edits import kind, only_reader
from engine.graph.features import find_features
from engine.graph.model import Model
from engine.graph.units.unit import Unit
from engine.graph.units.view import View, is_closed

_AFFINE = {"Add", "BatchNormalization", "Div", "Mul", "Sub"}


def find_runs(model: Model, view: View, branches: Sequence[Unit]) -> list[Unit]:
    """Return the shortest runs, none overlapping another, inside of branches too.

    A run lies between two values of equal shape and type where (1) the first, the source, lies on every path to the
    second, the target; (2) nothing between them is read from outside; (3) a convolution or linear layer lies between
    them; (4) these are not all that a branch has, as the branch is the better unit then; (5) features follow from the
    target: what only the class scores follow from is the head, whose loss no feature would show; (6) no node in it
    holds a graph, which may read the source where nothing else does. Constants that are multiplied with the target or
    added to it, a bias or a norm, go with it.
    """
    found: list[Unit] = []
    taken: set[ir.Node] = set()
    insides = [frozenset(view.nodes[name] for name in unit.nodes) for unit in branches]
    layers = {view.holds_weights(inside) for inside in insides}
    blocks = [inside | {view.nodes[unit.join]} for inside, unit in zip(insides, branches, strict=True)]
    for node in _before_the_features(model, view):
        for target in node.outputs:
            region, source = _shortest(view, target, taken, blocks)
            if source is not None and view.holds_weights(region) not in layers:
                last, region = _with_constants(view, target, region)
                taken |= region
                found.append(_unit(view, source, last, region))
    return found


def _before_the_features(model: Model, view: View) -> list[ir.Node]:
    """Return the nodes that carry data and that features follow from, in the graph's order."""
    values = model.values()
    try:
        ends = [values[name] for name in find_features(model).values]
    except OperatorUnsupported:  # no output that can be compared: nothing says what a head is
        ends = list(model.graph.outputs)
    return view.in_order(view.ancestors(ends) - view.static)


def _shortest(
    view: View, target: ir.Value, taken: set[ir.Node], blocks: Sequence[frozenset[ir.Node]]
) -> tuple[set[ir.Node], ir.Value | None]:
    """Return the shortest run that ends here and where it starts, None where the way back meets other units first."""
    for source in view.dominators(target):
        if source.dtype != target.dtype or not view.has_same_shape(source, target):
            continue
        region = view.region(source, target)
        if region is None or region & taken or any(block <= region for block in blocks) or any(map(bodies, region)):
            break
        if view.holds_weights(region) and is_closed(region, target):
            return region, source
    return set(), None


def _with_constants(view: View, target: ir.Value, region: set[ir.Node]) -> tuple[ir.Value, set[ir.Node]]:
    """Return the target behind the bias or norm that follows, and the region with it."""
    while (node := only_reader(target)) is not None and kind(node) in _AFFINE:
        constants = [value for value in node.inputs if value is not target]
        if not all(map(view.is_static, constants)) or not view.has_same_shape(target, node.outputs[0]):
            break
        target, region = node.outputs[0], region | {node}
    return target, region


def _unit(view: View, source: ir.Value, target: ir.Value, region: set[ir.Node]) -> Unit:
    join = target.producer()
    assert join is not None
    return Unit(
        name=str(view.in_order(view.holds_weights(region))[-1].name),
        source=str(source.name),
        target=str(target.name),
        nodes=tuple(str(node.name) for node in view.in_order(region - {join})),
        join=str(join.name),
        branch=str(target.name),
        kind="run",
    )
