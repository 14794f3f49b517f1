"""Which units go: the target's currency, what each unit saves in it, and a plan whose saving has been measured."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from engine.errors import NothingToCut, RecipeInvalid, TargetInfeasible
from engine.graph.model import Model
from engine.graph.surgery import remove_units
from engine.graph.units import Unit, blocks, contains
from engine.measure.cost import count
from engine.measure.feeds import Shapes
from engine.recipe import LatencyMs, LatencyRatio, MacsRatio, ParametersRatio, Target, Units
from engine.report import Interval, UnitDecision
from engine.search import Candidate, choose

TRIES = 4


@dataclass(frozen=True)
class Ledger:
    """What is known of each unit by name: harm of its loss, part of the latency, and what it saves of the target."""

    units: tuple[Unit, ...]
    harm: Mapping[str, float]
    shares: Mapping[str, Interval]
    savings: Mapping[str, float]
    needed: float

    def candidates(self) -> list[Candidate]:
        return [Candidate(unit.name, self.harm[unit.name], self.savings[unit.name]) for unit in self.units]


@dataclass(frozen=True)
class Plan:
    """The units that go, and the latency ratio that the table of shares predicts."""

    units: tuple[Unit, ...]
    predicted_latency_ratio: float


def removable(units: Sequence[Unit], keep: Sequence[str]) -> list[Unit]:
    """Return the units that may go: `blocks`, and of those inside one another the outermost.

    Raises NothingToCut where none may, RecipeInvalid for a name in `keep` that no such unit bears.
    """
    units = blocks(units)
    names = [unit.name for unit in units]
    for name in keep:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"the units are {', '.join(names)}."
            raise RecipeInvalid(f"No unit is called '{name}': {hint}", where="method.keep")
    if not units:
        raise NothingToCut(
            "The network has no residual branch whose shortcut is the identity and no run of layers that keeps its "
            "shape, so nothing can be left out whole. "
            "Send a network with such branches: ResNet, MobileNetV2, EfficientNet, RegNet, ConvNeXt, ViT and their kin."
        )
    kept = [unit for unit in units if unit.name in keep]
    free = [unit for unit in units if unit not in kept and not any(contains(unit, inner) for inner in kept)]
    if not free:
        raise NothingToCut(f"The recipe keeps all {len(units)} units that could go. Take some out of method.keep.")
    return [unit for unit in free if not any(contains(outer, unit) for outer in free)]


def open_ledger(
    model: Model,
    units: Sequence[Unit],
    harm: Mapping[str, float],
    shares: Mapping[str, Interval],
    target: Target,
    *,
    original_ms: float,
    image_shapes: Shapes,
) -> Ledger:
    """Return what each unit saves in the target's currency, and how much is needed. Raises TargetInfeasible."""
    match target:
        case LatencyRatio(latency_ratio=ratio):
            savings, needed = _time_savings(units, shares), 1 - ratio
        case LatencyMs(latency_ms=wanted_ms):
            if wanted_ms >= original_ms:
                raise TargetInfeasible(
                    f"The network already runs in {original_ms:.3g} ms, which is below the {wanted_ms:g} ms asked for. "
                    "Ask for less than it takes today.",
                    where="target.latency_ms",
                )
            savings, needed = _time_savings(units, shares), 1 - wanted_ms / original_ms
        case MacsRatio(macs_ratio=ratio):
            savings, needed = _cost_savings(model, units, image_shapes, "macs"), 1 - ratio
        case ParametersRatio(parameters_ratio=ratio):
            savings, needed = _cost_savings(model, units, image_shapes, "parameters"), 1 - ratio
        case Units(units=count):
            savings, needed = {unit.name: 1.0 for unit in units}, float(count)
    ledger = Ledger(tuple(units), harm, shares, savings, needed)
    _require_feasible(ledger, target, original_ms)
    return ledger


def _time_savings(units: Sequence[Unit], shares: Mapping[str, Interval]) -> dict[str, float]:
    """A unit whose share is not surely above zero saves nothing: noise must not look like a bargain."""
    return {unit.name: shares[unit.name].value if shares[unit.name].low > 0 else 0.0 for unit in units}


