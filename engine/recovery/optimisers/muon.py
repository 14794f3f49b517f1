"""Muon: steps of one size in every direction that a layer can learn in, however steep or flat the loss is there."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

import torch
from torch import Tensor, nn

MOMENTUM: Final = 0.9
ROUNDS: Final = 5
SIDE_MAX: Final = 1024
"""Matrices whose shorter side is longer move as vectors do: to straighten them would take longer than the gradient."""
LEAST: Final = 0.01
"""What the elements of a vector count for at least, so that a bias of zeros can move."""


class Muon:
    """A running mean of each parameter's gradient, and the step that it makes.

    A weight of two axes or more is a matrix (first axis, all others). Its step is the mean gradient with every singular
    value brought near 1, times the learning rate and the largest singular value that the weight had at first: a rate
    of 0.002 turns a layer by about 0.2 %. A vector moves by that part of its length.
    Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024. kellerjordan.github.io/posts/muon
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self._parameters = list(parameters)
        self._means = [torch.zeros_like(parameter) for parameter in self._parameters]
        self._sizes = [_size(parameter.detach()) for parameter in self._parameters]

    def forget_gradients(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Change in place the parameters that have a gradient."""
        for parameter, mean, size in zip(self._parameters, self._means, self._sizes, strict=True):
            if parameter.grad is not None:
                mean.mul_(MOMENTUM).add_(parameter.grad)
                parameter.add_(_direction(mean), alpha=-learning_rate * size)

    def state_dict(self) -> dict[str, list[Any]]:
        return {"means": self._means, "sizes": self._sizes}

    def load_state_dict(self, state: dict[str, list[Any]]) -> None:
        """Take over, in place, what `state_dict` gave for the same parameters."""
        self._sizes = list(state["sizes"])
        for mean, given in zip(self._means, state["means"], strict=True):
            mean.copy_(given)


def straightened(matrix: Tensor) -> Tensor:
    """Return the matrix with its singular values brought near 1, between about 0.7 and 1.2, by Newton and Schulz."""
    is_tall = matrix.shape[0] > matrix.shape[1]
    found: Tensor = matrix.T if is_tall else matrix
    found = found / torch.linalg.vector_norm(found).clamp_min(1e-12)
    for _ in range(ROUNDS):
        square = found @ found.T
        found = 3.4445 * found + (-4.7750 * square + 2.0315 * square @ square) @ found
    return found.T if is_tall else found


def _direction(mean: Tensor) -> Tensor:
    if not _is_matrix(mean):
        length: Tensor = torch.linalg.vector_norm(mean).clamp_min(1e-12)
        return mean / length
    return straightened(mean.reshape(len(mean), -1)).reshape(mean.shape)


def _size(weight: Tensor) -> float:
    """Return the largest singular value of a matrix, the length of a vector."""
    if _is_matrix(weight):
        return float(torch.linalg.matrix_norm(weight.reshape(len(weight), -1), 2))
    return max(float(torch.linalg.vector_norm(weight)), LEAST * math.sqrt(weight.numel()))


def _is_matrix(weight: Tensor) -> bool:
    """Tell whether there are several singular values to bring near 1: a single row, such as a bias, has but one."""
    return weight.dim() > 1 and 1 < min(len(weight), weight.numel() // max(len(weight), 1)) <= SIDE_MAX
