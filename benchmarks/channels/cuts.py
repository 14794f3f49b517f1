"""The cuts that a job made, out of its checkpoint, as plain names and numbers and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.graph.channels.groups import Group, find_groups
from engine.graph.channels.readings import nodes_around
from engine.graph.cuts import Cut, Narrowing
from engine.graph.model import Model
from engine.graph.units import find_units

Told = dict[str, Any]
"""`units`: names. `channels`: group -> the channels that go."""


def told_by(checkpoint: Path) -> Told | None:
    """Return what the one job with this checkpoint folder cut, None where it chose nothing."""
    plans, harm = _kept(checkpoint, "plans"), _kept(checkpoint, "harm")
    if plans is None or harm is None or not plans["plans"]:
        return None
    names, steps = plans["plans"][0]["cuts"], harm["channels"]
    channels = {name.rpartition(": ")[0]: list(steps[name]) for name in names if name in steps}
    return {"units": [name for name in names if name not in steps], "channels": channels}


def _kept(checkpoint: Path, step: str) -> dict[str, Any] | None:
    """Return a step of a job whose digest nobody has to know: images made against the clock are other ones again."""
    found = list(checkpoint.glob(f"{step}-*.json"))
    return json.loads(found[0].read_text()) if len(found) == 1 else None


def cuts_of(model: Model, told: Told) -> list[Cut]:
    """Return the cuts in a network's plain form. Raises ValueError where some are not there."""
    units = [unit for unit in find_units(model) if unit.name in told["units"]]
    groups = {group.name: group for group in find_groups(model).groups}
    missing = {*told["units"], *told["channels"]} - {unit.name for unit in units} - groups.keys()
    if missing:
        raise ValueError(f"The network has no {', '.join(sorted(missing))}.")
    return [*units, *narrowings(model, groups, told["channels"])]


def narrowings(model: Model, groups: Mapping[str, Group], channels: Mapping[str, Sequence[int]]) -> list[Narrowing]:
    """Return the loss of these channels, each group's together."""
    return [
        Narrowing(
            f"{name}: {groups[name].size - len(gone)} of {groups[name].size}",
            name,
            groups[name].size,
            tuple(gone),
            nodes_around(model, groups[name]),
        )
        for name, gone in channels.items()
    ]


def counted(told: Told) -> dict[str, int]:
    """Return how many units went, how many groups became narrower and how many channels that is."""
    channels = told["channels"]
    return {
        "units_cut": len(told["units"]),
        "groups_narrowed": len(channels),
        "channels_cut": sum(map(len, channels.values())),
    }
