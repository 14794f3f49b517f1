"""Our gradient descent takes the steps that its paper writes down, and lets matrices alone decay."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from engine.recovery.optimisers.sgd import MOMENTUM, Sgd

DECAY = 0.1
RATES = (1e-2, 3e-1, 1e-1, 0.0)


def gradient(step: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(step).standard_normal(shape).astype(np.float32)


def walked(start: np.ndarray, decay: float) -> np.ndarray:
    """Momentum that looks ahead, in the form in which the gradient is taken where the weight is."""
    weight, total = start.astype(np.float64), np.zeros(start.shape)
    for step, rate in enumerate(RATES, 1):
        found = gradient(step, start.shape) + decay * weight
        total = MOMENTUM * total + found
        weight = weight - rate * (found + MOMENTUM * total)
    return weight


def take(optimiser: Sgd, parameters: list[nn.Parameter], steps: range) -> None:
    for step in steps:
        optimiser.forget_gradients()
        for parameter in parameters:
            parameter.grad = torch.from_numpy(gradient(step, tuple(parameter.shape)))
        optimiser.step(RATES[step - 1])


def test_it_walks_as_the_paper_says_and_leaves_alone_what_has_no_gradient() -> None:
    matrix, vector = gradient(0, (4, 3)), gradient(0, (5,))
    used = [nn.Parameter(torch.from_numpy(start.copy())) for start in (matrix, vector)]
    unused = nn.Parameter(torch.ones(2))
    optimiser = Sgd([unused, *used], weight_decay=DECAY)

    take(optimiser, used, range(1, 5))

    np.testing.assert_allclose(used[0].detach().numpy(), walked(matrix, DECAY), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(used[1].detach().numpy(), walked(vector, 0.0), rtol=1e-5, atol=1e-6)
    assert unused.tolist() == [1.0, 1.0]


def test_it_goes_on_from_what_it_has_kept() -> None:
    start = gradient(0, (4, 3))
    parameter = nn.Parameter(torch.from_numpy(start.copy()))
    first, second = Sgd([parameter], weight_decay=DECAY), Sgd([parameter], weight_decay=DECAY)
    take(first, [parameter], range(1, 3))

    second.load_state_dict(first.state_dict())
    take(second, [parameter], range(3, 5))

    np.testing.assert_allclose(parameter.detach().numpy(), walked(start, DECAY), rtol=1e-5, atol=1e-6)
