"""What a set costs is told by images that it was not repaired from, and by as many of them as there are to spare."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.data.images import ImageSet, together
from engine.graph.features import find_features
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.units import blocks, find_units
from engine.pricing import sets
from engine.pricing.study import Study
from engine.recovery.reference import Reference
from tests.engine.pricing.readers import COMPUTE, some_images
from tests.networks import NETWORKS

HELD_OUT, OTHERS, MADE = 4, 24, 6


def named(images: ImageSet, start: str) -> ImageSet:
    return dataclasses.replace(images, names=tuple(f"{start}{number}" for number in range(len(images))))


def study_of(model: Model, judges: int, of_user: bool = True) -> Study:
    """Return a study whose repair has two views of each of the user's images, and made ones beside them."""
    mine = named(some_images(model, OTHERS, seed=1), "mine")
    held_out = named(some_images(model, HELD_OUT, seed=4), "held out")
    repair = together(mine, mine, named(some_images(model, MADE, seed=2), "made"))
    subject = SimpleNamespace(sent=frozenset({*mine.names, *held_out.names} if of_user else ()))
    reference = Reference(model, find_features(model), held_out, COMPUTE)
    units = tuple(blocks(find_units(model)))
    return Study(model, units, repair, reference, COMPUTE, seed=0, subject=subject, judges=judges)


@pytest.mark.parametrize("of_user", [True, False])
@pytest.mark.parametrize("judges", [0, HELD_OUT, HELD_OUT + 3, 100])
@pytest.mark.parametrize("name", ["residual", "inverted_residual"])
def test_no_set_is_judged_by_what_it_was_repaired_from(
    name: str, judges: int, of_user: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, fitted, judging = normalise(NETWORKS[name][0]()), list[list[ImageSet]](), list[ImageSet]()
    study = study_of(model, judges, of_user)
    error_of = Reference.error_of

    def refit(original: Model, cut: Model, asked: object, images: list[ImageSet], *rest: object) -> None:
        fitted.append(images)

    def judge(reference: Reference, *answer: Any) -> float:
        judging.append(reference.images)
        return error_of(reference, *answer)

    monkeypatch.setattr(sets, "refit_in_order", refit)
    monkeypatch.setattr(Reference, "error_of", judge)
    price = sets.price_set(study)
    prices = [price([unit]) for unit in study.units]

    assert all(np.isfinite(prices))
    assert len(fitted) == len(study.units) > 0
    spare = min(max(judges - HELD_OUT, 0), OTHERS // 3) if of_user else 0
    for learnt, checked in fitted:
        assert len(learnt) == min(sets.REPAIR_IMAGES, 2 * (OTHERS - spare) + MADE)
        assert checked.names == study.reference.images.names
        for judged in judging:
            assert set(learnt.names).isdisjoint(judged.names)
    for judged in judging:
        assert len(judged) == len(set(judged.names)) == HELD_OUT + spare  # of each image one view
        assert not any(each.startswith("made") for each in judged.names)


def test_the_same_set_always_costs_the_same() -> None:
    model = normalise(NETWORKS["residual"][0]())

    first, again = (sets.price_set(study_of(model, 100)) for _ in range(2))

    for unit in study_of(model, 0).units:
        assert first([unit]) == first([unit]) == again([unit]) > 0
    assert first([]) == 0
