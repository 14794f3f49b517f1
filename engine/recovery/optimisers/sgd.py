"""Stochastic gradient descent with Nesterov's momentum: how networks with batch norms are trained from nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.optim.sgd import sgd

MOMENTUM: Final = 0.9
DECAY: Final = 5e-4


class Sgd:
    """A running sum of each parameter's gradient. Only weights of two axes or more decay: no bias and no norm.

    Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], weight_decay: float = DECAY) -> None:
        self._parameters = list(parameters)
        self._weight_decay = weight_decay
        self._sums = [torch.zeros_like(parameter) for parameter in self._parameters]

    def forget_gradients(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Change in place the parameters that have a gradient."""
        for decays in (True, False):
            rows = zip(self._parameters, self._sums, strict=True)
            moved = [row for row in rows if row[0].grad is not None and (row[0].dim() > 1) == decays]
            if moved:
                self._move(moved, learning_rate, self._weight_decay if decays else 0.0)

    def _move(self, rows: list[tuple[nn.Parameter, Tensor]], learning_rate: float, weight_decay: float) -> None:
        gradients: Any = [parameter.grad for parameter, _ in rows]
        sums: Any = [row[1] for row in rows]
        sgd(
            [parameter for parameter, _ in rows],
            gradients,
            sums,
            weight_decay=weight_decay,
            momentum=MOMENTUM,
            lr=learning_rate,
            dampening=0.0,
            nesterov=True,
            maximize=False,
        )

    def state_dict(self) -> dict[str, list[Tensor]]:
        return {"sums": self._sums}

    def load_state_dict(self, state: dict[str, list[Tensor]]) -> None:
        """Take over, in place, what `state_dict` gave for the same parameters."""
        for mine, given in zip(self._sums, state["sums"], strict=True):
            mine.copy_(given)
