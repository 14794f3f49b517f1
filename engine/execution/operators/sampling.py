"""Reading a feature map at places that are numbers, not pixels: grids, regions and deformed kernels."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from engine.execution.node import Kernel, NodeView, as_integers, integers_of
from engine.execution.operators.windows import Window

_GRID_MODES = {"linear": "bilinear", "cubic": "bicubic"}  # as they are called since opset 20


def grid_sample(node: NodeView) -> Kernel:
    mode = str(node.get("mode", "linear"))
    mode, padding = _GRID_MODES.get(mode, mode), str(node.get("padding_mode", "zeros"))
    aligned = bool(node.get("align_corners", 0))

    def run(x: Tensor, grid: Tensor) -> Tensor:
        if x.dim() not in (4, 5) or (mode == "bicubic" and x.dim() == 5):
            raise node.refuse(f"mode '{mode}' and {x.dim() - 2} spatial axes")
        return F.grid_sample(x, grid, mode, padding, aligned)

    return run


def affine_grid(node: NodeView) -> Kernel:
    aligned, size_of = bool(node.get("align_corners", 0)), integers_of(node, 1)
    return lambda *inputs: F.affine_grid(inputs[0], list(size_of(inputs)), aligned)


def bilinear(x: Tensor, ys: Tensor, xs: Tensor) -> tuple[Tensor, Tensor]:
    """Read (channels, height, width) at places of any shape; return the four neighbours' values and their weights.

    Both are (4, channels or 1, *places). A neighbour outside has no weight.
    """
    height, width = x.shape[1:]
    top, left = ys.floor(), xs.floor()
    values, weights = [], []
    for row, share_y in ((top, 1 - (ys - top)), (top + 1, ys - top)):
        for column, share_x in ((left, 1 - (xs - left)), (left + 1, xs - left)):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            at = row.clamp(0, height - 1).long(), column.clamp(0, width - 1).long()
            values.append(x[:, at[0], at[1]])
            weights.append((share_y * share_x * inside)[None])
    return torch.stack(values), torch.stack(weights)


def roi_align(node: NodeView) -> Kernel:
    """Average, or take the largest of, samples between pixels in each cell of each region.

    He et al., "Mask R-CNN", 2017. arXiv:1703.06870
    """
    rows, columns = int(node.get("output_height", 1)), int(node.get("output_width", 1))
    scale, samples = float(node.get("spatial_scale", 1.0)), int(node.get("sampling_ratio", 0))
    usual = "half_pixel" if node.opset >= 16 else "output_half_pixel"
    half_pixel = node.get("coordinate_transformation_mode", usual) == "half_pixel"
    largest = node.get("mode", "avg") == "max"

    def align(x: Tensor, region: Tensor) -> Tensor:
        left, top, right, bottom = (region * scale - (0.5 if half_pixel else 0.0)).unbind()
        width, height = right - left, bottom - top
        if not half_pixel:
            width, height = width.clamp(min=1.0), height.clamp(min=1.0)
        down = samples or max(math.ceil(float(height) / rows), 1)
        across = samples or max(math.ceil(float(width) / columns), 1)
        ys = top + (torch.arange(rows * down, device=x.device) + 0.5) * height / (rows * down)
        xs = left + (torch.arange(columns * across, device=x.device) + 0.5) * width / (columns * across)
        parts = _clamped_samples(x, ys, xs)
        parts = parts.reshape(-1, x.shape[0], rows, down, columns, across)
        # the standard takes the largest of the weighted neighbours, not of their sums
        return parts.amax(dim=(0, 3, 5)) if largest else parts.sum(dim=0).mean(dim=(2, 4))

    def run(x: Tensor, regions: Tensor, images: Tensor) -> Tensor:
        found = [align(x[image], region.to(x)) for image, region in zip(as_integers(images), regions, strict=True)]
        return torch.stack(found) if found else x.new_zeros((0, x.shape[1], rows, columns))

    return run


def _clamped_samples(x: Tensor, ys: Tensor, xs: Tensor) -> Tensor:
    """Return (4, channels, len(ys), len(xs)): weighted neighbours, nothing beyond one pixel outside of the map."""
    height, width = x.shape[1:]
    near = ((ys >= -1) & (ys <= height))[:, None] & ((xs >= -1) & (xs <= width))
    values, weights = bilinear(
        x, ys.clamp(0, height - 1)[:, None].expand_as(near), xs.clamp(0, width - 1).expand_as(near)
    )
    return values * weights * near


def max_roi_pool(node: NodeView) -> Kernel:
    """Take the largest of the whole pixels in each cell of each region; a cell without a pixel is zero."""
    rows, columns = node.get("pooled_shape")
    scale = float(node.get("spatial_scale", 1.0))

    def pool(x: Tensor, region: Tensor) -> Tensor:
        left, top, right, bottom = (math.floor(float(edge) * scale + 0.5) for edge in region)
        vertical = _cells(top, max(bottom - top + 1, 1), rows, x.shape[1])
        horizontal = _cells(left, max(right - left + 1, 1), columns, x.shape[2])
        nothing = x.new_zeros(x.shape[0])
        cells = [
            x[:, y0:y1, x0:x1].amax(dim=(1, 2)) if y0 < y1 and x0 < x1 else nothing
            for y0, y1 in vertical
            for x0, x1 in horizontal
        ]
        return torch.stack(cells, dim=1).reshape(-1, rows, columns)  # (channels, cells) -> (channels, rows, columns)

    def run(x: Tensor, regions: Tensor) -> Tensor:
        found = [pool(x[int(region[0])], region[1:]) for region in regions]
        return torch.stack(found) if found else x.new_zeros((0, x.shape[1], rows, columns))

    return run


def _cells(start: int, length: int, count: int, limit: int) -> list[tuple[int, int]]:
    """Return begin and end of each of `count` cells over a stretch of pixels, cut at the border of the map."""
    edges = [(math.floor(i * length / count), math.ceil((i + 1) * length / count)) for i in range(count)]
    return [(min(max(a + start, 0), limit), min(max(b + start, 0), limit)) for a, b in edges]


def deform_conv(node: NodeView) -> Kernel:
    """Convolve with taps that are moved by offsets and weighed by a mask.

    Zhu et al., "Deformable ConvNets v2: More Deformable, Better Results", 2018. arXiv:1811.11168
    """
    window, groups, parts = Window.of(node), int(node.get("group", 1)), int(node.get("offset_group", 1))

    def run(
        x: Tensor, weight: Tensor, offset: Tensor, bias: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        kernel = tuple(weight.shape[2:])
        if len(kernel) != 2:
            raise node.refuse(f"{len(kernel)} spatial axes")
        taps, batch = kernel[0] * kernel[1], x.shape[0]
        height, width = offset.shape[2:]
        ys, xs = _taps(window, kernel, height, width, x)  # (taps, height, width)
        moves = offset.reshape(batch, parts, taps, 2, height, width)
        weights = x.new_ones((batch, parts, taps, height, width)) if mask is None else mask
        weights = weights.reshape(batch, parts, taps, height, width)
        channels = x.reshape(batch, parts, -1, *x.shape[2:])
        columns = []
        for image, move, share in zip(channels.flatten(0, 1), moves.flatten(0, 1), weights.flatten(0, 1), strict=True):
            values, near = bilinear(image, ys + move[:, 0], xs + move[:, 1])
            columns.append((values * near).sum(dim=0) * share)  # (channels of the part, taps, height, width)
        gathered = torch.stack(columns).reshape(batch, groups, -1, height * width)  # rows: channels, then taps
        kernels = weight.reshape(groups, weight.shape[0] // groups, -1)
        y = torch.einsum("gok,bgkp->bgop", kernels, gathered).reshape(batch, -1, height, width)
        return y if bias is None else y + bias[:, None, None]

    return run


def _taps(window: Window, kernel: tuple[int, ...], height: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return row and column of each tap at each output, before any offset; both (taps, height, width)."""
    strides, dilations, pads = window.strides_for(2), window.dilations_for(2), window.pads_for(2)
    axes = []
    for i, outputs in enumerate((height, width)):
        tap = torch.arange(kernel[i], device=like.device, dtype=like.dtype) * dilations[i] - pads[i]
        place = torch.arange(outputs, device=like.device, dtype=like.dtype) * strides[i]
        axes.append(tap[:, None] + place)  # (taps of the axis, outputs)
    shape = (kernel[0], kernel[1], height, width)
    ys = axes[0][:, None, :, None].expand(shape).flatten(0, 1)
    xs = axes[1][None, :, None, :].expand(shape).flatten(0, 1)
    return ys, xs
