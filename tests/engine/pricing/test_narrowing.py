"""Widths on the grid, the channels that go at each, and the harm of that."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from engine.allowance import Allowance
from engine.graph.channels.groups import Group, find_groups
from engine.graph.channels.readings import likeness, nodes_around
from engine.graph.cuts import contains, remove
from engine.graph.features import find_features
from engine.graph.heads import find_heads, rotated
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.units import blocks, find_units
from engine.methods import METHODS
from engine.planning import narrowable
from engine.pricing import narrowing
from engine.pricing.judging import Trial, judge
from engine.pricing.narrowing import GONE, RIDGE, Ladder, local_error, make_ladder, rank_and_judge, ranked
from engine.pricing.sets import price_set
from engine.pricing.study import Study
from engine.pricing.sums import Sum
from engine.progress import Tell
from engine.recovery.moments import Moments
from engine.recovery.questions import Question
from engine.recovery.reference import Reference
from engine.recovery.rotation import find_rotations
from tests.engine.graph.heads.attentions import Spec, network
from tests.engine.pricing.readers import COMPUTE, some_images
from tests.networks import NETWORKS

Array = npt.NDArray[np.float64]


@pytest.mark.parametrize("multiple", [1, 4, 8, 16, 32])
@pytest.mark.parametrize("size", [2, 7, 8, 9, 16, 24, 31, 48, 64, 127, 192, 1152])
def test_widths_are_multiples_of_the_grid_and_fewer_than_the_group(size: int, multiple: int) -> None:
    group = Group("g", size, (), ())

    ladder = make_ladder(group, "kind", frozenset({"node"}), multiple)

    assert (ladder is None) == (size <= multiple)
    steps = () if ladder is None else ladder.steps
    assert all(step.kept % multiple == 0 and 0 < step.kept < size for step in steps)
    assert [step.kept for step in steps] == sorted({step.kept for step in steps}, reverse=True)
    assert len(steps) <= len(GONE)
    assert all(contains(narrow, wide) for wide, narrow in pairwise(steps))
    assert [step.name for step in steps] == [f"g: {step.kept} of {size}" for step in steps]
    if steps and size >= 8 * multiple:
        wanted = [size * (1 - part) for part in GONE]
        assert max(abs(step.kept - width) for step, width in zip(steps, wanted, strict=True)) <= multiple / 2


@pytest.mark.parametrize("seed", range(3))
def test_ranked_widths_lose_what_goes_first_and_more_when_narrower(seed: int) -> None:
    order = [int(c) for c in np.random.default_rng(seed).permutation(48)]
    ladder = make_ladder(Group("g", 48, (), ()), "kind", frozenset(), 8)
    assert ladder is not None

    steps = ranked(ladder.steps, order)

    for old, step in zip(ladder.steps, steps, strict=True):
        assert (step.name, step.kept) == (old.name, old.kept)
        assert set(step.channels) == set(order[: 48 - step.kept])
        assert list(step.channels) == sorted(step.channels)
    assert all(contains(narrow, wide) for wide, narrow in pairwise(steps))


def made_up(fit: Array, check: Array, weights: Array) -> Sum:
    def moments(inputs: Array) -> Moments:
        targets = inputs @ weights
        return Moments((inputs.T @ inputs)[None], (inputs.T @ targets)[None], float((targets**2).sum()))

    rows = np.arange(fit.shape[1])[:, None]
    return Sum(None, Question(None, ""), moments(fit), moments(check), rows, weights)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(5))
def test_the_local_error_is_what_a_map_of_channels_loses_of_the_outputs(seed: int) -> None:
    """Fitted on some rows, lost on others: each channel that is gone is drawn from those that stay."""
    random = np.random.default_rng(seed)
    mix, weights = np.eye(7) + random.standard_normal((7, 7)), random.standard_normal((7, 4))
    fit, check = random.standard_normal((60, 7)) @ mix, random.standard_normal((30, 7)) @ mix
    gone, stay = [1, 4, 6], [0, 2, 3, 5]
    strength = np.sqrt(RIDGE * (fit**2).sum() / 7)
    rows = np.concatenate([fit[:, stay], strength * np.eye(4)])
    drawn = np.linalg.lstsq(rows, np.concatenate([fit[:, gone], np.zeros((4, 3))]), rcond=None)[0]
    seen = check.copy()
    seen[:, gone] = check[:, stay] @ drawn

    lost = local_error([made_up(fit, check, weights)], gone)

    direct = float((((check - seen) @ weights) ** 2).sum())
    whole = float(((check.T @ check) * (weights @ weights.T)).sum())
    assert lost == pytest.approx(direct / whole, rel=1e-6)


def test_what_nobody_asks_for_is_lost_for_nothing() -> None:
    random = np.random.default_rng(0)
    inputs, weights = random.standard_normal((40, 5)), random.standard_normal((5, 3))
    weights[2] = 0
    one = made_up(inputs, inputs, weights)

    assert local_error([one], [2]) == 0
    assert local_error([one], [1]) > 0.01


def study_of(model: Model) -> Study:
    reference = Reference(model, find_features(model), some_images(model, 8, seed=4), COMPUTE)
    return Study(model, tuple(blocks(find_units(model))), some_images(model, 24), reference, COMPUTE, seed=0)


def ladders_of(model: Model) -> list[Ladder]:
    made = [
        make_ladder(group, likeness(model, group), nodes_around(model, group), 2)
        for group in narrowable(model, find_groups(model).groups, ())
    ]
    return [ladder for ladder in made if ladder is not None]


def silent(done: float, doing: str) -> None:
    assert 0 <= done <= 1


RANKING = ["channel_regression", "l1"]


@pytest.mark.parametrize("name", ["residual", "inverted_residual"])
@pytest.mark.parametrize("method", RANKING)
def test_every_width_of_every_group_is_weighed_and_none_below_a_wider_one(name: str, method: str) -> None:
    model = normalise(NETWORKS[name][0]())
    study, ladders, ranking = study_of(model), ladders_of(model), METHODS[method].ranking
    assert ranking is not None

    steps, harm = rank_and_judge(study, ladders, ranking(study), silent)

    assert [step.name for step in steps] == [step.name for ladder in ladders for step in ladder.steps]
    assert list(harm) == [step.name for step in steps]
    for ladder in ladders:
        of_group = [harm[step.name] for step in ladder.steps]
        assert of_group == sorted(of_group)
        assert 0 < of_group[-1] < np.inf


@pytest.mark.parametrize("layout", ["apart", "five"])
def test_of_rotated_heads_the_last_numbers_go_whoever_ranks(layout: str) -> None:
    """Of low rank, they harm nothing until the rank is touched."""
    model = network(Spec(layout=layout, size=16, rank=8))
    groups = find_groups(model).groups
    heads = find_heads(model, groups)
    rotations = find_rotations(model, list(heads.heads.values()), some_images(model, 12), COMPUTE)
    made = [make_ladder(g, likeness(model, g), nodes_around(model, g), 4) for g in groups if g.name in heads.heads]
    ladders = [ladder for ladder in made if ladder is not None]
    new = rotated(model, rotations)
    study = dataclasses.replace(study_of(new), rotations={rotation.heads.group: rotation for rotation in rotations})

    steps, harm = rank_and_judge(study, ladders, lambda of_group: range(of_group.group.size), silent)

    assert steps == [step for ladder in ladders for step in ladder.steps]
    for ladder in ladders:
        assert [step.kept for step in ladder.steps] == [12, 8, 4]
        *wide, narrow = (harm[step.name] for step in ladder.steps)
        assert wide == sorted(wide)
        assert max(wide) < 1e-4 < narrow


def anchors(ladders: Sequence[Ladder]) -> list[str]:
    return [ladder.steps[(len(ladder.steps) - 1) // 2].name for ladder in ladders]


@pytest.mark.parametrize("name", ["plain", "transformer"])
def test_the_harm_of_the_middle_width_is_what_a_set_of_it_alone_costs(name: str) -> None:
    """Weighed one by one by refitting all readers at once, or as part of a set in the graph's order: about the same."""
    model = normalise(NETWORKS[name][0]())
    study, ladders, ranking = study_of(model), ladders_of(model), METHODS["l1"].ranking
    assert ranking is not None
    steps, harm = rank_and_judge(study, ladders, ranking(study), silent)
    price = price_set(study)

    for step in [step for step in steps if step.name in anchors(ladders)]:
        plain = study.reference.error_of(remove(model, [step]), study.reference.features)

        assert harm[step.name] <= plain * (1 + 1e-6)
        assert price([step]) <= plain * (1 + 1e-6)
        assert price([step]) == pytest.approx(harm[step.name], rel=0.25)


