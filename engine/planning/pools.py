"""Pools: cuts of which any may go together, where some of them exclude others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.graph.channels.groups import Group
from engine.graph.channels.readings import touches
from engine.graph.cuts import Cut, Narrowing, narrowings_in, units_in
from engine.graph.units import Unit


def pools(cuts: Sequence[Cut], groups: Mapping[str, Group]) -> list[tuple[Cut, ...]]:
    """Return all cuts but the narrowings that exclude a run, and all but the runs that these exclude; or just all.

    A run is left out by reading its source in place of its target: both must keep the same channels, and so a group at
    one end alone may not be narrowed. `groups` are those of the narrowings by name.
    """
    runs = [unit for unit in units_in(cuts) if unit.kind == "run"]
    pairs = [(run, step) for run in runs for step in narrowings_in(cuts) if _exclude(run, groups[step.group])]
    if not pairs:
        return [tuple(cuts)]
    excluded: list[set[Unit] | set[Narrowing]] = [{step for _, step in pairs}, {run for run, _ in pairs}]
    return [tuple(cut for cut in cuts if cut not in out) for out in excluded]


def _exclude(run: Unit, group: Group) -> bool:
    return touches(group, (run.source,)) != touches(group, (run.target,))
