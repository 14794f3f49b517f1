"""The closed form finds what can be found, and never makes a hole worse than leaving it open."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.allowance import AMPLE, Allowance, allowance
from engine.data.images import ImageSet
from engine.graph.features import find_features
from engine.graph.holes import features_after, find_holes
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.surgery import remove_units
from engine.graph.units import blocks, find_units
from engine.graph.writers import Writer, find_writer
from engine.measure.batches import outputs_in_batches
from engine.recipe import Deploy
from engine.recovery import closed_form
from engine.recovery.closed_form import cut_and_repair, refit_in_order, repair_each
from engine.recovery.effort import WORK_MAX
from engine.recovery.moments import Moments
from engine.recovery.questions import Question, ask, at_holes, questions
from engine.recovery.reference import Reference
from engine.recovery.ridge import ridge_regression
from tests.networks import CHANNELS, NETWORKS, WITH_UNITS, Draft, images, stem

COMPUTE = Deploy(threads=1)
SHORT = Allowance(0.1, is_short=True)


def plain(name: str) -> Model:
    return normalise(NETWORKS[name][0]())


def some_images(model: Model, count: int = 24, seed: int = 3) -> ImageSet:
    (inputs,) = images(model, batch=count, seed=seed).values()
    return ImageSet(inputs.astype(np.float32), None, tuple(f"image{i}" for i in range(count)))


def say(model: Model, shown: ImageSet) -> NDArray[np.float32]:
    """The first output for all images."""
    name = model.outputs[0].name
    return np.concatenate([outputs[name] for outputs in outputs_in_batches(model, shown, COMPUTE)])


def writers(model: Model) -> list[Writer]:
    """Every writer that some unit's removal would ask for."""
    holes = [(unit, find_holes(model, [unit])[0]) for unit in blocks(find_units(model))]
    questions = [ask(model, remove_units(model, [unit]), hole) for unit, hole in holes]
    return [question.writer for question in questions if question is not None]


@pytest.mark.parametrize("name", [*WITH_UNITS, "plain"])
def test_weights_that_were_spoilt_are_found_again(name: str) -> None:
    """A writer with random weights, asked to write what the uncut network has there, gets back weights that do."""
    model = plain(name)
    shown = some_images(model, 48)
    for writer in writers(model):
        spoilt, generator = model.copy(), np.random.default_rng(0)
        old = spoilt.weight(writer.weight)
        spoilt.set_weight(writer.weight, (old + generator.normal(0, 0.3, old.shape)).astype(np.float32))

        refit_in_order(model, spoilt, [Question(writer, writer.total)], [shown], COMPUTE, seed=0)

        expected = say(model, shown)
        error = np.abs(say(spoilt, shown) - expected).max() / np.abs(expected).max()
        assert error < 2e-2, writer  # the least ridge, 1e-4, still draws towards the spoilt weights


@pytest.mark.parametrize("name", ["residual", "branch_first", "inverted_residual", "transformer", "plain"])
def test_every_kind_of_network_has_a_writer_to_ask(name: str) -> None:
    assert writers(plain(name))


@pytest.mark.parametrize("name", [*WITH_UNITS, "plain"])
def test_repair_brings_the_features_closer_on_the_images_it_has_seen(name: str) -> None:
    model = plain(name)
    shown, units = some_images(model, 48), blocks(find_units(model))
    reference = Reference(model, find_features(model), shown, COMPUTE)
    found_in = features_after(model, units[-1:], reference.features)

    left = reference.error_of(remove_units(model, units[-1:]), found_in)
    repaired = reference.error_of(cut_and_repair(model, units[-1:], shown, shown, COMPUTE, seed=0), found_in)

    # least squares looks at the sum, before the Relu that the features lie behind: it may lose a little there
    assert repaired <= left * 1.1


def test_one_pass_for_all_units_is_the_same_as_one_for_each() -> None:
    model = plain("residual")
    shown, units = some_images(model), blocks(find_units(model))
    without = repair_each(model, units, shown, shown, COMPUTE, seed=0)

    for unit in units:
        alone = remove_units(model, [unit])
        (question,) = at_holes(model, alone, find_holes(model, [unit]))
        refit_in_order(model, alone, [question], [shown], COMPUTE, seed=0)
        together = without(unit).weight(question.writer.weight)
        np.testing.assert_allclose(together, alone.weight(question.writer.weight), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("seconds", "part"), [(60.0, 0.1), (300.0, 0.5), (600.0, 1.0), (3600.0, 1.0)])
