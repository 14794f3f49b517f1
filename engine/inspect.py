"""A first verdict on a network from its graph alone: what can be cut, what stands in the way. Never loads torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.errors import EngineError, OperatorUnsupported
from engine.execution.catalogue import SUPPORTED, unsupported_message
from engine.formats import load
from engine.graph.features import find_features
from engine.graph.image_input import require_image_input
from engine.graph.model import Model, TensorInfo
from engine.graph.normalise import normalise
from engine.graph.units import Unit, find_units, signature
from engine.measure.cost import cost
from engine.planning import removable
from engine.recipe import Recipe, Strict


class InspectedTensor(Strict):
    """One input or output; a name in `shape` is a dynamic axis, None one of which nothing is known."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]


class InspectedUnit(Strict):
    """One removable branch; units with the same `signature` cost the same."""

    name: str
    source: str
    target: str
    nodes: int
    signature: str


class Blocker(Strict):
    """Why no job can run on this network, as the error that the job would end with."""

    code: str
    message: str
    where: str | None


class Inspection(Strict):
    """What `python -m engine inspect` prints. Operators are the upload's own, units those of its normalised form.

    `batch_norm_folded`: there are convolutions and no norm of any kind, as exporters leave it.
    """

    inputs: tuple[InspectedTensor, ...]
    outputs: tuple[InspectedTensor, ...]
    opset: int
    operators: dict[str, int]
    parameters: int
    macs: int
    uncounted: tuple[str, ...]
    size_bytes: int
    batch_norm_layers: int
    batch_norm_folded: bool
    units: tuple[InspectedUnit, ...]
    blocking: tuple[Blocker, ...]


def inspect_model(path: Path, recipe: Recipe | None = None) -> Inspection:
    """Read a network and say what can be done with it.

    Raises a ModelError where it cannot even be read; with a recipe, whatever would stop a job on it.
    """
    model = load(path, None if recipe is None else recipe.architecture)
    plain = normalise(model)
    units, figures = find_units(plain), cost(model)
    blocking = _find_blocking(plain, units, () if recipe is None else recipe.method.keep)
    if recipe is not None and blocking:
        raise blocking[0]
    kinds = Counter(node.op_type for node in plain.graph)
    return Inspection(
        inputs=tuple(_tensor(info) for info in model.inputs),
        outputs=tuple(_tensor(info) for info in model.outputs),
        opset=model.opset,
        operators=dict(sorted(Counter(node.op_type for node in model.graph).items())),
        parameters=figures.parameters,
        macs=figures.macs,
        uncounted=figures.uncounted,
        size_bytes=path.stat().st_size,
        batch_norm_layers=kinds["BatchNormalization"],
        batch_norm_folded=kinds["Conv"] > 0 and not any(kind.endswith("Normalization") for kind in kinds),
        units=tuple(_unit(plain, unit) for unit in units),
        blocking=tuple(_blocker(error) for error in blocking),
    )


def _find_blocking(model: Model, units: list[Unit], keep: Sequence[str]) -> list[EngineError]:
    """List what would stop a job: its input, operators that the executor does not run, its outputs, nothing to cut."""
    unknown = [
        OperatorUnsupported(unsupported_message(str(node.name), node.op_type), where=node.name)
        for node in model.graph
        if node.op_type not in SUPPORTED
    ]
    found = (
        _error_of(lambda: require_image_input(model)),
        *unknown,
        _error_of(lambda: find_features(model)),
        _error_of(lambda: removable(units, keep)),
    )
    return [error for error in found if error is not None]


def _error_of(ask: Callable[[], object]) -> EngineError | None:
    try:
        ask()
    except EngineError as error:
        return error
    return None


def _tensor(info: TensorInfo) -> InspectedTensor:
    return InspectedTensor(name=info.name, dtype=info.dtype, shape=info.shape)


def _unit(model: Model, unit: Unit) -> InspectedUnit:
    return InspectedUnit(
        name=unit.name,
        source=unit.source,
        target=unit.target,
        nodes=len(unit.nodes),
        signature=signature(model, unit),
    )


def _blocker(error: EngineError) -> Blocker:
    return Blocker(code=error.code, message=error.message, where=error.where)
