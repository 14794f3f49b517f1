"""Cuts: what can go from a network, whole units and some channels of a group alike, and the network without them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from engine.graph import units
from engine.graph.channels.remove import remove_channels
from engine.graph.model import Model
from engine.graph.surgery import remove_units
from engine.graph.units import Unit


@dataclass(frozen=True)
class Narrowing:
    """Some channels of one group that go together. `name` tells the group and how many of its channels stay.

    `nodes` write or read the group's channels: a unit that holds them all takes the group with it.
    """

    name: str
    group: str
    size: int
    channels: tuple[int, ...]
    nodes: frozenset[str]

    @property
    def kept(self) -> int:
        return self.size - len(self.channels)


Cut = Unit | Narrowing


def units_in(cuts: Collection[Cut]) -> list[Unit]:
    return [cut for cut in cuts if isinstance(cut, Unit)]


def narrowings_in(cuts: Collection[Cut]) -> list[Narrowing]:
    return [cut for cut in cuts if isinstance(cut, Narrowing)]


def channels_in(cuts: Collection[Cut]) -> dict[str, tuple[int, ...]]:
    """Return the channels that go by group; of several narrowings of one group, all that any of them takes."""
    gone: dict[str, set[int]] = {}
    for cut in narrowings_in(cuts):
        gone.setdefault(cut.group, set()).update(cut.channels)
    return {group: tuple(sorted(channels)) for group, channels in gone.items()}


def remove(model: Model, cuts: Collection[Cut]) -> Model:
    """Return a new model without these cuts. Channels go first: groups are named in the whole network."""
    channels = channels_in(cuts)
    return remove_units(remove_channels(model, channels) if channels else model, units_in(cuts))


def contains(outer: Cut, inner: Cut) -> bool:
    """Say whether one cut goes with another anyway: a unit in a unit, a group in a unit, some channels in more."""
    match outer, inner:
        case Unit(), Unit():
            return units.contains(outer, inner)
        case Unit(), Narrowing():
            return inner.nodes <= {*outer.nodes, outer.join}
        case Narrowing(), Narrowing():
            return outer.group == inner.group and set(inner.channels) < set(outer.channels)
    return False
