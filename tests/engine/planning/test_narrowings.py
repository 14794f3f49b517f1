"""Groups beside units: which may be narrowed, what holds what, and what the report says of them."""

from __future__ import annotations

import dataclasses
from itertools import product

import pytest

from engine.errors import TargetInfeasible
from engine.graph.channels.groups import find_groups
from engine.graph.channels.readings import likeness, nodes_around
from engine.graph.cuts import Cut, contains, narrowings_in, remove, units_in
from engine.graph.heads import Found, find_heads
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.units import Unit, find_units
from engine.measure.cost import count
from engine.planning import (
    Ledger,
    Plan,
    best_plan,
    group_decisions,
    narrowable,
    open_ledger,
    plan_cuts,
    reasons_to_stay,
    whole_blocks,
)
from engine.pricing.narrowing import make_ladder
from engine.recipe import LatencyMs, LatencyRatio, MacsRatio, ParametersRatio, Target
from engine.report import Interval
from engine.search import Priced
from tests.networks import NETWORKS, Draft, stem

SHAPES = {"image": (3, 16, 16)}


def model_of(name: str) -> Model:
    return normalise(NETWORKS[name][0]())


def cuts_of(model: Model) -> list[Cut]:
    """Whole blocks, and all widths of all groups that may be narrowed."""
    made = [
        make_ladder(group, likeness(model, group), nodes_around(model, group), 2)
        for group in narrowable(model, find_groups(model).groups, ())
    ]
    return [*whole_blocks(find_units(model)), *(step for ladder in made if ladder for step in ladder.steps)]


def surely(value: float) -> Interval:
    return Interval(value=value, low=0.9 * value, high=1.1 * value)


def ledger_of(model: Model, target: Target, cuts: list[Cut] | None = None, share: float = 0.1) -> Ledger:
    """Each unit saves and harms so much, each width the part of it that its channels are of the group."""
    cuts = cuts_of(model) if cuts is None else cuts
    parts = {cut.name: 1.0 if isinstance(cut, Unit) else len(cut.channels) / cut.size for cut in cuts}
    shares = {name: surely(share * part) for name, part in parts.items()}
    harm = {name: 0.2 * part**2 for name, part in parts.items()}
    return open_ledger(model, cuts, harm, shares, target, original_ms=10.0, image_shapes=SHAPES)


def plan_of(ledger: Ledger) -> Plan:
    priced = Priced(lambda names: sum(ledger.harm[name] for name in names), calls=20)
    return plan_cuts(ledger, priced, None, lambda fraction, message: None)


def test_what_outputs_are_compared_by_and_what_is_kept_is_not_narrowed() -> None:
    """The residual stream is what the head reads; each block's inner group is read by a convolution."""
    model = model_of("residual")
    groups = find_groups(model).groups

    assert [group.name for group in narrowable(model, groups, ())] == ["node_2_Conv", "node_7_Conv", "node_12_Conv"]
    assert [group.name for group in narrowable(model, groups, ["node_7_Conv"])] == ["node_2_Conv", "node_12_Conv"]
    assert reasons_to_stay(model, groups, ["node_7_Conv"]) == {
        "node_0_Conv": "what the network says is compared by it",
        "node_7_Conv": "the recipe keeps it",
    }


def test_heads_are_narrowed_once_they_can_be_rotated() -> None:
    """Queries and keys of a head are read by a product alone; without a rotation its numbers are not told apart."""
    model = normalise(NETWORKS["transformer"][0]())
    groups = find_groups(model).groups
    heads = find_heads(model, groups)
    scores = next(name for name, one in heads.heads.items() if not one.heads[0].mixes)

    staying, rotated = reasons_to_stay(model, groups, ()), reasons_to_stay(model, groups, (), heads)

    assert staying[scores].endswith("(MatMul) sums over it and is no plain linear layer")
    assert staying.keys() - rotated.keys() == {scores}
    assert {*heads.heads} <= {group.name for group in narrowable(model, groups, (), heads)}
    refused = Found(refused={scores: "why not"})
    assert reasons_to_stay(model, groups, (), refused)[scores] == "why not"


def test_a_group_that_anything_but_plain_layers_sums_over_is_not_narrowed() -> None:
    """A grouped convolution reads it."""
    draft = Draft()
    x = draft.conv(stem(draft), 8, 8, group=2)
    model = normalise(draft.model(draft.classify(draft.node("Relu", draft.conv(draft.node("Relu", x), 8, 5)), 5)))
    groups = find_groups(model).groups

    staying = reasons_to_stay(model, groups, ())

    reader = "node_2_Conv"
    assert {group.name for group in groups if reader in group.readers} <= set(staying)
    assert any(f"'{reader}' (Conv) sums over it and is no plain linear layer" == reason for reason in staying.values())


