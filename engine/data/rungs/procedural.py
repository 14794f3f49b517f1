"""Rung 1: pictures drawn by program. Fits every network, costs seconds, needs no gradient."""

from __future__ import annotations

import dataclasses

from engine.data.images import ImageSet
from engine.data.site import Site
from engine.data.synthesis.draw import draw_images
from engine.graph.model import TensorInfo


def draw(site: Site, real: ImageSet, count: int) -> ImageSet:
    """Return drawn pictures of the network's size or, where it leaves that open, of the user's images' size."""
    return draw_images(sized_as(real, site.model_input), site.preprocess, count, site.seed, seconds=site.seconds)


def sized_as(real: ImageSet, model_input: TensorInfo) -> TensorInfo:
    """Return the input with the sizes that it leaves open taken from the user's images, if there are any."""
    if not len(real):
        return model_input
    return dataclasses.replace(model_input, shape=(*model_input.shape[:1], *real.inputs.shape[1:]))
