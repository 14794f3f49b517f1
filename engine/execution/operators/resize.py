"""Resize and its forerunner Upsample: interpolation one axis at a time, from ONNX's own coordinate formulas."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.execution.node import Kernel, NodeView, integers_of

# x: output index; size_out, size_in: lengths; scale: their ratio as given. Returns the place in the input.
COORDINATES: dict[str, Callable[[Tensor, int, int, float], Tensor]] = {
    "half_pixel": lambda x, size_out, size_in, scale: (x + 0.5) / scale - 0.5,
    "half_pixel_symmetric": lambda x, size_out, size_in, scale: (
        size_in / 2 * (1 - size_out / (scale * size_in)) + (x + 0.5) / scale - 0.5
    ),
    "pytorch_half_pixel": lambda x, size_out, size_in, scale: (x + 0.5) / scale - 0.5 if size_out > 1 else x * 0,
    "align_corners": lambda x, size_out, size_in, scale: x * (size_in - 1) / (size_out - 1) if size_out > 1 else x * 0,
    "asymmetric": lambda x, size_out, size_in, scale: x / scale,
}

ROUNDINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "round_prefer_floor": lambda x: torch.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: torch.floor(x + 0.5),
    "floor": torch.floor,
    "ceil": torch.ceil,
}


@dataclass(frozen=True)
class Interpolation:
    mode: str
    coordinates: str
    rounding: str
    cubic_a: float
    exclude_outside: bool


def resize(node: NodeView) -> Kernel:
    """Opset 10 has inputs (x, scales), later ones (x, roi, scales, sizes); opset 18 adds axes and antialiasing."""
    how = Interpolation(
        mode=str(node.get("mode", "nearest")),
        coordinates=str(node.get("coordinate_transformation_mode", "half_pixel" if node.opset > 10 else "asymmetric")),
        rounding=str(node.get("nearest_mode", "round_prefer_floor" if node.opset > 10 else "floor")),
        cubic_a=float(node.get("cubic_coeff_a", -0.75)),
        exclude_outside=bool(node.get("exclude_outside", 0)),
    )
    if how.coordinates not in COORDINATES:
        raise node.refuse(f"coordinate_transformation_mode '{how.coordinates}'")
    if node.get("antialias", 0) or node.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise node.refuse("antialias = 1 or a keep_aspect_ratio_policy")
    scales_at = 2 if node.opset > 10 else 1
    sizes_of, axes = integers_of(node, 3), node.get("axes")

    def run(*inputs: Any) -> Tensor:
        x = inputs[0]
        dims = tuple(range(x.dim())) if axes is None else tuple(axes)
        sizes = sizes_of(inputs) if len(inputs) > 3 else None
        if sizes:
            scales = [size / x.shape[dim] for size, dim in zip(sizes, dims, strict=True)]
        else:
            scales = inputs[scales_at].tolist()
            sizes = [math.floor(x.shape[dim] * scale) for dim, scale in zip(dims, scales, strict=True)]
        return _interpolate(x, dims, sizes, scales, how)

    return run


def upsample(node: NodeView) -> Kernel:
    fixed = node.get("scales")
    how = Interpolation(str(node.get("mode", "nearest")), "asymmetric", "floor", -0.75, False)

    def run(x: Tensor, scales: Tensor | None = None) -> Tensor:
        factors = list(fixed) if scales is None else scales.tolist()
        sizes = [math.floor(size * factor) for size, factor in zip(x.shape, factors, strict=True)]
        return _interpolate(x, tuple(range(x.dim())), sizes, factors, how)

    return run


def _interpolate(x: Tensor, dims: Any, sizes: Any, scales: Any, how: Interpolation) -> Tensor:
    for dim, size, scale in zip(dims, sizes, scales, strict=True):
        if size != x.shape[dim] or scale != 1:
            x = _interpolate_axis(x, dim, size, scale, how)
    return x


def _interpolate_axis(x: Tensor, dim: int, size: int, scale: float, how: Interpolation) -> Tensor:
    length = x.shape[dim]
    place = COORDINATES[how.coordinates](torch.arange(size, dtype=torch.float64), size, length, scale)
    if how.mode == "nearest":
        nearest = ROUNDINGS[how.rounding](place).clamp(0, length - 1).long()
        return x.index_select(dim, nearest.to(x.device))
    taps, weights = _linear(place) if how.mode == "linear" else _cubic(place, how.cubic_a)
    if how.exclude_outside:
        weights = weights * ((taps >= 0) & (taps < length))
        weights = weights / weights.sum(dim=0)
    taps, weights = taps.clamp(0, length - 1).to(x.device), weights.to(x)
    shape = [-1 if i == dim % x.dim() else 1 for i in range(x.dim())]
    parts = [x.index_select(dim, tap) * weight.reshape(shape) for tap, weight in zip(taps, weights, strict=True)]
    return torch.stack(parts).sum(dim=0)


def _linear(place: Tensor) -> tuple[Tensor, Tensor]:
    """Return the two neighbours of each place and their weights, both (2, size)."""
    left = torch.floor(place)
    right_share = place - left
    return torch.stack([left, left + 1]).long(), torch.stack([1 - right_share, right_share])


def _cubic(place: Tensor, a: float) -> tuple[Tensor, Tensor]:
    """Return the four neighbours of each place and their weights, both (4, size).

    Keys, "Cubic convolution interpolation for digital image processing", 1981.
    """
    left = torch.floor(place)
    taps = torch.stack([left - 1, left, left + 1, left + 2])
    distance = (place - taps).abs()
    near = (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    far = a * distance**3 - 5 * a * distance**2 + 8 * a * distance - 4 * a
    return taps.long(), torch.where(distance <= 1, near, far)
