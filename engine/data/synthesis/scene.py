"""Scenes: a background and, in the middle of it, one large thing made of parts, as most photographs show."""

from __future__ import annotations

import numpy as np

from engine.data.synthesis.canvas import Canvas, texture
from engine.data.synthesis.shapes import Plane, blob, lay_over
from engine.data.synthesis.surfaces import surface


def scene(generator: np.random.Generator, height: int, width: int, channels: int) -> Canvas:
    """Return one picture: a ground, perhaps a horizon, a few small things, and a large one whose parts overlap.

    Networks for classes look for one thing; pictures that are full of them tell it less. As a model of photographs:
    Baradad et al., "Learning to See by Looking at Noise", NeurIPS 2021. arXiv:2106.05963
    """
    size = (height, width, channels)
    picture = _background(generator, size)
    for _ in range(generator.integers(0, 4)):
        cover, _outward = blob(generator, height, width, generator.uniform(0.05, 0.25), _centre(generator, 0))
        picture = lay_over(picture, cover, surface(generator, *size))
    return np.clip(lay_over(picture, *_thing(generator, size)), 0, 1)


def _background(generator: np.random.Generator, size: tuple[int, int, int]) -> Canvas:
    """Return a surface, in every second picture with another one below an uneven horizon."""
    picture = surface(generator, *size)
    if generator.random() < 0.5:
        height, width, _ = size
        below = np.arange(height)[:, np.newaxis] - height * generator.uniform(0.3, 0.8)
        uneven = generator.uniform(0, 1.5) * texture(generator, height, width, exponent=2.0)
        picture = lay_over(picture, np.clip(below + uneven + 0.5, 0, 1), surface(generator, *size))
    return picture


def _thing(generator: np.random.Generator, size: tuple[int, int, int]) -> tuple[Plane, Canvas]:
    """Return what the large thing covers, and how it looks: darker towards its edge, with one to six parts."""
    height, width, channels = size
    cover, outward = blob(generator, height, width, generator.uniform(0.2, 0.5), _centre(generator, 0.3))
    body = surface(generator, *size)
    look = body - (generator.uniform(0, 0.25) * np.minimum(outward, 1.5) ** 2)[:, :, np.newaxis]
    for _ in range(generator.integers(1, 7)):
        part, _outward = blob(generator, height, width, generator.uniform(0.03, 0.25), _centre(generator, 0.15))
        if generator.random() < 0.7:  # on the thing, else beside it, as a limb is
            part = part * cover
        is_alike = generator.random() < 0.5
        other = body + generator.uniform(-0.4, 0.4) if is_alike else surface(generator, height, width, channels)
        look = lay_over(look, part, other)
        cover = np.maximum(cover, part)
    return cover, look


def _centre(generator: np.random.Generator, margin: float) -> tuple[float, float]:
    """Return a place, as parts of height and width, that keeps `margin` from the borders."""
    row, column = generator.uniform(margin, 1 - margin, 2)
    return float(row), float(column)
