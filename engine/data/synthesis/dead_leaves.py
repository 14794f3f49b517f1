"""Dead leaves: opaque discs and boxes of all sizes fall on one another, as objects do in photographs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.data.synthesis.canvas import Canvas, random_colour, texture

LEAVES = 90
RADII = (0.05, 0.5)  # of the longer side


def dead_leaves(generator: np.random.Generator, height: int, width: int, channels: int) -> Canvas:
    """Return one picture; radii follow a power law of exponent 3, which makes it look alike at every scale.

    Lee, Mumford and Huang, "Occlusion models for natural images", 2001.
    """
    grain = texture(generator, height, width, exponent=1.0)[:, :, np.newaxis]
    picture = random_colour(generator, channels) + 0.1 * grain
    for radius in _radii(generator) * max(height, width):
        rows, columns, shape = _leaf(generator, radius, height, width)
        grainy = random_colour(generator, channels) + generator.uniform(0, 0.12) * grain[rows, columns]
        np.copyto(picture[rows, columns], grainy, where=shape[:, :, np.newaxis])
    return np.clip(picture, 0, 1)


def _radii(generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """Draw from the density r ** -3 between the two RADII, by inverting its distribution."""
    smallest, largest = (radius**-2 for radius in RADII)
    return np.asarray((smallest + generator.random(LEAVES) * (largest - smallest)) ** -0.5, np.float64)


def _leaf(
    generator: np.random.Generator, radius: float, height: int, width: int
) -> tuple[slice, slice, npt.NDArray[np.bool_]]:
    """Return where one leaf falls, and which pixels there it covers: a turned ellipse or a turned box."""
    row, column = generator.random() * height, generator.random() * width
    rows = slice(max(int(row - radius), 0), min(int(row + radius) + 1, height))
    columns = slice(max(int(column - radius), 0), min(int(column + radius) + 1, width))
    dy = (np.arange(rows.start, rows.stop)[:, np.newaxis] - row) / radius
    dx = (np.arange(columns.start, columns.stop)[np.newaxis, :] - column) / radius
    angle, narrow = generator.random() * np.pi, generator.uniform(1, 2.5)
    along = dx * np.cos(angle) + dy * np.sin(angle)
    across = (dy * np.cos(angle) - dx * np.sin(angle)) * narrow
    if generator.random() < 0.5:
        return rows, columns, along**2 + across**2 < 1
    return rows, columns, np.maximum(np.abs(along), np.abs(across)) < 0.7
