"""What `python -m engine inspect` says of a network. Torch-free: anyone can read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from engine.recipe import Strict

Part = TypeVar("Part", bound=Strict)


def image_input(analysis: object) -> InspectedTensor | None:
    """Return the one input of a network whose `Inspection` was kept as JSON; None where it has none or several.

    None, too, where what was kept cannot be read. Keys that another version has written beside ours are passed over.
    """
    inputs = _listed(analysis, "inputs")
    return _read(InspectedTensor, inputs[0]) if len(inputs) == 1 else None


def applicability(analysis: object, method: str) -> Applicability | None:
    """Return what an `Inspection` that was kept as JSON says of a method; None where it says nothing, or unreadably."""
    found = (_read(Applicability, one) for one in _listed(analysis, "methods"))
    return next((one for one in found if one is not None and one.name == method), None)


def _listed(analysis: object, key: str) -> list[Any]:
    found = analysis.get(key) if isinstance(analysis, Mapping) else None
    return found if isinstance(found, list) else []


def _read(kind: type[Part], kept: Any) -> Part | None:
    try:
        return kind.model_validate({key: kept[key] for key in kind.model_fields})
    except (KeyError, TypeError, ValidationError):
        return None


class InspectedTensor(Strict):
    """One input or output; a name in `shape` is a dynamic axis, None one of which nothing is known."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]


class InspectedUnit(Strict):
    """What can be removed whole; units with the same `signature` cost the same. `work` is what most tells it apart.

    `macs` is None where open sizes leave them uncounted; `parameters` are those that nothing else reads.
    """

    name: str
    work: Literal["attention", "convolution", "linear", "other"]
    kind: Literal["branch", "run", "activation"]
    source: str
    target: str
    nodes: int
    signature: str
    macs: int | None
    parameters: int


class InspectedGroup(Strict):
    """`channels` that can go one by one, each with its part of `weights` tensors; `readers` sum over them."""

    name: str
    channels: int
    weights: int
    readers: tuple[str, ...]


class Barrier(Strict):
    """A node that channels do not pass: the `weights` beside it keep their width. Nothing else is touched by it."""

    node: str
    op_type: str
    reason: str
    weights: tuple[str, ...]


class Blocker(Strict):
    """Why no job can run on this network, as the error that the job would end with: its message says the way round."""

    code: str
    message: str
    where: str | None


class Applicability(Strict):
    """Whether a method finds something to do on this network; `blocked_by` says why not."""

    name: str
    applies: bool
    blocked_by: Blocker | None


class Inspection(Strict):
    """The verdict. Operators are the upload's own; units, groups and barriers those of its normalised form.

    `macs` is None where open sizes leave layers uncounted; a job counts them at the size of its images. `uncounted`
    names the operators whose multiply-accumulates were not counted. `unruled` are the nodes whose operator
    no rule knows, so that every channel beside them stays. A cut network is delivered at `delivered_opset`; `notes`
    says what stood in the way of its plain form. `batch_norm_folded`: there are convolutions and no batch norm of
    its own, as exporters leave it; it holds, too, where there never was one, as in ConvNeXt.
    """

    inputs: tuple[InspectedTensor, ...]
    outputs: tuple[InspectedTensor, ...]
    opset: int
    delivered_opset: int
    operators: dict[str, int]
    parameters: int
    macs: int | None
    uncounted: tuple[str, ...]
    size_bytes: int
    batch_norm_layers: int
    batch_norm_folded: bool
    units: tuple[InspectedUnit, ...]
    groups: tuple[InspectedGroup, ...]
    barriers: tuple[Barrier, ...]
    unruled: tuple[str, ...]
    notes: tuple[str, ...]
    methods: tuple[Applicability, ...]
    blocking: tuple[Blocker, ...]
