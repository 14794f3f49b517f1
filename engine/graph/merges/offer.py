"""An offer: nodes that could be one without changing what the network says, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import onnx_ir as ir


@dataclass(frozen=True)
class Offer:
    """`nodes`, by name and in the graph's order, can be merged; `apply` does it, in place, leaving dead nodes behind.

    MACs are of the nodes that go and of those that come, for one image; where sizes are open, for one place of the
    smallest map. Numbers that are added along a border count as one each.
    Two 3x3 convolutions of 8 channels on 4x4, the second without a border: 2 x 9,216 before, 25,600 after.
    """

    nodes: tuple[str, ...]
    macs_before: int
    macs_after: int
    apply: Callable[[], None]

    @property
    def pays(self) -> bool:
        """Say whether the merged node computes no more than those that it replaces."""
        return self.macs_after <= self.macs_before


def spatial_sizes(value: ir.Value | None) -> list[int | None] | None:
    """Return the sizes behind batch and channels, None for an open one; None where the rank is not known."""
    if value is None or value.shape is None or len(value.shape) < 3:
        return None
    return [size if isinstance(size, int) else None for size in tuple(value.shape)[2:]]


def known(sizes: Sequence[int | None] | None) -> tuple[int, ...] | None:
    """Return sizes of which none is open, else None."""
    if sizes is None:
        return None
    numbers = tuple(size for size in sizes if size is not None)
    return numbers if len(numbers) == len(sizes) else None


def count_places(value: ir.Value) -> int:
    """Return how many places a map has; where its size is open, it is told as one."""
    return math.prod(known(spatial_sizes(value)) or ())


def places_of(earlier: ir.Value, later: ir.Value, strides: Sequence[int]) -> tuple[int, int]:
    """Return the places that two maps have, the later one made by steps of `strides`; as for one if sizes are open."""
    if known(spatial_sizes(earlier)) is None or known(spatial_sizes(later)) is None:
        return math.prod(strides), 1
    return count_places(earlier), count_places(later)
