"""Resize and its forerunner Upsample: interpolation one axis at a time, from ONNX's own coordinate formulas."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

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
    rounding: str = "floor"
    cubic_a: float = -0.75
    exclude_outside: bool = False
    antialias: bool = False
    beyond: float = 0.0


@dataclass(frozen=True)
class Stretch:
    """What happens to one axis. `part` is the share of it that is read, begin and end, under tf_crop_and_resize."""

    axis: int
    size: int
    scale: float
    part: tuple[float, float] | None


def resize(node: NodeView) -> Kernel:
    """Opset 10 has inputs (x, scales), later ones (x, roi, scales, sizes); opset 18 adds axes and antialiasing."""
    how = Interpolation(
        mode=str(node.get("mode", "nearest")),
        coordinates=str(node.get("coordinate_transformation_mode", "half_pixel" if node.opset > 10 else "asymmetric")),
        rounding=str(node.get("nearest_mode", "round_prefer_floor" if node.opset > 10 else "floor")),
        cubic_a=float(node.get("cubic_coeff_a", -0.75)),
        exclude_outside=bool(node.get("exclude_outside", 0)),
        antialias=bool(node.get("antialias", 0)),
        beyond=float(node.get("extrapolation_value", 0.0)),
    )
    crops = how.coordinates == "tf_crop_and_resize"
    if how.coordinates not in COORDINATES and not crops:
        raise node.refuse(f"coordinate_transformation_mode '{how.coordinates}'")
    scales_at = 2 if node.opset > 10 else 1
    sizes_of, axes, policy = (
        integers_of(node, 3),
        node.get("axes"),
        str(node.get("keep_aspect_ratio_policy", "stretch")),
    )

    def run(*inputs: Any) -> Tensor:
        x = inputs[0]
        dims = tuple(range(x.dim())) if axes is None else tuple(axes)
        lengths = [x.shape[dim] for dim in dims]
        sizes = sizes_of(inputs) if len(inputs) > 3 else None
        if sizes:
            sizes, scales = _fit(sizes, lengths, policy)
        else:
            scales = inputs[scales_at].tolist()
            sizes = [math.floor(length * scale) for length, scale in zip(lengths, scales, strict=True)]
        region = inputs[1].tolist() if crops else None
        parts = (
            [None] * len(dims) if region is None else list(zip(region[: len(dims)], region[len(dims) :], strict=True))
        )
        return _interpolate(x, [Stretch(*each) for each in zip(dims, sizes, scales, parts, strict=True)], how)

    return run


def _fit(sizes: Sequence[int], lengths: Sequence[int], policy: str) -> tuple[Sequence[int], list[float]]:
    """Return sizes and scales; one scale for all axes where the proportions must be kept."""
    scales = [size / length for size, length in zip(sizes, lengths, strict=True)]
    if policy == "stretch":
        return sizes, scales
    scale = min(scales) if policy == "not_larger" else max(scales)
    return [math.floor(scale * length + 0.5) for length in lengths], [scale] * len(lengths)


def upsample(node: NodeView) -> Kernel:
    fixed = node.get("scales")
    how = Interpolation(str(node.get("mode", "nearest")), "asymmetric")

    def run(x: Tensor, scales: Tensor | None = None) -> Tensor:
        factors = list(fixed) if scales is None else scales.tolist()
        sizes = [math.floor(size * factor) for size, factor in zip(x.shape, factors, strict=True)]
        return _interpolate(x, [Stretch(*each, None) for each in zip(range(x.dim()), sizes, factors, strict=True)], how)

    return run


def _interpolate(x: Tensor, stretches: Sequence[Stretch], how: Interpolation) -> Tensor:
    moving = [s for s in stretches if s.size != x.shape[s.axis] or s.scale != 1 or s.part not in (None, (0.0, 1.0))]
    native = _by_pytorch(x, moving, how)
    if native is not None:
        return native
    for stretch in moving:
        x = _interpolate_axis(x, stretch, how)
    return x


def _by_pytorch(x: Tensor, stretches: Sequence[Stretch], how: Interpolation) -> Tensor | None:
    """Enlarge images by whole factors with PyTorch's own kernel, which says the same there; None where it may not."""
    if x.dim() != 4 or not x.is_floating_point() or not {s.axis % 4 for s in stretches} <= {2, 3}:
        return None
    if any(s.size != x.shape[s.axis] * s.scale or s.scale != int(s.scale) or s.size == 1 for s in stretches):
        return None
    sizes = list(x.shape[2:])
    for stretch in stretches:
        sizes[stretch.axis % 4 - 2] = stretch.size
    if how.mode == "nearest" and (how.coordinates, how.rounding) in _PLAIN_NEAREST:
        return F.interpolate(x, sizes)
    if how.mode == "linear" and how.coordinates in ("half_pixel", "pytorch_half_pixel") and not how.exclude_outside:
        return F.interpolate(x, sizes, mode="bilinear", align_corners=False)
    return None


