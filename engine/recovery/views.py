"""Views: augmented images with the uncut network's answers, worked out once in ONNX Runtime before training starts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from engine.data.augment import augment
from engine.data.images import ImageSet
from engine.graph.extract import extract
from engine.graph.features import Features
from engine.graph.model import Model
from engine.measure.batches import outputs_in_batches
from engine.recipe import Deploy

Layout = Literal["NCHW", "NHWC"]
Rows = dict[str, Tensor]
"""Values by name, a row for each view."""

VIEWS_PER_IMAGE_MAX = 8
CACHE_BYTES_MAX = 2**30


@dataclass(frozen=True)
class Views:
    """`given` is what the cut network starts from: its input, or the values that end its prefix, run for once.

    `answers` maps each feature and each logits output of the uncut network to its tensor, row for row.
    """

    given: Rows
    answers: Rows

    def __len__(self) -> int:
        return len(next(iter(self.given.values())))

    def take(self, rows: Tensor, device: torch.device) -> tuple[Rows, Rows]:
        """Return one batch, given and answers, on the device."""
        given, answers = ({name: kept[rows].to(device) for name, kept in v.items()} for v in (self.given, self.answers))
        return given, answers


def draw_views(
    model: Model,
    features: Features,
    images: ImageSet,
    compute: Deploy,
    *,
    layout: Layout,
    seed: int,
    seconds: float,
    start: Sequence[str] = (),
) -> Views:
    """Return each image as it is and in up to seven flips and shifts, as many as 1 GiB and the seconds allow.

    `start` are the values of the uncut network that training starts from in place of the images. Where one view of all
    images is too much, the first so many are taken: they are in random order.
    """
    image = model.inputs[0].name
    start = tuple(start) or (image,)
    kept = [name for name in dict.fromkeys([*start, *features.values, *features.logits]) if name != image]
    teacher = extract(model, kept)
    started = time.monotonic()
    one = _run(teacher, images.take(np.arange(1)), compute)
    bytes_an_image = sum(one[name].nbytes for name in kept) + (images.inputs[:1].nbytes if image in start else 0)
    order = np.random.default_rng(seed).permutation(len(images))
    images = images.take(np.sort(order[: max(1, CACHE_BYTES_MAX // bytes_an_image)]))
    count = int(min(VIEWS_PER_IMAGE_MAX, CACHE_BYTES_MAX // (bytes_an_image * len(images))))
    generator = torch.Generator().manual_seed(seed)
    plain = torch.from_numpy(images.inputs)
    parts = [_run(teacher, images, compute)]
    while len(parts) < count and time.monotonic() - started < seconds:
        moved = augment(plain, generator, layout=layout).contiguous()
        parts.append(_run(teacher, ImageSet(moved.numpy(), None, images.names), compute))
    rows = {name: torch.cat([part.pop(name) for part in parts]) for name in (image, *kept)}
    answers = {name: rows[name] for name in (*features.values, *features.logits)}
    return Views({name: rows[name] for name in start}, answers)


def _run(teacher: Model, images: ImageSet, compute: Deploy) -> Rows:
    """Return the images and what the uncut network makes of them, in their order."""
    batches = list(outputs_in_batches(teacher, images, compute))
    rows = {name: torch.from_numpy(np.concatenate([batch[name] for batch in batches])) for name in batches[0]}
    return {teacher.inputs[0].name: torch.from_numpy(images.inputs), **rows}
