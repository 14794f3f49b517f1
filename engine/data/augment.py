"""More from few images: other crops, flips and lights of torch batches. What they show, the uncut network says."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

SHIFT = 0.125  # of the side: 4 pixels of 32, the common recipe for small images
CROPPED_SIDE = 64  # pixels: from here on networks are trained on crops of all sizes, below on shifts
AREAS = (0.35, 1.0)  # of the image; published recipes go down to 0.08, where a crop of one thing shows another
ASPECTS = (3 / 4, 4 / 3)
LIGHT, CONTRAST = 0.1, 0.15  # of an image's own deviation
MIXED_PART = 0.5  # of the batch, where mixing is asked for

Layout = Literal["NCHW", "NHWC"]
Mixing = Literal["none", "cutmix", "mixup"]


def augment(
    batch: Tensor,
    generator: torch.Generator,
    *,
    layout: Layout = "NCHW",
    shift: float = SHIFT,
    mixing: Mixing = "none",
    mirrored: bool = True,
) -> Tensor:
    """Return the batch with each image seen otherwise: moved or cropped, and `mirrored`, every second one flipped.

    Small images, below 64 pixels, are shifted by up to `shift` of their sides. Of larger ones a random part is enlarged
    to the whole, and light and contrast change a little. Borders are filled by reflection, so that no edge appears that
    a photograph would not have. `mixing` lays a box of another image over half of them, or blends them.
    Inputs that are not pictures, (count, features) say, come back as they are. `generator` lives on the CPU, so that
    one seed gives the same draws on every device.
    Cutmix: Yun et al., ICCV 2019, arXiv:1905.04899. Mixup: Zhang et al., ICLR 2018, arXiv:1710.09412.
    """
    if batch.ndim != 4:
        return batch
    if layout == "NHWC":
        first = augment(batch.permute(0, 3, 1, 2), generator, shift=shift, mixing=mixing, mirrored=mirrored)
        return first.permute(0, 2, 3, 1).contiguous()
    if min(batch.shape[2:]) < CROPPED_SIDE:
        seen = _shifted(batch, generator, shift, mirrored)
    else:
        seen = _relit(_cropped(batch, generator, mirrored), generator)
    return {"none": _unmixed, "cutmix": _cutmix, "mixup": _mixup}[mixing](seen, generator)


def _shifted(batch: Tensor, generator: torch.Generator, shift: float, mirrored: bool) -> Tensor:
    count, _, height, width = batch.shape
    margin_y, margin_x = (min(round(side * shift), side - 1) for side in (height, width))
    padded = functional.pad(batch, (margin_x, margin_x, margin_y, margin_y), mode="reflect")
    tops = torch.randint(2 * margin_y + 1, (count,), generator=generator).tolist()
    lefts = torch.randint(2 * margin_x + 1, (count,), generator=generator).tolist()
    flips = (torch.rand(count, generator=generator) < 0.5) & mirrored
    windows = [
        image[:, top : top + height, left : left + width] for image, top, left in zip(padded, tops, lefts, strict=True)
    ]
    shifted = torch.stack(windows)
    # (count,) -> (count, 1, 1, 1)
    return torch.where(flips.to(batch.device)[:, None, None, None], shifted.flip(-1), shifted)


def _cropped(batch: Tensor, generator: torch.Generator, mirrored: bool) -> Tensor:
    """Enlarge a random part of each image, of random area and aspect, to the whole; `mirrored`, every second one."""
    count = len(batch)
    area = torch.empty(count).uniform_(*AREAS, generator=generator)
    stretch = torch.empty(count).uniform_(math.log(ASPECTS[0]), math.log(ASPECTS[1]), generator=generator).exp()
    high, wide = ((area * ratio).sqrt().clamp_max(1.0) for ratio in (1 / stretch, stretch))
    up, right = ((1 - part) * (2 * torch.rand(count, generator=generator) - 1) for part in (high, wide))
    mirror = torch.where((torch.rand(count, generator=generator) < 0.5) & mirrored, -1.0, 1.0)
    zero = torch.zeros(count)
    # Each image's map from places in the crop to places in the image, both -1 to 1: (count, 2, 3)
    maps = torch.stack([torch.stack([wide * mirror, zero, right], 1), torch.stack([zero, high, up], 1)], 1)
    grid = functional.affine_grid(maps.to(batch), list(batch.shape), align_corners=False)
    return functional.grid_sample(batch, grid, padding_mode="reflection", align_corners=False)


def _relit(batch: Tensor, generator: torch.Generator) -> Tensor:
    """Change each image's contrast about its mean, and its light, by parts of its own deviation."""
    gain = 1 + CONTRAST * (2 * torch.rand(len(batch), 1, 1, 1, generator=generator) - 1)
    light = LIGHT * (2 * torch.rand(len(batch), 1, 1, 1, generator=generator) - 1)
    mean = batch.mean(dim=(1, 2, 3), keepdim=True)
    spread = batch.std(dim=(1, 2, 3), keepdim=True)
    return (batch - mean) * gain.to(batch) + mean + light.to(batch) * spread


def _unmixed(batch: Tensor, generator: torch.Generator) -> Tensor:
    return batch


def _cutmix(batch: Tensor, generator: torch.Generator) -> Tensor:
    """Lay over every second image, by chance, a box of another one, of a quarter to three quarters of the sides."""
    _, _, height, width = batch.shape
    others = batch[torch.randperm(len(batch), generator=generator).to(batch.device)]
    mixed = batch.clone()
    for row in torch.nonzero(torch.rand(len(batch), generator=generator) < MIXED_PART).flatten().tolist():
        part = torch.empty(2).uniform_(0.25, 0.75, generator=generator)
        rows, columns = (max(1, round(side * float(p))) for side, p in zip((height, width), part, strict=True))
        top, left = (
            int(torch.randint(side - size + 1, (1,), generator=generator))
            for side, size in ((height, rows), (width, columns))
        )
        mixed[row, :, top : top + rows, left : left + columns] = others[row, :, top : top + rows, left : left + columns]
    return mixed


def _mixup(batch: Tensor, generator: torch.Generator) -> Tensor:
    """Blend every second image, by chance, with another one."""
    others = batch[torch.randperm(len(batch), generator=generator).to(batch.device)]
    is_mixed = torch.rand(len(batch), 1, 1, 1, generator=generator) < MIXED_PART
    share = torch.where(is_mixed, torch.rand(len(batch), 1, 1, 1, generator=generator), torch.ones(1)).to(batch)
    return share * batch + (1 - share) * others
