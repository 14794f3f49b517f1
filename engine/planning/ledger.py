"""What is known of each cut: the harm of its loss, its part of the latency, its saving in the target's currency."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.errors import TargetInfeasible
from engine.graph.cuts import Cut, Narrowing, channels_in, contains, remove, units_in
from engine.graph.merges import merge
from engine.graph.model import Model
from engine.graph.units import Unit
from engine.measure.cost import count
from engine.measure.feeds import Shapes
from engine.recipe import LatencyMs, LatencyRatio, MacsRatio, ParametersRatio, Pareto, Target, Units
from engine.report import Interval
from engine.search import Candidate, most

LEAST = 1e-3

EASE = 0.6
"""A target that asks for more than this part of what whole blocks can save is worth looking inside of them."""
FRONT_REACH = 0.3
FRONT_SPARE = 1.25
"""A front is made of whole blocks alone where they can save so much, and are so many for each network of it."""

IN_TIME = (LatencyRatio, LatencyMs, Pareto)
"""The targets whose currency is measured, and so not surely known."""


@dataclass(frozen=True)
class Ledger:
    """What is known of each cut by name: harm of its loss, part of the latency, and what it saves of the target."""

    cuts: tuple[Cut, ...]
    harm: Mapping[str, float]
    shares: Mapping[str, Interval]
    savings: Mapping[str, float]
    needed: float

    def candidates(self) -> list[Candidate]:
        """Return what a search chooses from; a cut that goes with others anyway names them, the smallest first."""
        return [
            Candidate(
                cut.name, self.harm[cut.name], self.savings[cut.name], _around(cut, self.cuts), type(cut).__name__
            )
            for cut in self.cuts
        ]

    def only(self, cuts: Sequence[Cut]) -> Ledger:
        """Return the same ledger for some of the cuts."""
        return dataclasses.replace(self, cuts=tuple(cuts))

    def named(self, names: Sequence[str]) -> tuple[Cut, ...]:
        by_name = {cut.name: cut for cut in self.cuts}
        return tuple(by_name[name] for name in names)

    def saving_of(self, names: Sequence[str]) -> float:
        return sum(self.savings[name] for name in names)

    def share_of(self, names: Sequence[str]) -> float:
        """Return the part of the latency that the table of shares gives to these cuts."""
        return sum(self.shares[name].value for name in names)


def _around(cut: Cut, cuts: Sequence[Cut]) -> tuple[str, ...]:
    outer = [other for other in cuts if contains(other, cut)]
    return tuple(other.name for other in sorted(outer, key=_extent))


def _extent(cut: Cut) -> tuple[int, int]:
    """Order what holds a cut from the inside out: more channels of the same group, then units by their nodes."""
    return (1, len(cut.nodes)) if isinstance(cut, Unit) else (0, len(cut.channels))


def open_ledger(
    model: Model,
    cuts: Sequence[Cut],
    harm: Mapping[str, float],
    shares: Mapping[str, Interval],
    target: Target,
    *,
    original_ms: float,
    image_shapes: Shapes,
    plain_ratio: float = 1.0,
) -> Ledger:
    """Return what each cut saves in the target's currency, and how much is needed. Raises TargetInfeasible.

    Shares are of the plain form's latency, which is `plain_ratio` of the upload's; targets are of the upload's. Where
    none surely saves any time, each counts for what it may save: several together are measured more surely than one,
    and if nothing comes of it the job says so.
    """
    needed = needed_for(target, original_ms, plain_ratio)
    savings = savings_in(target, model, cuts, shares, image_shapes)
    if isinstance(target, IN_TIME) and not any(savings.values()):
        savings = {cut.name: max(shares[cut.name].high, 0.0) for cut in cuts}
    ledger = Ledger(tuple(cuts), harm, shares, savings, needed)
    _require_feasible(ledger, target, original_ms, plain_ratio)
    return ledger


def needed_for(target: Target, original_ms: float, plain_ratio: float = 1.0) -> float:
    """Return how much is to be saved: a part of the whole, or a number of units; 0 for a front, which asks for none.

    Where the plain form alone is fast enough, the least that any cut can save.
    """
    match target:
        case LatencyRatio(latency_ratio=ratio):
            return max(1 - ratio / plain_ratio, LEAST)
        case MacsRatio(macs_ratio=ratio) | ParametersRatio(parameters_ratio=ratio):
            return 1 - ratio
        case LatencyMs(latency_ms=wanted_ms):
            if wanted_ms >= original_ms:
                raise TargetInfeasible(
                    f"The network already runs in {original_ms:.3g} ms, which is below the {wanted_ms:g} ms asked for. "
                    "Ask for less than it takes today.",
                    where="target.latency_ms",
                )
            return max(1 - wanted_ms / (original_ms * plain_ratio), LEAST)
        case Units(units=count):
            return float(count)
        case Pareto():
            return 0.0


def savings_in(
    target: Target, model: Model, cuts: Sequence[Cut], shares: Mapping[str, Interval], image_shapes: Shapes
) -> dict[str, float]:
    """Return what the loss of each cut saves in the target's currency, by name; channels are no unit."""
    match target:
        case LatencyRatio() | LatencyMs() | Pareto():
            return {cut.name: _sure(shares[cut.name]) for cut in cuts}
        case MacsRatio():
            return _cost_savings(model, cuts, image_shapes, "macs")
        case ParametersRatio():
            return _cost_savings(model, cuts, image_shapes, "parameters")
        case Units():
            return {cut.name: float(isinstance(cut, Unit)) for cut in cuts}


