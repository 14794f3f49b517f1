"""A first verdict on a network from its graph alone: what can be cut, what stands in the way.

It loads torch only to read files of torch; ONNX files it reads without."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import onnx_ir as ir

from engine.errors import EngineError, OperatorUnsupported
from engine.execution.catalogue import SUPPORTED, unsupported_message
from engine.execution.element_types import refused_type
from engine.formats import load
from engine.graph.bodies import every_node
from engine.graph.channels.groups import Frozen, Group, Grouping, find_groups
from engine.graph.features import find_features
from engine.graph.heads import NO_HEADS, find_heads
from engine.graph.idioms import find_attention
from engine.graph.image_input import require_image_input
from engine.graph.model import Model, TensorInfo
from engine.graph.normalise import normalise, notes
from engine.graph.units import Unit, find_units, signature
from engine.input_form import fitting_form
from engine.inspection import (
    Applicability,
    Barrier,
    Blocker,
    InspectedGroup,
    InspectedTensor,
    InspectedUnit,
    Inspection,
)
from engine.measure.cost import count, macs_by_node
from engine.planning import narrowable, normed, removable, require_known, require_some
from engine.recipe import METHODS, Architecture, Recipe


def inspect_model(path: Path, recipe: Recipe | None = None, architecture: Architecture | None = None) -> Inspection:
    """Read a network and say what can be done with it; bare weights need the recipe's architecture, or one beside it.

    Raises a ModelError where it cannot even be read; with a recipe, whatever would stop a job on it.
    """
    model = load(path, architecture if recipe is None else recipe.architecture)
    plain = normalise(model)
    units, figures = find_units(plain), count(model)
    grouping = find_groups(plain)
    lacking = {name: _error_of(_require_cuts, name, plain, units, grouping.groups, recipe) for name in METHODS}
    general = list(_find_blocking(plain))
    told = [error.message for error in general]
    blocking = [*general, *(error for error in _method_blocking(lacking, recipe) if error.message not in told)]
    if recipe is not None and blocking:
        raise blocking[0]
    if recipe is not None:
        fitting_form(require_image_input(model), recipe.preprocess)
    kinds = Counter(node.op_type for node in every_node(plain.graph))
    return Inspection(
        inputs=tuple(_tensor(info) for info in model.inputs),
        outputs=tuple(_tensor(info) for info in model.outputs),
        opset=model.opset,
        delivered_opset=plain.opset,
        operators=dict(sorted(Counter(node.op_type for node in every_node(model.graph)).items())),
        parameters=figures.parameters,
        macs=None if any(name.endswith("(shape unknown)") for name in figures.uncounted) else figures.macs,
        uncounted=figures.uncounted,
        size_bytes=path.stat().st_size,
        batch_norm_layers=kinds["BatchNormalization"],
        batch_norm_folded=kinds["Conv"] > 0 and kinds["BatchNormalization"] == 0,
        units=tuple(_units(plain, units)),
        groups=tuple(_group(plain, group) for group in grouping.groups),
        barriers=tuple(_barriers(grouping)),
        unruled=grouping.unknown,
        notes=notes(plain),
        methods=tuple(_applicability(name, [*general, error]) for name, error in lacking.items()),
        blocking=tuple(_blocker(error) for error in blocking),
    )


def _find_blocking(model: Model) -> Iterator[EngineError]:
    """Yield what would stop any job: its input, operators and types that the executor does not run, its outputs."""
    unknown = [
        OperatorUnsupported(unsupported_message(str(node.name), node.op_type), where=node.name)
        if node.op_type not in SUPPORTED
        else refused_type(node)
        for node in every_node(model.graph)
    ]
    found = (_error_of(require_image_input, model), *unknown, _error_of(find_features, model))
    yield from (error for error in found if error is not None)


def _require_cuts(
    name: str, model: Model, units: Sequence[Unit], groups: Sequence[Group], recipe: Recipe | None
) -> None:
    """Raise the error that a job with this method would end with, where it finds nothing to take."""
    keep = () if recipe is None else recipe.method.keep
    require_known(keep, [*(unit.name for unit in units), *(group.name for group in groups)])
    groups = normed(model, groups) if METHODS[name].needs_norms else groups
    heads = find_heads(model, groups) if METHODS[name].rotates_heads else NO_HEADS
    free = removable(units, keep), narrowable(model, groups, keep, heads)
    require_some(METHODS[name].cuts, *free, keep)


def _method_blocking(lacking: Mapping[str, EngineError | None], recipe: Recipe | None) -> list[EngineError]:
    """Return what stops the recipe's method; without a recipe, what stops the default one where all are stopped."""
    error = lacking[(recipe or Recipe()).method.name]
    return [error] if error is not None and (recipe is not None or all(lacking.values())) else []