@pytest.mark.parametrize("name", ["residual", "inverted_residual", "nested", "transformer", "plain"])
def test_each_cut_names_all_that_it_goes_with_the_smallest_first(name: str) -> None:
    model = model_of(name)
    cuts = cuts_of(model)
    by_name = {cut.name: cut for cut in cuts}
    for candidate in ledger_of(model, LatencyRatio(latency_ratio=0.99), cuts).candidates():
        around = [by_name[outer] for outer in candidate.inside]

        assert {cut.name for cut in around} == {cut.name for cut in cuts if contains(cut, by_name[candidate.name])}
        for smaller, larger in product(range(len(around)), repeat=2):
            assert smaller < larger or not contains(around[larger], around[smaller])


@pytest.mark.parametrize("target", [MacsRatio(macs_ratio=0.6), ParametersRatio(parameters_ratio=0.6)])
@pytest.mark.parametrize("name", ["residual", "inverted_residual", "transformer"])
def test_a_plan_of_units_and_widths_saves_what_the_ledger_says(name: str, target: Target) -> None:
    """One width for each group, none in a block that goes; in work or weights as counted on what is left."""
    model = model_of(name)
    ledger = ledger_of(model, target)

    plan = plan_of(ledger)

    assert len({step.group for step in plan.narrowings}) == len(plan.narrowings)
    assert not any(contains(outer, inner) for outer, inner in product(plan.cuts, repeat=2))
    quantity = "macs" if isinstance(target, MacsRatio) else "parameters"
    whole, left = (getattr(count(one, SHAPES), quantity) for one in (model, remove(model, plan.cuts)))
    # two neighbours that both get narrower save less than both alone: what one takes, the other cannot
    assert 1 - left / whole == pytest.approx(ledger.saving_of([cut.name for cut in plan.cuts]), abs=0.12)
    assert ledger.saving_of([cut.name for cut in plan.cuts]) >= 0.4


def test_the_report_says_of_every_group_what_became_of_it() -> None:
    model = model_of("residual")
    ledger = ledger_of(model, LatencyRatio(latency_ratio=0.99))
    block, steps = units_in(ledger.cuts)[0], narrowings_in(ledger.cuts)
    groups = find_groups(model).groups
    wide = next(step for step in steps if step.group == "node_7_Conv")
    plan = Plan((block, wide), 0.8, 0.1)
    only = ledger.only([cut for cut in ledger.cuts if cut not in steps or cut.group != "node_12_Conv"])  # type: ignore[union-attr]  # all others are steps

    lines = group_decisions(groups, reasons_to_stay(model, groups, ()), only, plan, gained=True)
    again = group_decisions(groups, {}, ledger, plan, gained=False)

    assert [(line.name, line.channels, line.kept) for line in lines] == [
        ("node_0_Conv", 8, 8),
        ("node_2_Conv", 8, 8),
        ("node_7_Conv", 8, wide.kept),
        ("node_12_Conv", 8, 8),
    ]
    assert [line.reason for line in lines] == [
        "what the network says is compared by it",
        "it lies inside a unit that goes",
        "among the least harmful set that saves enough",
        "it is too narrow for the width grid, or the method cannot rank its channels",
    ]
    assert lines[2].recoverability == ledger.harm[wide.name]
    assert lines[2].latency_share == ledger.shares[wide.name]
    assert lines[3].recoverability is lines[3].latency_share is None
    assert {line.kept for line in again} == {8}
    assert "not surely faster" in again[2].reason
    assert again[3].reason == "others save enough with less harm"


def test_an_impossible_target_counts_groups_once_at_their_narrowest() -> None:
    model = model_of("residual")

    with pytest.raises(TargetInfeasible) as refused:
        ledger_of(model, LatencyMs(latency_ms=1.0))

    assert "all 3 possible cuts and 3 groups at the narrowest save 0.3." in refused.value.message
    assert '"latency_ms": 7.' in refused.value.message


def test_the_furthest_is_told_against_what_was_sent() -> None:
    """The plain form alone takes half of the upload's time; all that could go saves 0.3 of the other half."""
    model = model_of("residual")
    cuts = whole_blocks(find_units(model))
    shares, harm = {cut.name: surely(0.1) for cut in cuts}, dict.fromkeys([cut.name for cut in cuts], 0.1)

    with pytest.raises(TargetInfeasible, match=r'"latency_ratio": 0\.35'):
        open_ledger(
            model,
            cuts,
            harm,
            shares,
            LatencyRatio(latency_ratio=0.2),
            original_ms=10.0,
            image_shapes=SHAPES,
            plain_ratio=0.5,
        )


def test_of_several_plans_the_least_harmful_that_saves_enough_is_best() -> None:
    model = model_of("residual")
    ledger = ledger_of(model, LatencyRatio(latency_ratio=0.9))
    a, b, c = (Plan((), ratio, harm) for ratio, harm in ((0.85, 0.3), (0.89, 0.2), (0.95, 0.1)))

    assert best_plan(ledger, [a, b, c], LatencyRatio(latency_ratio=0.9)) is b
    assert best_plan(dataclasses.replace(ledger, needed=0.5), [a, b, c], LatencyRatio(latency_ratio=0.5)) is a
