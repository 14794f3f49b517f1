"""Our AdamW takes the steps that its paper writes down."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from engine.recovery.optimisers.adamw import BETAS, EPSILON, AdamW

DECAY = 0.1
RATES = (1e-3, 3e-2, 1e-2, 0.0)


def gradient(step: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(step).standard_normal(shape).astype(np.float32)


def walked(start: np.ndarray) -> np.ndarray:
    """The paper's algorithm 2, line by line."""
    weight, mean, square = start.astype(np.float64), np.zeros(start.shape), np.zeros(start.shape)
    for step, rate in enumerate(RATES, 1):
        found = gradient(step, start.shape)
        mean = BETAS[0] * mean + (1 - BETAS[0]) * found
        square = BETAS[1] * square + (1 - BETAS[1]) * found**2
        even_mean, even_square = mean / (1 - BETAS[0] ** step), square / (1 - BETAS[1] ** step)
        weight = weight - rate * (even_mean / (np.sqrt(even_square) + EPSILON) + DECAY * weight)
    return weight


def take(optimiser: AdamW, parameter: nn.Parameter, steps: range) -> None:
    for step in steps:
        optimiser.forget_gradients()
        parameter.grad = torch.from_numpy(gradient(step, tuple(parameter.shape)))
        optimiser.step(RATES[step - 1])


def test_it_walks_as_the_paper_says_and_leaves_alone_what_has_no_gradient() -> None:
    start = gradient(0, (4, 3))
    used, unused = nn.Parameter(torch.from_numpy(start.copy())), nn.Parameter(torch.ones(2))
    optimiser = AdamW([unused, used], weight_decay=DECAY)

    take(optimiser, used, range(1, 5))

    np.testing.assert_allclose(used.detach().numpy(), walked(start), rtol=1e-5, atol=1e-6)
    assert unused.tolist() == [1.0, 1.0]


def test_it_goes_on_from_what_it_has_kept() -> None:
    start = gradient(0, (4, 3))
    parameter = nn.Parameter(torch.from_numpy(start.copy()))
    first, second = AdamW([parameter], weight_decay=DECAY), AdamW([parameter], weight_decay=DECAY)
    take(first, parameter, range(1, 3))

    second.load_state_dict(first.state_dict())
    take(second, parameter, range(3, 5))

    np.testing.assert_allclose(parameter.detach().numpy(), walked(start), rtol=1e-5, atol=1e-6)
