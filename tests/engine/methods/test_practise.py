"""A unit's harm is the error of the whole repaired network, and a set's price that of all its units together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest

from engine.allowance import AMPLE, Allowance
from engine.data.images import ImageSet
from engine.data.synthesis.draw import draw_images
from engine.graph.extract import extract
from engine.graph.features import find_features
from engine.graph.holes import features_after
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.surgery import remove_units
from engine.graph.units import blocks, find_units
from engine.measure.batches import outputs_in_batches
from engine.methods import practise
from engine.methods.practise import harm
from engine.pricing.judging import Trial, judge
from engine.pricing.sets import price_set
from engine.pricing.study import Study
from engine.progress import Tell
from engine.recipe import Deploy, Preprocess
from engine.recovery import closed_form
from engine.recovery.closed_form import cut_and_repair, repair_each
from engine.recovery.reference import Reference
from tests.networks import NETWORKS, images

COMPUTE = Deploy(threads=1)


def silent(done: float, doing: str) -> None:
    pass


def some_images(model: Model, count: int, seed: int = 3) -> ImageSet:
    (inputs,) = images(model, batch=count, seed=seed).values()
    return ImageSet(inputs.astype(np.float32), None, tuple(f"image{i}" for i in range(count)))


def study_of(name: str, judges: int = 40) -> Study:
    model = normalise(NETWORKS[name][0]())
    reference = Reference(model, find_features(model), some_images(model, judges, seed=4), COMPUTE)
    units = tuple(blocks(find_units(model)))
    return Study(model, units, some_images(model, 40), reference, COMPUTE, seed=0)


@pytest.mark.parametrize("name", ["residual", "residual_of_one", "inverted_residual", "transformer", "nested", "plain"])
def test_judging_from_the_hole_on_is_judging_the_whole_network(name: str) -> None:
    study = study_of(name)
    without = repair_each(study.model, study.units, study.repair, study.reference.images, COMPUTE, seed=study.seed)

    found = harm(study, silent)

    assert list(found) == [unit.name for unit in study.units]
    for unit in study.units:
        found_in = features_after(study.model, [unit], study.reference.features)
        whole = study.reference.error_of(without(unit), found_in)
        plain = study.reference.error_of(remove_units(study.model, [unit]), found_in)
        assert found[unit.name] == pytest.approx(min(whole, plain), rel=1e-4)


@pytest.mark.parametrize("name", ["residual", "inverted_residual", "transformer", "nested"])
def test_a_price_is_what_the_repair_of_the_delivered_network_leaves(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of units, which are repaired in one step; a price knows no part of the way, only all of it and none."""
    monkeypatch.setattr(closed_form, "PARTS", (1.0, 0.0))
    study = study_of(name)
    price, judge = price_set(study), study.reference

    assert price([]) == 0.0
    for units in [*combinations(study.units, 1), *combinations(study.units, 2)]:
        delivered = cut_and_repair(study.model, units, study.repair, judge.images, COMPUTE, seed=study.seed)
        left = judge.error_of(delivered, features_after(study.model, units, judge.features))
        assert price(units) == pytest.approx(left, rel=1e-4)


def test_an_answer_that_is_no_number_is_infinitely_wrong() -> None:
    """So a repair that overflows is never the least of several, whichever of them is asked first."""
    study = study_of("residual")
    judge = study.reference
    right = list(outputs_in_batches(extract(study.model, judge.features.values), judge.images, COMPUTE))

    assert judge.error(right, judge.features) < 1e-9
    for odd in (np.nan, np.inf):
        strange = [{name: array.copy() for name, array in answer.items()} for answer in right]
        next(iter(strange[0].values())).flat[0] = odd
        assert judge.error(strange, judge.features) == np.inf


def test_a_set_costs_the_same_whenever_it_is_asked_for_and_less_than_without_repair() -> None:
    study = study_of("residual")
    price, pair = price_set(study), study.units[:2]
    found_in = features_after(study.model, pair, study.reference.features)

    first = price(pair)
    price(study.units[1:])

    assert price(pair) == first
    assert first < study.reference.error_of(remove_units(study.model, pair), found_in)


def test_images_that_were_drawn_judge_as_well() -> None:
    """With no image of the user's, the statistics are those of procedural ones: nothing else changes."""
    study = study_of("residual")
    drawn = draw_images(study.model.inputs[0], Preprocess(), 40, seed=0)
    few, others = drawn.take(np.arange(24)), drawn.take(np.arange(24, 40))
    reference = Reference(study.model, study.reference.features, others, COMPUTE)
    study = dataclasses.replace(study, repair=few, reference=reference)

    found = harm(study, silent)

    for unit in study.units:
        found_in = features_after(study.model, [unit], reference.features)
        assert found[unit.name] < reference.error_of(remove_units(study.model, [unit]), found_in)


def test_in_a_short_time_only_repaired_networks_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    study = dataclasses.replace(study_of("residual"), allowance=Allowance(0.1, is_short=True))
    asked: list[str] = []

    def spied(study: Study, trials: Sequence[Trial], tell: Tell) -> dict[str, float]:
        asked.extend(trial.name for trial in trials)
        return judge(study, trials, tell)

    monkeypatch.setattr(practise, "judge", spied)

    found, whole = harm(study, silent), harm(dataclasses.replace(study, allowance=AMPLE), silent)

    assert asked == [unit.name for unit in study.units] * 3  # once in the short time, twice in the ample one
    assert all(found[name] >= whole[name] for name in found)
