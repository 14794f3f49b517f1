"""Light changes of labelled images: moved or cropped, and mirrored where that leaves the label what it is."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor

from engine.data.augment import Layout, augment
from engine.data.images import ImageSet
from engine.graph.model import Model
from engine.measure.fidelity import correct
from engine.recipe import Deploy

KEEPS_LABELS = 0.8
"""The part of its hits that the uncut network must keep on mirrored images for these to mean the same.

Trained on CIFAR-10 it keeps nearly all; on digits, half.
"""
ASKED_MOST = 256


def seen_otherwise(batch: Tensor, generator: torch.Generator, layout: str, mirrored: bool) -> Tensor:
    """Return each image moved or cropped at random, every second one mirrored if that is allowed."""
    return augment(batch, generator, layout=cast(Layout, layout), mirrored=mirrored)


def may_be_mirrored(upload: Model, images: ImageSet, layout: str, compute: Deploy) -> bool:
    """Tell from the uncut network's hits whether a mirrored image still shows what its label says; 2 would not."""
    some = images.take(np.arange(min(len(images), ASKED_MOST)))
    if some.inputs.ndim != 4:
        return False
    across = 2 if layout == "NHWC" else 3
    turned = ImageSet(np.ascontiguousarray(np.flip(some.inputs, across)), some.labels, some.names, some.class_names)
    before, after = correct(upload, some, compute), correct(upload, turned, compute)
    return before is not None and after is not None and bool(after.sum() >= KEEPS_LABELS * before.sum())
