"""Layers too large to be refitted weight by weight read sums of the channels that are left: exact where that can be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from engine.graph.channels.groups import find_groups
from engine.graph.channels.readings import find_readings, is_affordable, nodes_around
from engine.graph.channels.remaining import remaining
from engine.graph.cuts import Narrowing, channels_in, remove
from engine.graph.extract import extract
from engine.graph.features import find_features
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.writers import channels_read, output_channels, unknowns
from engine.measure.batches import outputs_in_batches
from engine.pricing.sums import refit
from engine.recovery.channel_map import read_sums, weights_by_channel
from engine.recovery.closed_form import cut_and_repair
from engine.recovery.effort import work_per_image
from engine.recovery.questions import ChannelQuestion, at_cuts
from engine.recovery.reference import Reference
from engine.recovery.ridge import RIDGES
from tests.engine.pricing.readers import CASES, COMPUTE, IMAGE, group_of, some_images, studied
from tests.networks import Draft

Array = npt.NDArray[np.float64]
SMALL = 12
"""So many weights of an output may be asked for here: a 3x3 convolution of six channels has 54, a 1x1 has six."""
LARGE = {
    "convolution": 9,
    "strided and dilated": 6,
    "flattened": 4,
    "read twice": 9,
    "beside another": 9,
    "written by its reader": 9,
}
"""The cases with such a layer, and how many taps or places each of its channels has."""


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.graph.writers.UNKNOWNS_MAX", SMALL)


def mixed(draft: Draft, into: Callable[[Draft, str], str]) -> Model:
    """Six channels of which the last two are sums of the others, and what is made of them."""
    free = draft.random.standard_normal((4, 3, 3, 3)) / 5
    every = np.concatenate([free, np.tensordot(draft.random.standard_normal((2, 4)) / 2, free, axes=1)])
    x = draft.node("Conv", "image", draft.constant(every), pads=[1] * 4)
    return normalise(draft.model(into(draft, x), IMAGE))


def by_a_convolution(draft: Draft, x: str) -> str:
    """Padded with zeros: at the border, too, nothing may be lost."""
    return draft.classify(draft.node("Relu", draft.conv(x, 6, 5)), channels=5)


def head(draft: Draft, x: str) -> str:
    return draft.node("Gemm", draft.node("Relu", x), draft.weight(7, 5), draft.weight(5))


def behind_a_flatten(draft: Draft, x: str) -> str:
    x = draft.node("Flatten", draft.node("AveragePool", x, kernel_shape=[4, 4], strides=[4, 4]))
    return head(draft, draft.node("Gemm", x, draft.weight(24, 7), draft.weight(7)))


def behind_a_reshape(draft: Draft, x: str) -> str:
    """As today's exporter writes it."""
    x = draft.node("AveragePool", x, kernel_shape=[4, 4], strides=[4, 4])
    x = draft.node("Reshape", x, draft.constant([-1, 24], np.int64))
    return head(draft, draft.node("Gemm", x, draft.weight(7, 24), draft.weight(7), transB=1))


def say(model: Model, seed: int = 5) -> npt.NDArray[np.float32]:
    name = model.outputs[0].name
    found = [outputs[name] for outputs in outputs_in_batches(model, some_images(model, 8, seed=seed), COMPUTE)]
    return np.concatenate(found)


def the_last(model: Model, count: int) -> Narrowing:
    (group, *_) = find_groups(model).groups
    gone = tuple(range(group.size - count, group.size))
    return Narrowing("step", group.name, group.size, gone, nodes_around(model, group))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("into", [by_a_convolution, behind_a_flatten, behind_a_reshape])
def test_nothing_is_lost_where_the_others_can_stand_in(into: Callable[[Draft, str], str], seed: int) -> None:
    model = mixed(Draft(seed=seed), into)
    step = the_last(model, 2)
    (asked,) = at_cuts(model, remove(model, [step]), [], remaining(model, channels_in([step])))[:1]

    repaired = cut_and_repair(model, [step], some_images(model, 24), some_images(model, 8, seed=9), COMPUTE, seed=0)

    assert isinstance(asked, ChannelQuestion)
    expected = say(model)
    scale = np.abs(expected).max()
    assert np.abs(say(remove(model, [step])) - expected).max() > 1e-2 * scale
    assert np.abs(say(repaired) - expected).max() < 1e-3 * scale


