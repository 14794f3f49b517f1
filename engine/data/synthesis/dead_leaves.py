"""Dead leaves: opaque things of all sizes fall on one another, as objects do in photographs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.data.synthesis.canvas import Canvas
from engine.data.synthesis.shapes import blob, lay_over
from engine.data.synthesis.surfaces import surface

LEAVES = (10, 40)
RADII = (0.05, 0.5)  # of the longer side
KINDS = 6  # surfaces that the leaves share, each leaf in a brightness and a tint of its own


def dead_leaves(generator: np.random.Generator, height: int, width: int, channels: int) -> Canvas:
    """Return one picture; radii follow a power law of exponent 3, which makes it look alike at every scale.

    Lee, Mumford and Huang, "Occlusion models for natural images", 2001.
    """
    size = (height, width, channels)
    picture = surface(generator, *size)
    surfaces = [surface(generator, *size) for _ in range(KINDS)]
    for radius in _radii(generator):
        row, column = generator.random(2)
        cover, _outward = blob(generator, height, width, radius, (row, column))
        tint = generator.uniform(-0.5, 0.5) + 0.1 * generator.standard_normal(channels)
        picture = lay_over(picture, cover, np.clip(surfaces[generator.integers(KINDS)] + tint, 0, 1))
    return np.clip(picture, 0, 1)


def _radii(generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """Draw from the density r ** -3 between the two RADII, by inverting its distribution."""
    smallest, largest = (radius**-2 for radius in RADII)
    drawn = generator.random(int(generator.integers(*LEAVES)))
    return np.asarray((smallest + drawn * (largest - smallest)) ** -0.5, np.float64)
