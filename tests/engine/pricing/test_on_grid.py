"""Widths of groups whose channels are many columns each: heads, and what a Flatten spreads."""

from __future__ import annotations

import pytest

from engine.pricing.narrowing import on_grid, on_heads_grid


@pytest.mark.parametrize("multiple", [1, 4, 8, 16, 32])
@pytest.mark.parametrize("grain", [1, 3, 8, 12, 32, 64])
def test_the_fewest_channels_whose_columns_are_on_the_grid(multiple: int, grain: int) -> None:
    step = on_grid(multiple, grain)

    assert step * grain % multiple == 0
    assert all(fewer * grain % multiple for fewer in range(1, step))


@pytest.mark.parametrize(("multiple", "step"), [(4, 4), (8, 8), (16, 8), (32, 8)])
def test_numbers_inside_heads_go_by_eight_where_convolutions_go_by_more(multiple: int, step: int) -> None:
    assert on_heads_grid(multiple) == step