@pytest.mark.parametrize("name", LARGE)
def test_a_large_layer_is_asked_for_channels_and_nothing_gets_worse(name: str) -> None:
    case = CASES[name]
    model = case.build()
    group = group_of(model, case.name)
    layers = [one.layer for one in find_readings(model, group)[0]]
    held_out = some_images(model, 8, seed=9)
    reference = Reference(model, find_features(model), held_out, COMPUTE)
    step = Narrowing("step", group.name, group.size, (1, group.size - 1), nodes_around(model, group))

    repaired = cut_and_repair(model, [step], some_images(model, 24), held_out, COMPUTE, seed=0)

    assert is_affordable(model, group)
    assert {unknowns(model, one) // channels_read(model, one) for one in layers} <= {1, LARGE[name]}
    errors = [reference.error_of(each, find_features(model)) for each in (repaired, remove(model, [step]))]
    assert errors[0] < errors[1]


def channels_of(model: Model, value: str, count: int, seed: int) -> Array:
    """What a map has of its channels, place by place."""
    shown = some_images(model, count, seed=seed)
    found = [outputs[value] for outputs in outputs_in_batches(extract(model, [value]), shown, COMPUTE)]
    return np.moveaxis(np.concatenate(found), 1, -1).reshape(-1, 6).astype(np.float64)


def by_hand(fit: Array, check: Array, stay: list[int]) -> Array:
    """The map of the ridge that is closest on held-out rows, or each channel for itself."""
    alone, left = np.eye(fit.shape[1])[stay], fit[:, stay]
    strengths = [ridge * np.square(left).sum() / len(stay) for ridge in RIDGES]
    grams = [left.T @ left + strength * np.eye(len(stay)) for strength in strengths]
    maps = [np.linalg.solve(g, left.T @ fit + s * alone) for g, s in zip(grams, strengths, strict=True)]
    return min([*maps, alone], key=lambda each: float(np.square(check - check[:, stay] @ each).sum()))


@pytest.mark.parametrize("name", ["convolution", "flattened"])
def test_the_map_is_least_squares_over_channels_by_hand(name: str) -> None:
    """W' = B W: every tap and place of a channel that is gone is read from the same sum of those that stay."""
    case, stay = CASES[name], [0, 2, 3, 5]
    model = case.build()
    cut = remove(model, [Narrowing("step", case.name, 6, (1, 4), frozenset())])
    (one,) = studied(model, case.name).sums
    layer = one.reading.layer

    refit(model, cut, one, case.name, [1, 4])

    seen = [channels_of(model, "relu_1", count, seed) for count, seed in ((12, 3), (5, 4))]
    best, before = by_hand(*seen, stay), model.weight(layer.weight)
    if name == "convolution":
        expected = np.einsum("sc,ocij->osij", best, before)
    else:
        expected = np.einsum("sc,cpo->spo", best, before.reshape(6, 4, -1)).reshape(16, -1)
    np.testing.assert_allclose(cut.weight(layer.weight), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in LARGE if name != "beside another"])
def test_weights_by_channel_are_those_that_read_it(name: str) -> None:
    """For each channel its taps or places in order, and for each of those all outputs."""
    case = CASES[name]
    model = case.build()

    for one in studied(model, case.name).sums:
        layer = one.reading.layer
        weight = model.weight(layer.weight)
        outputs_last = np.moveaxis(weight, 0, -1) if weight.ndim == 4 else weight  # (channels, kh, kw, outputs)

        found = weights_by_channel(model, layer)

        assert found.shape == (6, unknowns(model, layer) // 6, output_channels(model, layer))
        np.testing.assert_array_equal(found, outputs_last.reshape(found.shape))


def test_where_each_channel_is_closest_to_itself_nothing_is_changed() -> None:
    """As in a network that lacks nothing."""
    model = CASES["convolution"].build()
    cut, (one,) = model.copy(), studied(model, "node_0_Conv").sums
    assert isinstance(one.question, ChannelQuestion)

    read_sums(model, cut, one.question, one.fit, one.check)

    np.testing.assert_allclose(cut.weight(one.reading.layer.weight), model.weight(one.reading.layer.weight), atol=1e-5)


def test_a_layer_that_is_neither_small_nor_of_few_channels_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    model = CASES["convolution"].build()
    group = group_of(model, "node_0_Conv")
    monkeypatch.setattr("engine.graph.writers.UNKNOWNS_MAX", 5)

    assert not is_affordable(model, group)
    step = Narrowing("step", group.name, 6, (1,), nodes_around(model, group))
    assert at_cuts(model, remove(model, [step]), [], remaining(model, channels_in([step]))) == []


def test_a_large_layer_that_writes_the_first_part_of_a_sum_is_asked_all_the_same() -> None:
    """As in a block with downsampling: what is asked is of what it reads, whoever writes the sum last."""
    draft = Draft()
    x = draft.node("Relu", draft.conv("image", 3, 6))
    x = draft.node("Add", draft.conv(x, 6, 5), draft.conv("image", 3, 5, kernel=1))
    model = normalise(draft.model(draft.classify(draft.node("Relu", x), channels=5), IMAGE))
    step = the_last(model, 2)

    asked = at_cuts(model, remove(model, [step]), [], remaining(model, channels_in([step])))

    assert [type(question) for question in asked] == [ChannelQuestion]


def test_rows_of_a_map_are_no_channels() -> None:
    """Behind a map of channels last that was made one vector, a channel that is gone leaves no whole row."""
    draft = Draft()
    x = draft.node("Relu", draft.conv("image", 3, 6, stride=4))
    x = draft.node("Reshape", draft.node("Transpose", x, perm=[0, 2, 3, 1]), draft.constant([-1, 24], np.int64))
    model = normalise(draft.model(head(draft, draft.node("Gemm", x, draft.weight(24, 7), draft.weight(7))), IMAGE))
    step = the_last(model, 2)

    assert not is_affordable(model, group_of(model, step.group))
    assert at_cuts(model, remove(model, [step]), [], remaining(model, channels_in([step]))) == []


@pytest.mark.parametrize("name", ["convolution", "flattened"])
def test_the_work_is_counted_where_the_rows_are(name: str) -> None:
    """Of the map that is read, whatever becomes of it: 64 places of six channels, or four behind a Flatten."""
    model = CASES[name].build()
    (one,) = find_readings(model, group_of(model, "node_0_Conv"))[0]
    question = ChannelQuestion(one.layer, one.layer.reads, np.arange(6))
    shown = some_images(model, 1)

    work = work_per_image(model, model, [question], shown) - work_per_image(model, model, [], shown)

    assert work == 6 * 6 * {"convolution": 64, "flattened": 4}[name]
