"""Narrowed groups and units that are gone, repaired together: what comes out runs, fits and is no worse for it."""

from __future__ import annotations

from itertools import chain

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from engine.data.images import ImageSet
from engine.graph.channels.groups import find_groups
from engine.graph.channels.readings import likeness, nodes_around
from engine.graph.cuts import Cut, Narrowing, contains, remove, units_in
from engine.graph.features import find_features
from engine.graph.holes import features_after, find_holes
from engine.graph.merges import merge
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.units import find_units
from engine.measure.batches import outputs_in_batches
from engine.planning import narrowable, whole_blocks
from engine.pricing.narrowing import make_ladder
from engine.recovery.closed_form import cut_and_repair
from engine.recovery.questions import ask
from engine.recovery.reference import Reference
from tests.engine.pricing.readers import COMPUTE, some_images
from tests.networks import NETWORKS, Draft, stem


def narrowings(model: Model, part: int = 0) -> list[Narrowing]:
    """The narrowest but `part` of each group that may be narrowed, if there are so many; its last channels gone."""
    made = [
        make_ladder(group, likeness(model, group), nodes_around(model, group), 2)
        for group in narrowable(model, find_groups(model).groups, ())
    ]
    return [ladder.steps[max(len(ladder.steps) - 1 - part, 0)] for ladder in made if ladder is not None]


def mixed(name: str) -> tuple[Model, list[Cut]]:
    """A network, one of its blocks where it has several, and all groups elsewhere at half their width or less."""
    model = normalise(NETWORKS[name][0]())
    units = whole_blocks(find_units(model))
    units = units[:1] if len(units) > 1 else []
    return model, [*units, *(step for step in narrowings(model, 1) if not any(contains(u, step) for u in units))]


def say(model: Model, shown: ImageSet) -> npt.NDArray[np.float32]:
    name = model.outputs[0].name
    return np.concatenate([outputs[name] for outputs in outputs_in_batches(model, shown, COMPUTE)])


NAMES = ["residual", "plain", "inverted_residual", "transformer", "squeeze_excite", "channels_last", "dense"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_cut_both_ways_is_repaired_and_merged(name: str) -> None:
    """As in ResNet, VGG, MobileNetV2 and a transformer's MLP: fewer numbers, the same outputs' shapes, and no harm."""
    model, cuts = mixed(name)
    held_out, shown = some_images(model, 8, seed=9), some_images(model, 6, seed=5)
    reference = Reference(model, find_features(model), held_out, COMPUTE)
    found_in, plain = features_after(model, units_in(cuts), reference.features), remove(model, cuts)

    repaired = cut_and_repair(model, cuts, some_images(model, 16), held_out, COMPUTE, seed=0)

    assert list(repaired.nodes()) == list(plain.nodes())
    weights = [{n: one.weight(n).shape for n in one.graph.initializers} for one in (repaired, plain)]
    assert weights[0] == weights[1]
    assert reference.error_of(repaired, found_in) < reference.error_of(plain, found_in)
    delivered = merge(repaired)
    onnx.checker.check_model(onnx.load_model_from_string(delivered.to_bytes()), full_check=True)
    assert len(delivered.to_bytes()) < len(model.to_bytes())
    expected = say(repaired, shown)
    assert expected.shape == say(model, shown).shape
    assert np.abs(say(delivered, shown) - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("name", ["residual", "plain", "inverted_residual", "transformer"])
def test_narrowing_alone_refits_from_the_first_reader_on(name: str) -> None:
    """What comes before any layer that reads less keeps the weights that the cut left it."""
    model = normalise(NETWORKS[name][0]())
    step = narrowings(model)[-1]
    plain = remove(model, [step])
    readers = next(group.readers for group in find_groups(model).groups if group.name == step.group)
    before = list(plain.nodes())[: list(plain.nodes()).index(readers[0])]

    repaired = cut_and_repair(model, [step], some_images(model, 16), some_images(model, 8, seed=9), COMPUTE, seed=0)

    kept = {
        read.name
        for read in chain.from_iterable(plain.nodes()[node].inputs for node in before)
        if read is not None and read.is_initializer()
    }
    changed = {n for n in repaired.graph.initializers if not np.array_equal(repaired.weight(n), plain.weight(n))}
    assert changed
    assert not changed & kept


def mixtures(seed: int) -> Model:
    """A Relu behind the reader; two of the six channels that it sums over are mixed from the others."""
    draft = Draft(seed=seed)
    free = draft.random.standard_normal((4, 3, 3, 3)) / 5
    every = np.concatenate([free, np.tensordot(draft.random.standard_normal((2, 4)) / 2, free, axes=1)])
    x = draft.node("Conv", "image", draft.constant(every), pads=[1] * 4)
    x = draft.node("Relu", draft.conv(x, 6, 5))
    return draft.model(draft.classify(x, channels=5), ("batch", 3, 8, 8))


@pytest.mark.parametrize("seed", range(4))
def test_what_a_relu_clips_does_not_hide_that_nothing_is_lost(seed: int) -> None:
    """Sums below zero are as good as any below zero; the answer that is exact everywhere is found all the same."""
    model = mixtures(seed)
    (group, *_) = find_groups(model).groups
    step = Narrowing("step", group.name, 6, (4, 5), nodes_around(model, group))

    repaired = cut_and_repair(model, [step], some_images(model, 24), some_images(model, 8, seed=9), COMPUTE, seed=0)

    shown = some_images(model, 8, seed=5)
    expected = say(model, shown)
    assert np.abs(say(remove(model, [step]), shown) - expected).max() > 1e-2 * np.abs(expected).max()
    assert np.abs(say(repaired, shown) - expected).max() < 1e-3 * np.abs(expected).max()


def test_what_was_trained_narrowed_is_refitted_at_new_holes_only() -> None:
    """The layers that read less have learnt since to do with it."""
    model = normalise(NETWORKS["residual"][0]())
    (first, *_), (*_, last) = narrowings(model), whole_blocks(find_units(model))
    shown, trained = some_images(model, 16), remove(model, [first])
    for name in list(trained.graph.initializers):
        trained.set_weight(name, trained.weight(name) * 1.01)

    same = cut_and_repair(model, [first], shown, shown, COMPUTE, seed=0, start=trained, gone=[first])
    more = cut_and_repair(model, [first, last], shown, shown, COMPUTE, seed=0, start=trained, gone=[first])

    assert all(np.array_equal(same.weight(n), trained.weight(n)) for n in same.graph.initializers)
    changed = {n for n in more.graph.initializers if not np.array_equal(more.weight(n), trained.weight(n))}
    (hole,) = find_holes(model, [last])
    question = ask(model, more, hole)
    assert question is not None
    assert changed == {question.writer.weight, question.writer.bias}


def test_draft_of_a_stem_has_nothing_to_narrow() -> None:
    """The only group is what the outputs are compared by."""
    draft = Draft()
    model = normalise(draft.model(draft.classify(stem(draft))))

    assert narrowings(model) == []
