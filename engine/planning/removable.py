"""Which units and groups a method may cut at all, and which units are whole blocks."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

from engine.errors import NothingToCut, RecipeInvalid
from engine.graph.channels.groups import Group
from engine.graph.channels.readings import find_readings, is_affordable, touches
from engine.graph.channels.scales import group_scales, norm_scales
from engine.graph.features import find_features
from engine.graph.heads import NO_HEADS, Found
from engine.graph.model import Model
from engine.graph.units import Unit, contains


def removable(units: Sequence[Unit], keep: Sequence[str]) -> list[Unit]:
    """Return the units that may go: all but those kept and those that hold one that is kept."""
    kept = [unit for unit in units if unit.name in keep]
    return [unit for unit in units if unit not in kept and not any(contains(unit, inner) for inner in kept)]


def narrowable(model: Model, groups: Sequence[Group], keep: Sequence[str], heads: Found = NO_HEADS) -> list[Group]:
    """Return the groups that may be narrowed: linear layers that can be refitted read them, or they are `heads`."""
    staying = reasons_to_stay(model, groups, keep, heads)
    return [group for group in groups if group.name not in staying]


def reasons_to_stay(
    model: Model, groups: Sequence[Group], keep: Sequence[str], heads: Found = NO_HEADS
) -> dict[str, str]:
    """Return, by the name of each group that may not be narrowed, why that is so.

    Groups whose channels the features are made of stay: what is cut is compared by those. `heads` are the groups that
    are rotated before they are narrowed, so that products of queries and keys may read them, too.
    """
    features = find_features(model)
    compared = (*features.values, *features.logits)
    reasons: dict[str, str] = {}
    for group in groups:
        if group.name in keep:
            reasons[group.name] = "the recipe keeps it"
        elif touches(group, compared):
            reasons[group.name] = "what the network says is compared by it"
        elif not is_affordable(model, group, products := _products(heads, group)):
            reasons[group.name] = (
                heads.refused.get(group.name)
                or find_readings(model, group, products)[1]
                or "a layer that sums over it is too large to refit"
            )
    return reasons


def _products(heads: Found, group: Group) -> frozenset[str]:
    one = heads.heads.get(group.name)
    return frozenset() if one is None else one.products


def normed(plain: Model, groups: Sequence[Group]) -> list[Group]:
    """Return the groups that batch norms write; `plain` is the network before these are folded.

    Raises NothingToCut where it has no batch norm at all.
    """
    if not norm_scales(plain):
        raise NothingToCut(
            "The network has no batch norm left whose scales could rank channels: its exporter folded them away, or it "
            "never had any. Export it with them (torch.onnx.export(..., optimize=False)), or ask for another method."
        )
    scales = group_scales(plain)
    return [group for group in groups if group.name in scales and len(scales[group.name]) == group.size]


def require_known(keep: Sequence[str], names: Sequence[str]) -> None:
    """Raise RecipeInvalid for a name in `keep` that no unit and no group bears."""
    for name in keep:
        if name not in names:
            raise _no_such_cut(name, names)


def require_some(cuts: Collection[str], units: Sequence[Unit], groups: Sequence[Group], keep: Sequence[str]) -> None:
    """Raise NothingToCut where a method that lets `cuts` go, "units" or "channels", finds nothing to take.

    Weights alone, which "weights" stands for, every network has.
    """
    if ("units" in cuts and units) or ("channels" in cuts and groups) or "weights" in cuts:
        return
    if keep:
        raise NothingToCut("The recipe keeps everything that could go. Take some names out of method.keep.")
    lacking = [_LACKING[kind] for kind in ("units", "channels") if kind in cuts]
    raise NothingToCut(f"The network has {' and '.join(lacking)}. {_SEND}")


_LACKING = {
    "units": "no residual branch whose shortcut is the identity, no run of layers that keeps its shape and no "
    "activation without which two layers are one, so nothing can be left out whole",
    "channels": "no group of channels that linear layers alone sum over and that is wider than what this machine "
    "computes at once, so no layer can be made narrower",
}
_SEND = "Send a network with such parts: ResNet, MobileNetV2, EfficientNet, RegNet, ConvNeXt, ViT and their kin."


def _no_such_cut(name: str, names: Sequence[str]) -> RecipeInvalid:
    near = difflib.get_close_matches(name, names, n=1)
    listed = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    hint = f"did you mean '{near[0]}'?" if near else f"the units and groups are {listed}."
    return RecipeInvalid(f"No unit and no group is called '{name}': {hint}", where="method.keep")


def whole_blocks(units: Sequence[Unit]) -> list[Unit]:
    """Return the residual branches that lie inside of no other: what a network with skips loses most easily."""
    branches = [unit for unit in units if unit.kind == "branch"]
    return [unit for unit in branches if not any(contains(outer, unit) for outer in branches)]
