"""The table of merges: neighbours that can be one node, exactly, borders included; each says what it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import onnx_ir as ir

from engine.graph.edits import remove_dead
from engine.graph.merges.conv_conv import conv_conv
from engine.graph.merges.conv_linear import conv_linear
from engine.graph.merges.linear_linear import linear_linear
from engine.graph.merges.offer import Offer
from engine.graph.merges.parallel import parallel
from engine.graph.merges.pool_first import pool_first
from engine.graph.merges.repeated import repeated
from engine.graph.model import Model

MERGES: dict[str, Callable[[Model, ir.Node], Offer | None]] = {
    "repeated": repeated,
    "parallel": parallel,
    "pool_first": pool_first,
    "conv_conv": conv_conv,
    "conv_linear": conv_linear,
    "linear_linear": linear_linear,
}
"""Each looks at a node as the last one of its pattern and offers a merge, or None. The first that pays is taken."""


def merge(model: Model) -> Model:
    """Return a new model that computes the same with fewer nodes: every merge that does not cost more is made.

    Two 3x3 convolutions could be one of 5x5, at 1.39 times the work: `find_offers` says so, `merge` leaves them.
    """
    merged = model.copy()
    while _merge_once(merged):
        pass
    return merged


def find_offers(model: Model) -> list[tuple[str, Offer]]:
    """Return every exact merge by the name of its rule, whatever it costs, in the graph's order."""
    return [(name, offer) for node in model.graph for name, rule in MERGES.items() if (offer := rule(model, node))]


def _merge_once(model: Model) -> bool:
    """Look at every node once, in place, and say whether anything was merged.

    From the last node on, as the outermost of nested sums finds more branches than the inner ones.
    """
    changed = False
    for node in reversed(list(model.graph)):
        offer = next(_paying(model, node), None) if node.graph is model.graph else None
        if offer is not None:
            offer.apply()
            remove_dead(model)
            changed = True
    return changed


def _paying(model: Model, node: ir.Node) -> Iterator[Offer]:
    offers = (rule(model, node) for rule in MERGES.values())
    return (offer for offer in offers if offer is not None and offer.pays)