def _error_of(ask: Callable[..., object], *given: object) -> EngineError | None:
    try:
        ask(*given)
    except EngineError as error:
        return error
    return None


def _barriers(grouping: Grouping) -> Iterator[Barrier]:
    """Yield each node that freezes weights, with the first of its reasons and all the weights that it freezes."""
    weights: dict[str, dict[str, None]] = {}
    first: dict[str, Frozen] = {}
    for frozen in grouping.frozen:
        if frozen.node:  # without one it is the network's own ends, whose width is nobody's doing
            first.setdefault(frozen.node, frozen)
            weights.setdefault(frozen.node, {})[frozen.value] = None
    for node, frozen in first.items():
        yield Barrier(node=node, op_type=frozen.op_type, reason=frozen.reason, weights=tuple(weights[node]))


def _tensor(info: TensorInfo) -> InspectedTensor:
    return InspectedTensor(name=info.name, dtype=info.dtype, shape=info.shape)


def _units(model: Model, units: Sequence[Unit]) -> Iterator[InspectedUnit]:
    attentions = [set(attention.nodes) for attention in find_attention(model)]
    nodes, macs = model.nodes(), macs_by_node(model)
    for unit in units:
        inside = {*unit.nodes, unit.join}
        kinds = {nodes[name].op_type for name in inside}
        yield InspectedUnit(
            name=unit.name,
            work="attention" if any(attention <= inside for attention in attentions) else _work(kinds),
            kind=unit.kind,
            source=unit.source,
            target=unit.target,
            nodes=len(unit.nodes),
            signature=signature(model, unit),
            macs=_sum(macs.get(name) for name in unit.nodes),
            parameters=_own_parameters(model, {nodes[name] for name in unit.nodes}),
        )


def _sum(counts: Iterable[int | None]) -> int | None:
    found = list(counts)
    return None if None in found else sum(count or 0 for count in found)


def _own_parameters(model: Model, nodes: set[ir.Node]) -> int:
    """Count the numbers of the weights that only these nodes read."""
    read = {value for node in nodes for value in node.inputs if value is not None and value.is_initializer()}
    own = [value for value in read if {use.node for use in value.uses()} <= nodes and value.const_value is not None]
    return sum(math.prod(value.const_value.shape.numpy()) for value in own if value.const_value is not None)


def _work(op_types: set[str]) -> Literal["convolution", "linear", "other"]:
    if any("Conv" in op_type for op_type in op_types):
        return "convolution"
    return "linear" if op_types & {"Gemm", "MatMul", "Einsum"} else "other"


def _group(model: Model, group: Group) -> InspectedGroup:
    weights = {place.value for place in group.places} & set(model.graph.initializers)
    return InspectedGroup(name=group.name, channels=group.size, weights=len(weights), readers=group.readers)


def _applicability(name: str, errors: Sequence[EngineError | None]) -> Applicability:
    """Say by the first of the errors, where there is one, why a method does not apply."""
    first = next((_blocker(error) for error in errors if error is not None), None)
    return Applicability(name=name, applies=first is None, blocked_by=first)


def _blocker(error: EngineError) -> Blocker:
    return Blocker(code=error.code, message=error.message, where=error.where)
