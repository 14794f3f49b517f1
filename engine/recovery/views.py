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

    @property
    def size_bytes(self) -> int:
        return sum(rows.nbytes for kept in (self.given, self.answers) for rows in kept.values())

    def take(self, rows: Tensor, device: torch.device) -> tuple[Rows, Rows]:
        """Return one batch, given and answers, on the device."""
        given, answers = ({name: kept[rows].to(device) for name, kept in v.items()} for v in (self.given, self.answers))
        return given, answers


@dataclass(frozen=True)
class Start:
    """Values of a cut network that its training starts from in place of the images, as that network itself has them.

    A layer among those before them may have been refitted, so that the uncut network's would be others.
    """

    model: Model
    values: tuple[str, ...]


def draw_views(
    model: Model,
    features: Features,
    images: ImageSet,
    compute: Deploy,
    *,
    layout: Layout,
    seed: int,
    seconds: float,
    start: Start | None = None,
) -> Views:
    """Return each image as it is and in up to seven flips and shifts, as many as 1 GiB and the seconds allow.

    Without a `start`, training starts from the images. Where one view of all images is too much, the first so many are
    taken: they are in random order.
    """
    started = time.monotonic()
    look = _Look(model, features, compute, start)
    bytes_an_image = look.at(images.take(np.arange(1))).size_bytes
    order = np.random.default_rng(seed).permutation(len(images))
    images = images.take(np.sort(order[: max(1, CACHE_BYTES_MAX // bytes_an_image)]))
    count = int(min(VIEWS_PER_IMAGE_MAX, CACHE_BYTES_MAX // (bytes_an_image * len(images))))
    generator = torch.Generator().manual_seed(seed)
    plain = torch.from_numpy(images.inputs)
    parts = [look.at(images)]
    while len(parts) < count and time.monotonic() - started < seconds:
        moved = augment(plain, generator, layout=layout).contiguous()
        parts.append(look.at(ImageSet(moved.numpy(), None, images.names)))
    return Views(_joined([part.given for part in parts]), _joined([part.answers for part in parts]))


class _Look:
    """What training is given of images, and what the uncut network answers to them."""

    def __init__(self, model: Model, features: Features, compute: Deploy, start: Start | None) -> None:
        self._image, self._compute = model.inputs[0].name, compute
        self._teacher = extract(model, list(dict.fromkeys([*features.values, *features.logits])))
        self._beginning = None if start is None else extract(start.model, start.values)

    def at(self, images: ImageSet) -> Views:
        given = {self._image: torch.from_numpy(images.inputs)}
        if self._beginning is not None:
            given = self._run(self._beginning, images)
        return Views(given, self._run(self._teacher, images))

    def _run(self, model: Model, images: ImageSet) -> Rows:
        batches = list(outputs_in_batches(model, images, self._compute))
        return {name: torch.from_numpy(np.concatenate([batch[name] for batch in batches])) for name in batches[0]}


def _joined(parts: Sequence[Rows]) -> Rows:
    """Return the rows of all parts one behind the other; what is joined is taken out of the parts, to free it."""
    return {name: torch.cat([part.pop(name) for part in parts]) for name in list(parts[0])}
