"""Activations between two layers that are one layer once the activation is gone, and no dearer one."""

from __future__ import annotations

import onnx_ir as ir

from engine.graph.edits import is_constant, kind, only_reader
from engine.graph.merges import MERGES
from engine.graph.model import Model
from engine.graph.units.unit import Unit
from engine.graph.units.view import View, is_closed

_ACTIVATIONS = {
    *("Celu", "Clip", "Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "PRelu", "Relu", "Selu"),
    *("Sigmoid", "Softplus", "Softsign", "Swish", "Tanh", "ThresholdedRelu"),
}
_ELEMENTWISE = _ACTIVATIONS | {"Abs", "Add", "Div", "Exp", "Mul", "Neg", "Pow", "Sqrt", "Sub"}
_LAYERS = {"Conv", "Gemm", "MatMul"}
_STEPS_BEHIND = 2
"""How many nodes may lie between the activation and the layer that is merged: pooling, and layout as a row."""


def find_activations(model: Model) -> list[Unit]:
    """Return the activations, spelled out or not, behind a layer, whose removal lets that layer be merged.

    Asked of a copy in which each is left out for a moment: what the table of merges then offers at no higher cost.
    """
    trial = model.copy()
    view, found = View(trial.graph), []
    for node in view.nodes.values():
        for target in () if node in view.static or kind(node) not in _ELEMENTWISE else node.outputs:
            source = _source_of(view, target)
            if source is not None and _lets_merge(trial, source, target):
                found.append(_unit(view, source, target))
    return found


def _source_of(view: View, target: ir.Value) -> ir.Value | None:
    """Return what a layer puts into the activation that makes the target, None where there is no such activation."""
    if only_reader(target) is None:
        return None
    for source in view.dominators(target):
        if not view.has_same_shape(source, target):
            return None
        region = view.region(source, target) or set()
        kinds = {kind(node) for node in region - view.static}
        if not kinds or not kinds <= _ELEMENTWISE or not is_closed(region, target):
            return None
        if _layer_of(source) is not None:
            return source if kinds & _ACTIVATIONS else None
    return None


def _layer_of(value: ir.Value) -> ir.Node | None:
    """Return the layer that makes a value, with a bias added behind it or not."""
    node = value.producer()
    if node is not None and kind(node) == "Add" and any(map(is_constant, node.inputs)):
        node = next((read.producer() for read in node.inputs if read is not None and not is_constant(read)), None)
    return node if node is not None and kind(node) in _LAYERS else None


def _lets_merge(trial: Model, source: ir.Value, target: ir.Value) -> bool:
    """Leave the activation out for a moment and ask what could be merged; the trial is then what it was."""
    layer, reader = _layer_of(source), only_reader(target)
    assert layer is not None
    assert reader is not None
    place = next(iter(target.uses())).idx
    inside = [(use.node, use.idx) for use in source.uses()]
    reader.replace_input_with(place, source)
    for node, index in inside:
        node.replace_input_with(index, None)
    try:
        return any(_merges_with(trial, layer, node) for node in _nodes_from(reader))
    finally:
        for node, index in inside:
            node.replace_input_with(index, source)
        reader.replace_input_with(place, target)


def _nodes_from(node: ir.Node) -> list[ir.Node]:
    nodes = [node]
    while len(nodes) <= _STEPS_BEHIND and (behind := only_reader(nodes[-1].outputs[0])) is not None:
        nodes.append(behind)
    return nodes


def _merges_with(trial: Model, layer: ir.Node, node: ir.Node) -> bool:
    offers = (rule(trial, node) for rule in MERGES.values())
    return any(offer is not None and offer.pays and str(layer.name) in offer.nodes for offer in offers)


def _unit(view: View, source: ir.Value, target: ir.Value) -> Unit:
    join, region = target.producer(), view.region(source, target)
    assert join is not None
    assert region is not None
    return Unit(
        name=str(join.name),
        source=str(source.name),
        target=str(target.name),
        nodes=tuple(str(node.name) for node in view.in_order(region - {join})),
        join=str(join.name),
        branch=str(target.name),
        kind="activation",
    )
