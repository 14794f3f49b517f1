"""More from few images while training: shifts and flips of torch batches. What they show, the teacher says."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

SHIFT = 0.125  # of the side: 4 pixels of 32, the common recipe for small images


def augment(
    batch: Tensor, generator: torch.Generator, *, layout: Literal["NCHW", "NHWC"] = "NCHW", shift: float = SHIFT
) -> Tensor:
    """Return the batch with each image shifted at random by up to `shift` of its sides, and every second one flipped.

    Borders are filled by reflection, so that no edge appears that a photograph would not have. Inputs that are not
    pictures, (count, features) say, come back as they are. `generator` lives on the CPU, so that one seed gives the
    same draws on every device.
    """
    if batch.ndim != 4:
        return batch
    if layout == "NHWC":
        return _augment_channels_first(batch.permute(0, 3, 1, 2), generator, shift).permute(0, 2, 3, 1).contiguous()
    return _augment_channels_first(batch, generator, shift)


def _augment_channels_first(batch: Tensor, generator: torch.Generator, shift: float) -> Tensor:
    count, _, height, width = batch.shape
    margin_y, margin_x = (min(round(side * shift), side - 1) for side in (height, width))
    padded = functional.pad(batch, (margin_x, margin_x, margin_y, margin_y), mode="reflect")
    tops = torch.randint(2 * margin_y + 1, (count,), generator=generator).tolist()
    lefts = torch.randint(2 * margin_x + 1, (count,), generator=generator).tolist()
    flips = torch.rand(count, generator=generator) < 0.5
    windows = [
        image[:, top : top + height, left : left + width] for image, top, left in zip(padded, tops, lefts, strict=True)
    ]
    shifted = torch.stack(windows)
    # (count,) -> (count, 1, 1, 1)
    return torch.where(flips.to(batch.device)[:, None, None, None], shifted.flip(-1), shifted)
