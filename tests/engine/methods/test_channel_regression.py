"""Channels go backwards, each time those whose loss a regression of all that is left misses least."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from engine.graph.channels.readings import find_readings
from engine.graph.cuts import Narrowing, remove
from engine.graph.model import Model
from engine.measure.batches import outputs_in_batches
from engine.methods.channel_regression import RIDGE, ROUNDS, _State, backwards, rank
from engine.pricing.sums import Sum
from engine.recovery.closed_form import cut_and_repair
from engine.recovery.moments import Moments
from engine.recovery.questions import Question
from tests.engine.pricing.readers import COMPUTE, group_of, some_images, studied
from tests.networks import Draft

Array = npt.NDArray[np.float64]


def made_up(inputs: Array, weights: Array, repeats: int = 1) -> Sum:
    """A layer that reads each channel as so many numbers, all of them in `inputs`, (rows, channels * repeats)."""
    targets = inputs @ weights
    columns = inputs.T
    moments = Moments((columns @ inputs)[None], (columns @ targets)[None], float((targets**2).sum()))
    rows = np.arange(inputs.shape[1]).reshape(-1, repeats)
    return Sum(None, Question(None, ""), moments, moments, rows, weights)  # type: ignore[arg-type]


def drawn(size: int, outputs: int, random: np.random.Generator) -> Sum:
    """Inputs of many scales that are mixed among one another."""
    mix = np.eye(size) + 0.7 * random.standard_normal((size, size))
    inputs = random.standard_normal((50, size)) @ mix * random.uniform(0.2, 3, size)
    return made_up(inputs, random.standard_normal((size, outputs)))


def loss(one: Sum, gone: list[int]) -> float:
    """What the outputs lose at least without these channels, by one regression from those that stay."""
    power = max(one.fit.power, 1e-30)
    gram = one.gram / power + RIDGE * np.trace(one.gram / power) / len(one.gram) * np.eye(len(one.gram))
    stay = [channel for channel in range(len(gram)) if channel not in gone]
    rooted = np.linalg.cholesky(gram).T  # |rooted (W - W0)|² = (W - W0)' gram (W - W0)
    again = np.linalg.lstsq(rooted[:, stay], rooted @ one.weights, rcond=None)[0]
    return float(((rooted[:, stay] @ again - rooted @ one.weights) ** 2).sum())


def brute_force(sums: list[Sum], size: int) -> list[int]:
    order: list[int] = []
    while len(order) < size:
        left = [channel for channel in range(size) if channel not in order]
        order.append(min(left, key=lambda channel: sum(loss(one, [*order, channel]) for one in sums)))
    return order


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("layers", [1, 2])
def test_one_at_a_time_is_what_trying_every_channel_anew_finds(seed: int, layers: int) -> None:
    """By brute force: every channel that is left is tried with a regression from scratch."""
    random = np.random.default_rng(seed)
    size = int(random.integers(3, 9))
    sums = [drawn(size, int(random.integers(1, 6)), random) for _ in range(layers)]

    order = backwards([_State(one) for one in sums], size)

    assert order[:-1] == brute_force(sums, size)[:-1]
    assert sorted(order) == list(range(size))


@pytest.mark.parametrize("seed", range(3))
def test_of_many_channels_a_few_go_at_once_and_the_idle_ones_first(seed: int) -> None:
    random = np.random.default_rng(seed)
    size, idle = 2 * ROUNDS + 9, 17
    one = drawn(size, 3, random)
    one.weights[idle:] += 1
    one.weights[:idle] = 0

    order = backwards([_State(one)], size)

    assert sorted(order) == list(range(size))
    assert set(order[: idle - 2]) <= set(range(idle))  # three at a time: the last round may take others along


def test_a_channel_that_writes_nothing_or_that_nobody_asks_for_goes_first() -> None:
    random = np.random.default_rng(2)
    inputs = random.standard_normal((60, 6))
    inputs[:, 4] = 0
    weights = random.standard_normal((6, 3))
    weights[2] = 0

    order = backwards([_State(made_up(inputs, weights))], 6)

    assert set(order[:2]) == {2, 4}


REDUNDANT, SIZE = 3, 8


def redundant(seed: int) -> Model:
    """Of eight channels three are mixed from the other five, weight by weight; nothing clips them before the reader."""
    draft = Draft(seed=seed)
    free = draft.random.standard_normal((SIZE - REDUNDANT, 3, 3, 3)) / 5
    mixing = draft.random.standard_normal((REDUNDANT, SIZE - REDUNDANT)) / 2
    every = np.concatenate([free, np.tensordot(mixing, free, axes=1)])[draft.random.permutation(SIZE)]
    x = draft.node("Conv", "image", draft.constant(every), pads=[1] * 4)
    y = draft.node("Softplus", draft.conv(x, SIZE, 5))  # behind a Relu sums below zero would be as good as others
    return draft.model(draft.classify(y, channels=5), ("batch", 3, 8, 8))


@pytest.mark.parametrize("seed", range(6))
def test_exactly_what_the_others_stand_for_goes_and_nothing_is_lost(seed: int) -> None:
    """Those that stay are as many as they are independent, and the repaired network is the original."""
    model = redundant(seed)
    order = rank(studied(model, "node_0_Conv"))
    weights = model.weight("weight_0").reshape(SIZE, -1)
    group = group_of(model, "node_0_Conv")
    step = Narrowing("step", group.name, SIZE, tuple(sorted(order[:REDUNDANT])), frozenset())
    assert np.linalg.matrix_rank(weights[sorted(order[REDUNDANT:])], tol=1e-4) == SIZE - REDUNDANT

    repaired = cut_and_repair(model, [step], some_images(model, 24), some_images(model, 8, seed=4), COMPUTE, seed=0)

    shown = some_images(model, 8, seed=5)
    expected = say(model, shown)
    assert np.abs(say(repaired, shown) - expected).max() < 1e-3 * np.abs(expected).max()
    assert np.abs(say(remove(model, [step]), shown) - expected).max() > 1e-2 * np.abs(expected).max()
    assert find_readings(repaired, group_of(repaired, group.name))[0][0].positions.shape == (SIZE - REDUNDANT, 1)


def say(model: Model, shown: Any) -> npt.NDArray[np.float32]:
    name = model.outputs[0].name
    return np.concatenate([outputs[name] for outputs in outputs_in_batches(model, shown, COMPUTE)])