def is_easy(target: Target, savings: Mapping[str, float], original_ms: float) -> bool:
    """Say whether these units, none inside another, can save what is needed and leave a choice.

    Where they cannot, runs and activations are looked at too, inside of blocks as well. A number of units to remove is
    one of blocks where there are any.
    """
    most_saved = sum(saving for saving in savings.values() if saving > 0)
    match target:
        case Units():
            return True
        case Pareto(pareto=count):
            return most_saved >= FRONT_REACH and len(savings) >= FRONT_SPARE * count
        case _:
            return most_saved * EASE >= needed_for(target, original_ms)


def _sure(share: Interval) -> float:
    """A cut whose share is not surely above zero saves nothing: noise must not look like a bargain."""
    return share.value if share.low > 0 else 0.0


def _cost_savings(model: Model, cuts: Sequence[Cut], image_shapes: Shapes, quantity: str) -> dict[str, float]:
    whole = getattr(count(model, image_shapes), quantity)
    left = {cut.name: getattr(count(_without(model, cut), image_shapes), quantity) for cut in cuts}
    return {name: 1 - kept / whole for name, kept in left.items()}


def _without(model: Model, cut: Cut) -> Model:
    """Return what is left; without an activation, what it kept apart is merged."""
    left = remove(model, [cut])
    return merge(left) if isinstance(cut, Unit) and cut.kind == "activation" else left


def _require_feasible(ledger: Ledger, target: Target, original_ms: float, plain_ratio: float) -> None:
    reach = ledger.saving_of(most(ledger.candidates()))
    if reach > 0 and reach >= ledger.needed:
        return
    key = next(iter(target.model_fields_set - {"min_agreement"}), "latency_ratio")
    left = (1 - reach) * (plain_ratio if isinstance(target, IN_TIME) else 1)
    nearest = {"latency_ms": f"{original_ms * left:.3g}", "units": f"{reach:g}"}.get(key, f"{left:.2f}")
    unsure = _unsure(ledger) if isinstance(target, IN_TIME) else 0
    and_some = f" ({unsure} of them nothing that is surely above zero)" if unsure else ""
    raise TargetInfeasible(
        f"The target asks to save {ledger.needed:.3g}; {_all_of(ledger.cuts)} save {reach:.3g}"
        f"{and_some}. "
        f'The furthest that this network can go is "{key}": {nearest}.',
        where=f"target.{key}",
    )


def _unsure(ledger: Ledger) -> int:
    """Return how many units, and groups at whatever width, save nothing that is surely above zero."""
    sure = {_what(cut) for cut in ledger.cuts if ledger.shares[cut.name].low > 0}
    return len({_what(cut) for cut in ledger.cuts} - sure)


def _what(cut: Cut) -> tuple[type, str]:
    return (Unit, cut.name) if isinstance(cut, Unit) else (Narrowing, cut.group)


def _all_of(cuts: Sequence[Cut]) -> str:
    """Say what all that could go is: of each group only one width can."""
    units, groups = len(units_in(cuts)), len(channels_in(cuts))
    parts = [f"all {units} possible cuts"] if units or not groups else []
    parts += [f"{'1 group' if groups == 1 else f'{groups} groups'} at the narrowest"] if groups else []
    return " and ".join(parts)
