"""AdamW over a network's parameters, without `torch.optim.Optimizer`.

The first of those that a process makes loads torch's compiler: more than a second of every job, for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

BETAS: Final = (0.9, 0.999)
EPSILON: Final = 1e-8
DECAY: Final = 1e-4


class AdamW:
    """The moments of each parameter's gradient, and the step that they make.

    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019. arXiv:1711.05101
    """

    def __init__(self, parameters: Iterable[nn.Parameter], weight_decay: float = DECAY) -> None:
        self._parameters = list(parameters)
        self._weight_decay = weight_decay
        self._means = [torch.zeros_like(parameter) for parameter in self._parameters]
        self._squares = [torch.zeros_like(parameter) for parameter in self._parameters]
        self._steps = [torch.zeros(()) for _ in self._parameters]

    def forget_gradients(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Change in place the parameters that have a gradient."""
        rows = zip(self._parameters, self._means, self._squares, self._steps, strict=True)
        moved = [(row[0].grad, *row) for row in rows if row[0].grad is not None]
        if not moved:
            return
        columns: Any = [list(column) for column in zip(*moved, strict=True)]
        gradients, parameters, means, squares, steps = columns
        adamw(
            parameters,
            gradients,
            means,
            squares,
            [],
            steps,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=learning_rate,
            weight_decay=self._weight_decay,
            eps=EPSILON,
            maximize=False,
        )

    def state_dict(self) -> dict[str, list[Tensor]]:
        return {"means": self._means, "squares": self._squares, "steps": self._steps}

    def load_state_dict(self, state: dict[str, list[Tensor]]) -> None:
        """Take over, in place, what `state_dict` gave for the same parameters."""
        for name, mine in self.state_dict().items():
            for tensor, given in zip(mine, state[name], strict=True):
                tensor.copy_(given)
