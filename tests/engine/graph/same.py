"""When two answers of networks are the same: the same outputs, of the same shapes, and numbers that lie close."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1e-5
"""Largest difference, relative to the largest number of the output."""


def assert_same(
    found: Mapping[str, NDArray[Any]], wanted: Mapping[str, NDArray[Any]], tolerance: float = TOLERANCE
) -> None:
    """Shapes are held first: numbers of other shapes are broadcast, and may then well be close."""
    assert list(found) == list(wanted)
    for name, values in wanted.items():
        assert_close(found[name], values, tolerance, name)


def assert_close(found: NDArray[Any], wanted: NDArray[Any], tolerance: float = TOLERANCE, name: str = "") -> None:
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype), name
    numbers = wanted.astype(np.float64)
    assert np.abs(found - numbers).max() <= tolerance * np.abs(numbers).max(), name
