"""Views: augmented images with the uncut network's answers, worked out once in ONNX Runtime before training starts."""

from __future__ import annotations

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
    model: Model, features: Features, images: ImageSet, compute: Deploy, *, layout: Layout, seed: int
) -> Views:
    """Return each image as it is and in up to seven flips and shifts, as many as 1 GiB holds."""
    teacher = extract(model, (*features.values, *features.logits))
    plain = torch.from_numpy(images.inputs)
    first = _answers(teacher, images, compute)
    bytes_a_view = sum(tensor.nbytes for tensor in (plain, *first.values()))
    count = int(min(VIEWS_PER_IMAGE_MAX, max(1, CACHE_BYTES_MAX // max(bytes_a_view, 1))))
    generator = torch.Generator().manual_seed(seed)
    inputs, answers = [plain], [first]
    for _ in range(count - 1):
        inputs.append(augment(plain, generator, layout=layout))
        moved = ImageSet(inputs=np.ascontiguousarray(inputs[-1].numpy()), labels=None, names=images.names)
        answers.append(_answers(teacher, moved, compute))
    return Views(torch.cat(inputs), {name: torch.cat([part[name] for part in answers]) for name in first})


def _answers(teacher: Model, images: ImageSet, compute: Deploy) -> dict[str, Tensor]:
    batches = list(outputs_in_batches(teacher, images, compute))
    return {name: torch.from_numpy(np.concatenate([batch[name] for batch in batches])) for name in batches[0]}