def test_a_set_of_both_kinds_costs_the_same_whenever_it_is_asked_for() -> None:
    model = normalise(NETWORKS["residual"][0]())
    study, ladders = study_of(model), ladders_of(model)
    price, steps = price_set(study), [ladder.steps[-1] for ladder in ladders]
    mixed = [study.units[0], steps[1], steps[2]]

    first = price(mixed)
    alone = price([steps[1]])
    price([steps[2]])

    assert price(mixed) == pytest.approx(first, rel=1e-5)  # kernels of other batches may round otherwise
    assert price([]) == 0
    assert alone < first < np.inf


@pytest.mark.parametrize("name", ["residual", "plain", "inverted_residual"])
def test_in_a_short_time_one_group_of_each_kind_is_judged(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It weighs no less than in an ample time, where the network without repair is judged, too."""
    model = normalise(NETWORKS[name][0]())
    study, ladders, ranking = study_of(model), ladders_of(model), METHODS["l1"].ranking
    assert ranking is not None
    asked: list[Trial] = []

    def spied(study: Study, trials: Sequence[Trial], tell: Tell) -> dict[str, float]:
        asked.extend(trials)
        return judge(study, trials, tell)

    _, ample = rank_and_judge(study, ladders, ranking(study), silent)
    monkeypatch.setattr(narrowing, "judge", spied)
    short = dataclasses.replace(study, allowance=Allowance(1.0, is_short=True))
    steps, harm = rank_and_judge(short, ladders, ranking(short), silent)

    kinds = {ladder.kind for ladder in ladders}
    assert len(asked) == len(kinds)
    assert len(kinds) < len(ladders) or name == "plain"
    assert [step.name for step in steps] == list(harm)
    for ladder in ladders:
        of_group = [harm[step.name] for step in ladder.steps]
        assert of_group == sorted(of_group)
        if ladder.group.name in {trial.name for trial in asked}:
            assert harm[anchors([ladder])[0]] >= ample[anchors([ladder])[0]] * (1 - 1e-6)
