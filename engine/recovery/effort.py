"""What refitting layers costs, known before it starts, and how many images are worth that."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from engine.data.images import ImageSet
from engine.graph.image_input import require_image_input
from engine.graph.model import Model
from engine.graph.writers import places_read
from engine.measure.cost import count
from engine.recovery.questions import Asked, ChannelQuestion, size_of
from engine.recovery.rows import rows_per_image

WORK_MAX = 2e12
"""Multiply-accumulates, about a minute on two cores, of a budget of ten minutes or more; of less, its part of them.

500 images of ResNet-56 take 0.4e12, 500 of EfficientNet-lite0 0.6e12.
"""

SCORING_WORK_MAX = 1e12
"""The same for the moments of all units, and for those of all groups, which only have to rank."""

PRICE_WORK_MAX = 1.5e11
"""The same for one price of a set."""

IMAGES_MIN = 16
"""To fit on, however much work these are; the images that check are few already."""


def affordable(
    model: Model, cut: Model, asked: Sequence[Asked], images: ImageSet, work_max: float = WORK_MAX
) -> ImageSet:
    """Return as many of the images to fit on, evenly, as these questions may take: all of them for small networks."""
    allowed = max(IMAGES_MIN, int(work_max // work_per_image(model, cut, asked, images)))
    if len(images) <= allowed:
        return images
    return images.take(np.linspace(0, len(images) - 1, allowed).astype(int))


def work_per_image(model: Model, cut: Model, asked: Sequence[Asked], images: ImageSet) -> float:
    """Return the multiply-accumulates that one image takes: both networks once, and the moments of each layer."""
    shapes = {require_image_input(model).name: images.inputs.shape[1:]}
    networks = sum(count(each, shapes).macs for each in (model, cut))
    return max(1.0, networks + sum(_moments_work(cut, question) for question in asked))


def _moments_work(cut: Model, question: Asked) -> float:
    """Return the work of a layer's second moments for the rows of one image."""
    groups, inputs, _ = size_of(cut, question)
    node, writer = cut.nodes()[question.writer.node], question.writer
    is_of_channels = isinstance(question, ChannelQuestion)
    seen = cut.values()[writer.reads] if is_of_channels else node.outputs[0]
    places = math.prod(size for size in list(seen.shape or ())[2:] if isinstance(size, int))
    places *= places_read(cut, writer) if is_of_channels else 1
    return float(groups * inputs**2 * min(rows_per_image(groups * inputs), places))
