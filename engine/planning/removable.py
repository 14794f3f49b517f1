"""Which units may go at all, and which of them are whole blocks."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from engine.errors import NothingToCut, RecipeInvalid
from engine.graph.units import Unit, contains


def removable(units: Sequence[Unit], keep: Sequence[str]) -> list[Unit]:
    """Return the units that may go: all but those kept and those that hold one that is kept.

    Raises NothingToCut where none may, RecipeInvalid for a name in `keep` that no unit bears.
    """
    for name in keep:
        if all(unit.name != name for unit in units):
            raise _no_such_unit(name, [unit.name for unit in units])
    if not units:
        raise NothingToCut(
            "The network has no residual branch whose shortcut is the identity, no run of layers that keeps its shape "
            "and no activation without which two layers are one, so nothing can be left out whole. "
            "Send a network with such branches: ResNet, MobileNetV2, EfficientNet, RegNet, ConvNeXt, ViT and their kin."
        )
    kept = [unit for unit in units if unit.name in keep]
    free = [unit for unit in units if unit not in kept and not any(contains(unit, inner) for inner in kept)]
    if not free:
        raise NothingToCut(f"The recipe keeps all {len(units)} units that could go. Take some out of method.keep.")
    return free


def _no_such_unit(name: str, names: Sequence[str]) -> RecipeInvalid:
    near = difflib.get_close_matches(name, names, n=1)
    listed = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    hint = f"did you mean '{near[0]}'?" if near else f"the units are {listed}."
    return RecipeInvalid(f"No unit is called '{name}': {hint}", where="method.keep")


def whole_blocks(units: Sequence[Unit]) -> list[Unit]:
    """Return the residual branches that lie inside of no other: what a network with skips loses most easily."""
    branches = [unit for unit in units if unit.kind == "branch"]
    return [unit for unit in branches if not any(contains(outer, unit) for outer in branches)]