def _cost_savings(model: Model, units: Sequence[Unit], image_shapes: Shapes, quantity: str) -> dict[str, float]:
    whole = getattr(count(model, image_shapes), quantity)
    left = {unit.name: getattr(count(remove_units(model, [unit]), image_shapes), quantity) for unit in units}
    return {name: 1 - kept / whole for name, kept in left.items()}


def _require_feasible(ledger: Ledger, target: Target, original_ms: float) -> None:
    most = sum(saving for saving in ledger.savings.values() if saving > 0)
    if most >= ledger.needed:
        return
    key = next(iter(target.model_fields_set - {"min_agreement"}), "latency_ratio")
    nearest = {
        "latency_ms": f"{original_ms * (1 - most):.3g}",
        "units": f"{len(ledger.units)}",
    }.get(key, f"{1 - most:.2f}")
    raise TargetInfeasible(
        f"The target asks to save {ledger.needed:.3g}; all {len(ledger.units)} removable units save {most:.3g}. "
        f'The furthest that this network can go is "{key}": {nearest}.',
        where=f"target.{key}",
    )


def plan_cuts(
    ledger: Ledger, measured_saving: Callable[[Sequence[Unit]], float] | None, tell: Callable[[float, str], None]
) -> Plan:
    """Return the least harmful plan that saves enough.

    Shares do not quite add up: the runtime fuses what became neighbours. So where `measured_saving` can tell what a
    plan really saves, the need is corrected by what was found, up to four times; the least harmful plan that was found
    to save enough wins, else the one that saved most.
    """
    by_name = {unit.name: unit for unit in ledger.units}
    needed = ledger.needed
    tried: dict[tuple[str, ...], float] = {}
    for attempt in range(TRIES if measured_saving else 1):
        tell(attempt / TRIES, f"plan {attempt + 1}")
        names = choose(ledger.candidates(), needed) or [n for n, saving in ledger.savings.items() if saving > 0]
        units = tuple(by_name[name] for name in names)
        if names in [list(key) for key in tried]:
            break
        predicted = sum(ledger.savings[name] for name in names)
        tried[tuple(names)] = saved = measured_saving(units) if measured_saving else predicted
        needed = ledger.needed * predicted / max(saved, 0.1 * predicted)
    best = _best(tried, ledger)
    units = tuple(by_name[name] for name in best)
    return Plan(units, 1 - sum(ledger.shares[name].value for name in best))


def _best(tried: Mapping[tuple[str, ...], float], ledger: Ledger) -> tuple[str, ...]:
    enough = [names for names, saved in tried.items() if saved >= ledger.needed - 1e-9]
    if enough:
        return min(enough, key=lambda names: sum(ledger.harm[name] for name in names))
    return max(tried, key=lambda names: tried[names])


def decisions(all_units: Sequence[Unit], ledger: Ledger, plan: Plan, *, gained: bool) -> tuple[UnitDecision, ...]:
    """Return the report's line on every unit: what its loss would cost, what keeping it costs, what became of it.

    Where nothing was gained the original is delivered, so all units are kept, and what was tried is said.
    """
    chosen = {unit.name for unit in plan.units}
    return tuple(_decision(unit, ledger, unit.name in chosen, gained) for unit in all_units)


def _decision(unit: Unit, ledger: Ledger, chosen: bool, gained: bool) -> UnitDecision:
    harm, share = ledger.harm.get(unit.name), ledger.shares.get(unit.name)
    score = harm / share.value if harm is not None and share is not None and share.low > 0 else None
    return UnitDecision(
        name=unit.name,
        nodes=unit.nodes,
        recoverability=harm,
        latency_share=share,
        score=score,
        decision="cut" if chosen and gained else "kept",
        reason=_reason(unit, ledger, chosen, gained),
    )


def _reason(unit: Unit, ledger: Ledger, chosen: bool, gained: bool) -> str:
    if any(contains(outer, unit) for outer in ledger.units):
        return "it lies inside another unit"
    if unit.name not in ledger.harm:
        return "the recipe keeps it"
    if chosen and not gained:
        return "its loss was tried with others, and the network was not surely faster"
    if chosen:
        return "among the least harmful set that saves enough"
    if ledger.savings[unit.name] <= 0:
        return "its saving is not surely above zero"
    return "others save enough with less harm"