_PLAIN_NEAREST = {("asymmetric", "floor"), *(("half_pixel", rounding) for rounding in ROUNDINGS if "round" in rounding)}
"""Ways to choose the nearest pixel that repeat each one, where the factor is whole."""


def _interpolate_axis(x: Tensor, stretch: Stretch, how: Interpolation) -> Tensor:
    dim, length = stretch.axis, x.shape[stretch.axis]
    place = _places(stretch, length, how)
    if how.mode == "nearest":
        nearest = ROUNDINGS[how.rounding](place).clamp(0, length - 1).long()
        y = x.index_select(dim, nearest.to(x.device))
    else:
        taps, weights = _neighbours(place, min(stretch.scale, 1.0) if how.antialias else 1.0, how)
        if how.exclude_outside:
            weights = weights * ((taps >= 0) & (taps < length))
        weights = weights / weights.sum(dim=0)
        taps, weights = taps.clamp(0, length - 1).to(x.device), weights.to(x)
        shape = [-1 if i == dim % x.dim() else 1 for i in range(x.dim())]
        parts = [x.index_select(dim, tap) * weight.reshape(shape) for tap, weight in zip(taps, weights, strict=True)]
        y = torch.stack(parts).sum(dim=0)
    if stretch.part is None:
        return y
    outside = ((place < 0) | (place > length - 1)).to(x.device)
    return y.masked_fill(outside.reshape([-1 if i == dim % x.dim() else 1 for i in range(x.dim())]), how.beyond)


def _places(stretch: Stretch, length: int, how: Interpolation) -> Tensor:
    """Return where each output element lies in the input."""
    at = torch.arange(stretch.size, dtype=torch.float64)
    if stretch.part is None:
        return COORDINATES[how.coordinates](at, stretch.size, length, stretch.scale)
    begin, end = stretch.part
    share = at / (stretch.size - 1) if stretch.size > 1 else at + 0.5
    return (begin + share * (end - begin)) * (length - 1)


def _neighbours(place: Tensor, narrowing: float, how: Interpolation) -> tuple[Tensor, Tensor]:
    """Return the neighbours that each place is made of and their weights, both (taps, size).

    Antialiasing widens the kernel by 1 / `narrowing`, so that nothing falls between two outputs.
    """
    kernel, reach = (_linear, 1) if how.mode == "linear" else (_cubic, 2)
    radius = math.ceil(reach / narrowing)
    taps = torch.floor(place) + torch.arange(1 - radius, radius + 1, dtype=place.dtype)[:, None]
    return taps.long(), kernel((place - taps).abs() * narrowing, how.cubic_a)


def _linear(distance: Tensor, _: float) -> Tensor:
    return (1 - distance).clamp(min=0)


def _cubic(distance: Tensor, a: float) -> Tensor:
    """Keys, "Cubic convolution interpolation for digital image processing", 1981."""
    near = (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    far = a * distance**3 - 5 * a * distance**2 + 8 * a * distance - 4 * a
    return torch.where(distance <= 1, near, torch.where(distance < 2, far, torch.zeros_like(far)))
