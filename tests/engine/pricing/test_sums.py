"""Sums say of channels what a direct look at the values says, and refit their readers as numpy would by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import pytest
import torch

from engine.data.images import ImageSet
from engine.graph.channels.remaining import remaining
from engine.graph.channels.remove import remove_channels
from engine.graph.extract import extract
from engine.graph.model import Model
from engine.measure.batches import outputs_in_batches
from engine.pricing.sums import Sum, refit, study_groups
from engine.recovery.closed_form import refit_in_order
from engine.recovery.questions import at_cuts
from engine.recovery.ridge import RIDGES, weights_of
from tests.engine.pricing.readers import CASES, COMPUTE, Case, group_of, some_images, studied
from tests.networks import Draft

Array = npt.NDArray[np.float64]
CLOSE = 1e-4
"""Moments are float32 products, summed up in float64."""


def values_of(model: Model, name: str, shown: ImageSet) -> npt.NDArray[np.float32]:
    return np.concatenate([found[name] for found in outputs_in_batches(extract(model, [name]), shown, COMPUTE)])


def ints(node: ir.Node, name: str, default: list[int]) -> list[int]:
    return list(node.attributes[name].as_ints()) if name in node.attributes else default


def read(model: Model, one: Sum, case: Case, shown: ImageSet) -> Array:
    """What the layer reads of the group, looked up in its values: (rows, channels, numbers of a channel)."""
    node = model.nodes()[one.reading.layer.node]
    values, places = values_of(model, one.reading.layer.reads, shown), case.positions[str(node.name)]
    if node.op_type != "Conv":
        rows = values.reshape(-1, values.shape[-1])
        return rows[:, places].astype(np.float64)
    top, left, bottom, right = ints(node, "pads", [0, 0, 0, 0])
    padded = torch.from_numpy(values[:, places.reshape(-1)].astype(np.float64))
    padded = torch.nn.functional.pad(padded, (left, right, top, bottom))
    kernel = model.weight(one.reading.layer.weight).shape[2:]
    patches = torch.nn.functional.unfold(
        padded, kernel, dilation=ints(node, "dilations", [1, 1]), stride=ints(node, "strides", [1, 1])
    )  # (images, channels * places * taps, rows of an image)
    return np.asarray(patches.transpose(1, 2).reshape(-1, case.size, places.shape[1] * int(np.prod(kernel))).numpy())


def weights_by_channel(model: Model, one: Sum, case: Case) -> Array:
    """(channels, numbers of a channel, outputs)"""
    node = model.nodes()[one.reading.layer.node]
    weight = model.weight(one.reading.layer.weight).astype(np.float64)
    is_transposed = "transB" in node.attributes and node.attributes["transB"].as_int()
    inputs_first = np.moveaxis(weight, 1, 0) if node.op_type == "Conv" or is_transposed else weight
    found = inputs_first[case.positions[str(node.name)]]  # (channels, places, outputs, taps...)
    return np.moveaxis(found, 2, -1).reshape(case.size, -1, found.shape[2])


@pytest.mark.parametrize("name", CASES)
def test_second_moments_are_those_of_the_values_that_the_layer_reads(name: str) -> None:
    """Whatever layer reads the group, and wherever its channels lie: sums over rows, places and taps alike."""
    case = CASES[name]
    model = case.build()
    found = studied(model, case.name)

    assert [one.reading.layer.node for one in found.sums] == list(case.positions)
    for one in found.sums:
        for gram, shown in ((one.gram, some_images(model, 12)), (one.held_out, some_images(model, 5, seed=4))):
            seen = read(model, one, case, shown)
            direct = np.einsum("rct,rdt->cd", seen, seen)
            assert np.abs(gram - direct).max() <= CLOSE * np.abs(direct).max()
        weighed = weights_by_channel(model, one, case).reshape(case.size, -1)
        np.testing.assert_allclose(one.demand, weighed @ weighed.T, rtol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_what_is_written_are_the_weights_of_each_channel_s_own_layer(name: str) -> None:
    case = CASES[name]
    model = case.build()

    written = studied(model, case.name).written

    weights = [model.weight(str(model.nodes()[n].inputs[1].name)) for n in (case.name, *case.written_by)]  # type: ignore[union-attr]  # they have weights
    filters = [(each if case.name.endswith("Conv") else each.T).reshape(case.size, -1) for each in weights]
    np.testing.assert_allclose(written, np.concatenate(filters, axis=1), rtol=1e-6)


def by_hand(inputs: Array, targets: Array, start: Array, ridge: float) -> Array:
    """Least squares by numpy on rows, with rows of their own that draw towards the weights there are."""
    strength = np.sqrt(ridge * (inputs**2).sum() / inputs.shape[1])
    rows = np.concatenate([inputs, strength * np.eye(inputs.shape[1])])
    return np.asarray(np.linalg.lstsq(rows, np.concatenate([targets, strength * start]), rcond=None)[0])


def rows_of(model: Model, one: Sum, shown: ImageSet, case: Case, gone: list[int]) -> tuple[Array, Array]:
    """What the layer reads without these channels, a one for its bias behind, and what it writes with them."""
    seen = np.delete(read(model, one, case, shown), gone, axis=1)
    target = values_of(model, one.reading.layer.total, shown).astype(np.float64)
    is_conv = model.nodes()[one.reading.layer.node].op_type == "Conv"
    target = (np.moveaxis(target, 1, -1) if is_conv else target).reshape(len(seen), -1)
    target = np.delete(target, gone if one.reading.layer.node in case.written_by else [], axis=1)
    ones = np.ones((len(seen), 1 if one.reading.layer.bias else 0))
    return np.concatenate([seen.reshape(len(seen), -1), ones], axis=1), target


def error_of(inputs: Array, targets: Array, weights: Array) -> float:
    return float(((targets - inputs @ weights) ** 2).sum() / (targets**2).sum())


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("beside another", "beside itself")])
@pytest.mark.parametrize("gone", [[0, 3], [1, 2, 4, 5]])
def test_a_refit_is_least_squares_by_hand_and_never_worse_than_the_plain_cut(name: str, gone: list[int]) -> None:
    """Of all ridges the one that answers best on held-out images, or the weights that the cut left."""
    case = CASES[name]
    model = case.build()
    cut = remove_channels(model, {case.name: gone})
    for one in studied(model, case.name).sums:
        fit = rows_of(model, one, some_images(model, 12), case, gone)
        check = rows_of(model, one, some_images(model, 5, seed=4), case, gone)
        start = weights_of(cut, one.reading.layer)[0]

        refit(model, cut, one, case.name, gone)
        found = weights_of(cut, one.reading.layer)[0]

        answers = [*(by_hand(*fit, start, ridge) for ridge in RIDGES), start]
        best = min(answers, key=lambda weights: error_of(*check, weights))
        assert error_of(*check, found) <= error_of(*check, start) * (1 + CLOSE)
        assert error_of(*check, found) == pytest.approx(error_of(*check, best), rel=1e-2, abs=1e-7)
        assert np.abs(found - best).max() <= 1e-2 * np.abs(best).max()


def linear(draft: Draft) -> Model:
    """Nothing clips what the reader writes, so that it is asked for every number of it."""
    x = draft.node("Relu", draft.conv("image", 3, 6))
    y = draft.node("Softplus", draft.conv(x, 6, 5))
    return draft.model(draft.classify(y, channels=5), ("batch", 3, 8, 8))


def test_what_the_repair_of_the_whole_network_asks_of_a_reader_is_the_same() -> None:
    model, gone = linear(Draft()), [0, 3, 4]
    group = group_of(model, "node_0_Conv")
    cut = remove_channels(model, {group.name: gone})
    sets = [some_images(model, 12), some_images(model, 5, seed=4)]
    (study,) = study_groups(model, [group], sets, COMPUTE, seed=0)
    alone = cut.copy()
    (reader,) = study.sums
    refit(model, alone, reader, group.name, gone)

    refit_in_order(model, cut, at_cuts(model, cut, [], remaining(model, {group.name: gone})), sets, COMPUTE, seed=0)

    weight = reader.reading.layer.weight
    np.testing.assert_allclose(cut.weight(weight), alone.weight(weight), rtol=1e-3, atol=1e-5)


def test_groups_are_studied_alike_one_by_one_and_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few groups the memory holds the moments of."""
    case = CASES["tokens"]
    model = case.build()
    groups = [group_of(model, name) for name in ("node_3_MatMul", "node_0_Conv")]
    sets = [some_images(model, 6)]

    def grams() -> dict[str, list[Any]]:
        return {
            study.group.name: [one.fit.gram for one in study.sums]
            for study in study_groups(model, groups, sets, COMPUTE, seed=0)
        }

    together = grams()
    monkeypatch.setattr("engine.recovery.closed_form.MOMENTS_BYTES_MAX", 1)
    apart = grams()

    assert list(together) == list(apart) == [group.name for group in groups]
    for name, found in together.items():
        for one, other in zip(found, apart[name], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5)
