"""Muon's steps have the size that its docstring says, in every direction, and go on from what was kept."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.recovery.optimisers.muon import LEAST, SIDE_MAX, Muon, straightened

RATE = 0.01


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def moved(weight: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """Return by how much one step moves a weight."""
    parameter = nn.Parameter(weight.clone())
    parameter.grad = gradient.clone()
    Muon([parameter]).step(RATE)
    return parameter.detach() - weight


@pytest.mark.parametrize("shape", [(8, 8), (4, 30), (30, 4), (16, 16)])
def test_every_singular_value_comes_near_one_and_no_direction_changes(shape: tuple[int, int]) -> None:
    left, _, right = torch.linalg.svd(drawn(*shape), full_matrices=False)
    steep = left @ torch.diag(torch.logspace(0, 1.5, min(shape))) @ right

    found = left.T @ straightened(steep) @ right.T

    assert (found.diagonal() > 0.5).all()
    assert (found.diagonal() < 1.3).all()
    torch.testing.assert_close(found, torch.diag(found.diagonal()), rtol=0, atol=1e-3)


@pytest.mark.parametrize("shape", [(8, 3, 3, 3), (8, 1, 3, 3), (5, 8), (4, 2, 7)])
def test_a_layer_turns_by_the_rate_however_large_the_gradient_is(shape: tuple[int, ...]) -> None:
    weight, gradient = drawn(*shape), drawn(*shape, seed=1)
    largest = float(torch.linalg.matrix_norm(weight.reshape(len(weight), -1), 2))

    step = moved(weight, gradient)

    assert float(torch.linalg.matrix_norm(step.reshape(len(weight), -1), 2)) == pytest.approx(RATE * largest, rel=0.3)
    torch.testing.assert_close(moved(weight, 1000 * gradient), step, rtol=1e-3, atol=1e-6)


def test_a_vector_moves_against_its_gradient_by_a_part_of_its_length() -> None:
    bias, gradient = drawn(6), drawn(6, seed=1)

    torch.testing.assert_close(moved(bias, gradient), -RATE * bias.norm() * gradient / gradient.norm())


@pytest.mark.parametrize("shape", [(16,), (1, 16, 1, 1), (16, 1)])
def test_a_bias_of_zeros_moves(shape: tuple[int, ...]) -> None:
    step = moved(torch.zeros(shape), drawn(*shape))

    assert float(step.norm()) == pytest.approx(RATE * LEAST * 4)


def test_a_matrix_too_wide_to_straighten_moves_as_a_vector() -> None:
    weight = torch.ones(SIDE_MAX + 1, SIDE_MAX + 1)

    assert float(moved(weight, weight).norm()) == pytest.approx(RATE * (SIDE_MAX + 1), rel=1e-3)


def test_what_has_no_gradient_is_left_alone() -> None:
    parameter = nn.Parameter(drawn(3, 3))

    Muon([parameter]).step(RATE)

    torch.testing.assert_close(parameter.detach(), drawn(3, 3))


def test_it_goes_on_from_what_it_has_kept() -> None:
    def take(optimiser: Muon, parameter: nn.Parameter, steps: range) -> None:
        for step in steps:
            parameter.grad = drawn(4, 6, seed=step)
            optimiser.step(RATE)

    whole, halves = nn.Parameter(drawn(4, 6)), nn.Parameter(drawn(4, 6))
    first = Muon([halves])
    take(Muon([whole]), whole, range(6))
    take(first, halves, range(3))

    second = Muon([halves])
    second.load_state_dict(first.state_dict())
    take(second, halves, range(3, 6))

    torch.testing.assert_close(halves, whole)
