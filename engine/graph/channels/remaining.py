"""What remains of a network's values when channels go: positions that stay, and the nodes that sum over fewer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.graph.channels.flow import follow
from engine.graph.channels.kept import Indices
from engine.graph.channels.remove import Cuts, kept_after
from engine.graph.model import Model

Positions = tuple[tuple[int, Indices], ...]
"""(axis, the positions along it that stay), for each axis that loses any."""


@dataclass(frozen=True)
class Remaining:
    """`values`: what stays of each value that loses positions. `readers`: the nodes that sum over less than before.

    `untold` are values that lose positions along an axis of open size, so that nobody can say which before they run.
    """

    values: Mapping[str, Positions] = field(default_factory=dict)
    readers: frozenset[str] = frozenset()
    untold: frozenset[str] = frozenset()


def remaining(model: Model, cuts: Cuts) -> Remaining:
    """Return what stays of the values that the nodes of `model` write. Raises RecipeInvalid as remove_channels does."""
    if not cuts:
        return Remaining()
    flow = follow(model)
    kept = kept_after(model, flow, cuts)
    values: dict[str, Positions] = {}
    untold: set[str] = set()
    for node in model.graph:
        for value in node.outputs:
            lost = [(axis, form) for axis, form in enumerate(flow.axes.get(value) or ()) if kept.changes(form)]
            if any(form.size is None for _, form in lost):
                untold.add(str(value.name))
            elif lost:
                values[str(value.name)] = tuple((axis, np.flatnonzero(kept.mask(form))) for axis, form in lost)
    readers = frozenset(reader.node for reader in flow.readers if kept.changes(reader.form))
    return Remaining(values, readers, frozenset(untold))


def narrowed(array: NDArray[Any], positions: Positions) -> NDArray[Any]:
    """Return what the narrowed network has of a value of the whole one."""
    for axis, stay in positions:
        array = np.take(array, stay, axis=axis)
    return array
