"""The table of folds: constants that become part of a neighbouring layer's weight. Fewer nodes, the same function."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from engine.graph.edits import remove_dead
from engine.graph.folds.before_layer import before_layer
from engine.graph.folds.behind_layer import behind_layer
from engine.graph.folds.layer_norm import layer_norm
from engine.graph.model import Model

FOLDS: dict[str, Callable[[Model, ir.Node], bool]] = {
    "behind_layer": behind_layer,
    "before_layer": before_layer,
    "layer_norm": layer_norm,
}
"""Each looks at one node and folds it, in place, where that is exact; it says whether it did."""


def fold(model: Model) -> Model:
    """Return a new model whose constants are part of the weights, as far as that is exact."""
    folded = model.copy()
    while _fold_once(folded):
        pass
    remove_dead(folded)
    return folded


def _fold_once(model: Model) -> bool:
    """Look at every node once, in place, and say whether anything was folded."""
    changed = False
    for node in list(model.graph):
        if node.graph is model.graph and any(rule(model, node) for rule in FOLDS.values()):
            changed = True
    return changed
