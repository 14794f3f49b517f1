"""Views: augmented images with the uncut network's answers, worked out once in ONNX Runtime before training starts."""

from __future__ import annotations

import time
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

VIEWS_PER_IMAGE_MAX = 8
CACHE_BYTES_MAX = 2**30


@dataclass(frozen=True)
class Views:
    """`inputs` is (count, …); `answers` maps each feature and each logits output to its tensor, row for row."""

    inputs: Tensor
    answers: dict[str, Tensor]

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, rows: Tensor, device: torch.device) -> tuple[Tensor, dict[str, Tensor]]:
        """Return one batch on the device."""
        return self.inputs[rows].to(device), {name: answer[rows].to(device) for name, answer in self.answers.items()}


def draw_views(
    model: Model, features: Features, images: ImageSet, compute: Deploy, *, layout: Layout, seed: int, seconds: float
) -> Views:
    """Return each image as it is and in up to seven flips and shifts, as many as 1 GiB and the seconds allow.

    Where one view of all images is too much, the first so many are taken: they are in random order.
    """
    teacher = extract(model, (*features.values, *features.logits))
    started = time.monotonic()
    (one,) = outputs_in_batches(teacher, images.take(np.arange(1)), compute, batch=1)
    bytes_an_image = images.inputs[:1].nbytes + sum(answer.nbytes for answer in one.values())
    order = np.random.default_rng(seed).permutation(len(images))
    images = images.take(np.sort(order[: max(1, CACHE_BYTES_MAX // bytes_an_image)]))
    count = int(min(VIEWS_PER_IMAGE_MAX, CACHE_BYTES_MAX // (bytes_an_image * len(images))))
    generator = torch.Generator().manual_seed(seed)
    plain = torch.from_numpy(images.inputs)
    parts = [Views(plain, _answers(teacher, images, compute))]
    while len(parts) < count and time.monotonic() - started < seconds:
        moved = augment(plain, generator, layout=layout).contiguous()
        answers = _answers(teacher, ImageSet(moved.numpy(), None, images.names), compute)
        parts.append(Views(moved, answers))
    return _joined(parts)


def _answers(teacher: Model, images: ImageSet, compute: Deploy) -> dict[str, Tensor]:
    batches = list(outputs_in_batches(teacher, images, compute))
    return {name: torch.from_numpy(np.concatenate([batch[name] for batch in batches])) for name in batches[0]}


def _joined(parts: list[Views]) -> Views:
    names = parts[0].answers
    answers = {name: torch.cat([part.answers[name] for part in parts]) for name in names}
    return Views(torch.cat([part.inputs for part in parts]), answers)
