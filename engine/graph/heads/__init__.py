"""Heads: attentions whose numbers inside a head may be rotated, and where in the weights each of them is written.

The scores of a head are products of queries and keys, and what it says is a product of values and the layer behind, so
any basis will do for either: what it does to the one side is undone on the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.graph.channels.groups import Group
from engine.graph.heads.blocks import Head, Heads
from engine.graph.heads.pairs import pair_up
from engine.graph.heads.rotate import Rotation, rotated
from engine.graph.heads.walk import Walk, is_inside_heads
from engine.graph.idioms import find_attention
from engine.graph.model import Model
from engine.graph.origins import Lost

__all__ = ["NO_HEADS", "Found", "Head", "Heads", "Rotation", "find_heads", "rotated"]


@dataclass(frozen=True)
class Found:
    """By the name of their group: the heads that may be rotated, and why others may not."""

    heads: dict[str, Heads] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


NO_HEADS = Found()


def find_heads(model: Model, groups: Sequence[Group]) -> Found:
    """Return those of the groups that are numbers inside heads, each the same number of every head.

    Between projection and product nothing may stand but layout, a bias for each number, and one scale for all numbers
    of a head: anything else, such as a rotary embedding or a norm, needs the numbers as they are, and is refused.
    """
    found, attentions = Found(), find_attention(model)
    for group in groups:
        if not is_inside_heads(model, group):
            continue
        try:
            found.heads[group.name] = pair_up(Walk(model, group, attentions))
        except Lost as refusal:
            found.refused[group.name] = f"its numbers inside heads cannot be rotated: {refusal}"
    return found
