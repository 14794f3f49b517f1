"""Gates at one change nothing, at zero they are the cut, and what nothing needs is drawn to zero."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.execution.runtime import open_session, run
from engine.graph.channels.groups import find_groups
from engine.graph.channels.ignore import ignore_channels
from engine.graph.features import find_features
from engine.graph.folds import fold
from engine.graph.merges import merge
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.surgery import remove_units
from engine.graph.units import blocks, find_units
from engine.pricing.gates import MOMENTUM, STRIDE, Descent, Gate, Gated, Say, find_gates, learn_gates
from engine.recovery.student import loss
from tests.engine.graph.same import assert_same
from tests.networks import CHANNELS, NETWORKS, Draft, images, stem

CONVOLUTIONAL = ["residual", "inverted_residual", "squeeze_excite", "dense", "plain", "nested", "channels_last"]


def plain(name: str) -> Model:
    return merge(fold(normalise(NETWORKS[name][0]())))


def said(model: Model, gates: list[Gate], values: Tensor | None, seen: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    names = [output.name for output in model.outputs]
    network = Gated(model, gates, "cpu", names)
    found = network(torch.from_numpy(next(iter(seen.values()))), values)
    return {name: found[name].detach().numpy() for name in names}


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_gates_at_one_change_nothing(name: str) -> None:
    model, seen = plain(name), images(plain(name))
    gates = find_gates(model, find_units(model))

    found = said(model, gates, torch.ones(sum(gate.size for gate in gates)), seen)

    assert gates
    assert_same(found, run(open_session(model), seen))


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_a_channel_whose_gate_is_zero_is_one_that_is_gone(name: str) -> None:
    model, seen = plain(name), images(plain(name))
    sizes = {group.name: group.size for group in find_groups(model).groups}
    gates = [gate for gate in find_gates(model, ()) if gate.size == sizes[gate.name]]
    generator = np.random.default_rng(0)

    for place, gate in enumerate(gates):
        gone = generator.choice(gate.size, gate.size // 2, replace=False)
        values = torch.ones(sum(each.size for each in gates))
        values[sum(each.size for each in gates[:place]) + torch.from_numpy(gone)] = 0
        cut = ignore_channels(model, {gate.name: [int(channel) for channel in gone]})
        assert_same(said(model, gates, values, seen), run(open_session(cut), seen))


@pytest.mark.parametrize("name", ["residual", "inverted_residual", "nested", "branch_first"])
def test_a_block_whose_gate_is_zero_is_one_that_is_gone(name: str) -> None:
    model, seen = plain(name), images(plain(name))
    units = blocks(find_units(model))
    gates = [gate for gate in find_gates(model, units) if gate.is_block]

    assert gates
    for unit in units:
        values = torch.tensor([float(gate.name != unit.name) for gate in gates])
        if not values.all():
            cut = remove_units(model, [unit])
            assert_same(said(model, gates, values, seen), run(open_session(cut), seen))


def half_idle() -> tuple[Model, list[int]]:
    """Eight channels between two layers, of which the second reads four with weights near nothing."""
    draft, idle = Draft(), [1, 2, 5, 6]
    weight = draft.random.standard_normal((CHANNELS, CHANNELS, 3, 3)) / 8
    weight[:, idle] *= 1e-3
    x = draft.node("Conv", stem(draft), draft.constant(weight), draft.weight(CHANNELS), pads=[1, 1, 1, 1])
    return normalise(draft.model(draft.classify(draft.node("Relu", x)))), idle


@pytest.mark.parametrize("gamma", [None, 0.02])
def test_channels_that_nothing_needs_are_shut_and_the_others_are_not(gamma: float | None) -> None:
    model, idle = half_idle()
    features = find_features(model)
    inputs = next(iter(images(model, batch=64).values()))
    gates = [gate for gate in find_gates(model, ()) if gate.size == CHANNELS][:1]

    def answer(rows: Tensor, say: Say, values: Tensor) -> Tensor:
        return loss(features, say(values), say(None))

    found = learn_gates(
        model,
        gates,
        inputs,
        answer,
        fetch=[*features.values, *features.logits],
        device="cpu",
        steps=40,
        batch=16,
        gamma=gamma,
        seed=0,
        seconds=60,
    )

    (values,) = found.values()
    needed = np.setdiff1d(np.arange(CHANNELS), idle)
    assert (values[idle] == 0).all()
    assert values[needed].min() > 0.1


def test_descent_walks_as_the_paper_says() -> None:
    """With its momentum and soft threshold; on a parabola it ends where that says, and never below zero."""
    wished, rate, price = torch.tensor([1.0, 0.05, -0.4]), 0.05, 0.1
    step = Descent(torch.ones(3), torch.tensor(rate), torch.tensor(price))
    ahead, speed, here = np.ones(3), np.zeros(3), torch.ones(3)

    for _ in range(400):
        point = ahead - np.clip(rate * (ahead - wished.numpy()), -STRIDE, STRIDE)
        stands = np.maximum(point - rate * price, 0)
        speed = stands - ahead + MOMENTUM * speed
        ahead = stands + MOMENTUM * speed
        here = step.take(here - wished)
        np.testing.assert_allclose(here.numpy(), ahead, rtol=1e-4, atol=1e-6)

    np.testing.assert_allclose(step.stands.numpy(), [0.9, 0.0, 0.0], atol=1e-3)
