"""Scales: what the batch norms of a network multiply each channel by, before they are folded into its layers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.graph.channels.groups import find_groups
from engine.graph.edits import is_constant, kind
from engine.graph.model import Model

Array = npt.NDArray[np.float64]


def group_scales(plain: Model) -> dict[str, Array]:
    """Return for each group that norms write, by name, its channels' absolute scales, shape (size,).

    Channels that go together in several norms have the mean of theirs. `plain` is the normalised network with its
    norms; folding them keeps the names of the groups.
    """
    scales = norm_scales(plain)
    found: dict[str, Array] = {}
    for group in find_groups(plain).groups:
        rows = [
            np.abs(plain.weight(place.value).astype(np.float64))[place.positions].mean(axis=1)
            for place in group.places
            if place.value in scales
        ]
        if rows:
            found[group.name] = np.asarray(np.mean(rows, axis=0))
    return found


def norm_scales(model: Model) -> dict[str, str]:
    """Return the names of the initialisers that batch norms multiply channels by, each with its norm's."""
    norms = [node for node in model.graph if kind(node) == "BatchNormalization" and is_constant(node.inputs[1])]
    return {str(node.inputs[1].name): str(node.name) for node in norms if node.inputs[1] is not None}