def test_a_repair_takes_its_part_of_an_ample_budgets_work(
    seconds: float, part: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = plain("residual")
    units, shown, asked = blocks(find_units(model))[:1], some_images(model, 24), list[float]()

    def affordable(original: Model, cut: Model, questions: object, images: ImageSet, work_max: float) -> ImageSet:
        asked.append(work_max)
        return images

    monkeypatch.setattr(closed_form, "affordable", affordable)
    allowed = allowance(model, {"image": (3, 16, 16)}, seconds)
    cut_and_repair(model, units, shown, shown, COMPUTE, seed=0, allowance=allowed)

    assert asked == [pytest.approx(part * WORK_MAX)]


@pytest.mark.parametrize("allowed", [AMPLE, SHORT])
@pytest.mark.parametrize("name", [*WITH_UNITS, "plain"])
def test_repair_inserts_nothing_and_never_harms_on_held_out_images(name: str, allowed: Allowance) -> None:
    """The graph is that of the plain cut, node for node and shape for shape; only numbers differ."""
    model = plain(name)
    units, held_out = blocks(find_units(model))[:2], some_images(model, 8, seed=9)
    reference = Reference(model, find_features(model), held_out, COMPUTE)
    found_in, cut = features_after(model, units, reference.features), remove_units(model, units)

    repaired = cut_and_repair(model, units, some_images(model, 6), held_out, COMPUTE, seed=0, allowance=allowed)

    assert list(repaired.nodes()) == list(cut.nodes())
    weights = cut.graph.initializers
    assert {name: repaired.weight(name).shape for name in repaired.graph.initializers} == {
        name: cut.weight(name).shape for name in weights
    }
    assert reference.error_of(repaired, found_in) <= reference.error_of(cut, found_in)


def test_all_layers_behind_a_hole_repair_better_than_the_one_before_it() -> None:
    model = plain("residual")
    shown, held_out, units = some_images(model, 48), some_images(model, 24, seed=9), blocks(find_units(model))[:1]
    reference = Reference(model, find_features(model), held_out, COMPUTE)
    found_in, alone = features_after(model, units, reference.features), remove_units(model, units)
    refit_in_order(model, alone, at_holes(model, alone, find_holes(model, units)), [shown, held_out], COMPUTE, seed=0)

    repaired = cut_and_repair(model, units, shown, held_out, COMPUTE, seed=0)

    assert reference.error_of(repaired, found_in) < 0.95 * reference.error_of(alone, found_in)


def test_what_was_trained_is_refitted_at_new_holes_only() -> None:
    model = plain("residual")
    shown, units = some_images(model), blocks(find_units(model))
    trained = remove_units(model, units[:1])
    for name in list(trained.graph.initializers):
        trained.set_weight(name, trained.weight(name) * 1.01)

    further = cut_and_repair(model, units[::2], shown, shown, COMPUTE, seed=0, start=trained, gone=units[:1])

    (question,) = at_holes(model, further, find_holes(model, units[2:]))
    changed = {n for n in further.graph.initializers if not np.array_equal(further.weight(n), trained.weight(n))}
    assert changed == {question.writer.weight, question.writer.bias}


def test_ridge_regression_meets_the_normal_equations_of_each_group() -> None:
    generator = np.random.default_rng(5)
    inputs, targets = generator.normal(size=(4, 200, 6)), generator.normal(size=(4, 200, 3))
    start, columns = generator.normal(size=(4, 6, 3)), inputs.transpose(0, 2, 1)
    moments = Moments(columns @ inputs, columns @ targets, float((targets**2).sum()))

    weights = ridge_regression(moments, start, ridge=0.1)

    for group in range(4):
        strength = 0.1 * np.diag(moments.gram[group]).mean()
        pull = strength * (weights[group] - start[group])
        assert np.abs(columns[group] @ (inputs[group] @ weights[group] - targets[group]) + pull).max() < 1e-9
    direct = float(((targets - inputs @ weights) ** 2).sum() / (targets**2).sum())
    assert moments.residual(weights) == pytest.approx(direct, rel=1e-9)


def test_a_group_that_nothing_comes_into_keeps_its_weights() -> None:
    start = np.random.default_rng(6).normal(size=(2, 5, 1))
    nothing = Moments(np.zeros((2, 5, 5)), np.zeros((2, 5, 1)), 0.0)

    np.testing.assert_allclose(ridge_regression(nothing, start, ridge=0.1), start)


@pytest.mark.parametrize("group", [1, 2, CHANNELS])
def test_layers_of_groups_are_found_again(group: int) -> None:
    """Dense, grouped and depthwise: random weights get back what writes the uncut network's values."""
    draft = Draft()
    x = draft.conv(stem(draft), CHANNELS, 2 * CHANNELS, group=group)
    model = normalise(draft.model(draft.classify(draft.node("Sigmoid", x), channels=2 * CHANNELS)))
    shown, spoilt = some_images(model, 48), model.copy()
    written = next(node.inputs[0] for node in model.graph if node.op_type == "Sigmoid")
    writer = find_writer(model, str(written.name), through_relu=False)
    assert writer is not None
    old = model.weight(writer.weight)
    spoilt.set_weight(writer.weight, (old + np.random.default_rng(0).normal(0, 0.3, old.shape)).astype(np.float32))

    refit_in_order(model, spoilt, [Question(writer, writer.total)], [shown], COMPUTE, seed=0)

    expected = say(model, shown)
    assert np.abs(say(spoilt, shown) - expected).max() / np.abs(expected).max() < 2e-2


@pytest.mark.parametrize("name", [*WITH_UNITS, "plain"])
def test_holes_say_what_is_read_in_place_of_what(name: str) -> None:
    """With every unit gone, each hole's value is still in the cut graph; its target is not, unless it is an output."""
    model = plain(name)
    units = blocks(find_units(model))
    cut = remove_units(model, units)

    holes = find_holes(model, units)

    outputs = {output.name for output in model.outputs}
    outermost = [unit.name for unit in units if not any(unit.join in other.nodes for other in units)]
    assert sorted(name for hole in holes for name in hole.units) == sorted(outermost)
    assert all(hole.value in cut.values() for hole in holes)
    assert all(hole.target not in cut.values() or hole.target in outputs for hole in holes)


def test_what_others_read_too_is_not_refitted_for_a_run() -> None:
    """Two layers read one value; where the one is gone, the other still wants the value as it is."""
    draft = Draft()
    x = stem(draft)
    x = draft.node("Concat", draft.conv(x, CHANNELS, CHANNELS), draft.conv(x, CHANNELS, 5), axis=1)
    model = normalise(draft.model(draft.classify(draft.node("Relu", x), channels=CHANNELS + 5)))
    (unit,) = find_units(model)
    (hole,) = find_holes(model, [unit])

    assert hole.is_shared
    assert ask(model, remove_units(model, [unit]), hole) is None


def test_a_repair_that_overshoots_is_gone_only_part_of_the_way() -> None:
    """Fitted on two images that resemble no other, the repair is not taken whole."""
    model = plain("residual")
    units, held_out = blocks(find_units(model))[:2], some_images(model, 12, seed=9)
    strange = some_images(model, 2)
    strange = ImageSet(30 * strange.inputs, None, strange.names)
    reference = Reference(model, find_features(model), held_out, COMPUTE)
    found_in = features_after(model, units, reference.features)
    whole = remove_units(model, units)
    asked = questions(model, whole, find_holes(model, units), found_in.values)
    refit_in_order(model, whole, asked, [strange], COMPUTE, seed=0)

    repaired = cut_and_repair(model, units, strange, held_out, COMPUTE, seed=0)

    left = reference.error_of(repaired, found_in)
    assert left < reference.error_of(whole, found_in)
    assert left <= reference.error_of(remove_units(model, units), found_in)


@pytest.mark.parametrize("name", WITH_UNITS)
def test_a_short_repair_asks_the_layers_at_cuts_alone(name: str) -> None:
    model = plain(name)
    units, shown = blocks(find_units(model))[:2], some_images(model, 24)
    cut = remove_units(model, units)
    asked = [question.writer for question in at_holes(model, cut, find_holes(model, units))]

    repaired = cut_and_repair(model, units, shown, shown, COMPUTE, seed=0, allowance=SHORT)

    changed = {
        name for name in repaired.graph.initializers if not np.array_equal(repaired.weight(name), cut.weight(name))
    }
    assert changed <= {weight for writer in asked for weight in (writer.weight, writer.bias)}
    assert changed or not asked
