"""Each layer behind a hole is asked for what its namesake writes in the uncut network."""

from __future__ import annotations

import numpy as np
import pytest

from engine.graph.features import find_features
from engine.graph.holes import features_after, find_holes
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.surgery import remove_units
from engine.graph.units import Unit, blocks, find_units
from engine.graph.writers import is_mappable
from engine.recovery.questions import ChannelQuestion, Question, at_holes, questions
from engine.recovery.rows import as_good
from tests.networks import NETWORKS, WITH_UNITS


def plain(name: str) -> Model:
    return normalise(NETWORKS[name][0]())


def asked_of(model: Model, units: list[Unit]) -> tuple[Model, list[Question]]:
    cut = remove_units(model, units)
    wanted = features_after(model, units, find_features(model)).values
    return cut, questions(model, cut, find_holes(model, units), wanted)


@pytest.mark.parametrize("name", [*WITH_UNITS, "plain"])
def test_layers_are_asked_once_and_in_order_for_what_the_uncut_network_has(name: str) -> None:
    model = plain(name)
    for unit in blocks(find_units(model)):
        cut, asked = asked_of(model, [unit])

        order = list(cut.nodes())
        places = [order.index(question.writer.node) for question in asked]
        assert places == sorted(set(places))
        for question in asked:
            wished, written = model.values()[question.target], cut.values()[question.writer.total]
            assert wished.shape is not None
            assert written.shape is not None
            assert wished.shape[1:] == written.shape[1:]


def test_they_begin_before_the_hole_and_end_with_the_features() -> None:
    """Of three blocks the second is gone: the first one's last layer and both of the third one's, not the head."""
    model = plain("residual")
    unit = blocks(find_units(model))[1]

    cut, asked = asked_of(model, [unit])

    assert [question.target == unit.target for question in asked] == [True, False, False]
    assert all(cut.nodes()[question.writer.node].op_type == "Conv" for question in asked)
    assert [question.writer.skip is None for question in asked] == [False, True, False]
    assert asked[:1] == at_holes(model, cut, find_holes(model, [unit]))


@pytest.mark.parametrize("name", [*WITH_UNITS, "plain"])
def test_quickly_a_large_layer_is_asked_for_channels_and_all_others_as_ever(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.graph.writers.QUICK_UNKNOWNS_MAX", 0)
    model, changed = plain(name), 0
    for unit in blocks(find_units(model)):
        cut, asked = asked_of(model, [unit])
        holes, wanted = find_holes(model, [unit]), features_after(model, [unit], find_features(model)).values
        found = questions(model, cut, holes, wanted, quickly=True)

        assert [question.writer.node for question in found] == [question.writer.node for question in asked]
        before_holes = at_holes(model, cut, holes)
        for quick, usual in zip(found, asked, strict=True):
            if isinstance(quick, ChannelQuestion):
                assert usual not in before_holes
                assert is_mappable(cut, usual.writer)
                changed += 1
            else:
                assert quick == usual
    assert changed or name not in ("residual", "plain")


def test_what_is_clipped_is_known() -> None:
    model = plain("inverted_residual")

    _, asked = asked_of(model, blocks(find_units(model))[:1])

    # the stem ends in a Relu and the sum does not, so that no layer is right before the hole
    assert [question.bounds for question in asked] == [(0.0, 6.0), (0.0, 6.0), None]


def test_beyond_a_bound_whatever_is_there_is_good() -> None:
    generator = np.random.default_rng(0)
    target, present = generator.normal(size=(2, 1000)) * 3

    aim = as_good(target, present, -1.0, 2.0)

    np.testing.assert_array_equal(np.clip(aim, -1, 2), np.clip(target, -1, 2))
    assert (np.abs(aim - present) <= np.abs(np.clip(target, -1, 2) - present) + 1e-12).all()
    alike = np.clip(target, -1, 2) == np.clip(present, -1, 2)
    np.testing.assert_array_equal(aim[alike], present[alike])
