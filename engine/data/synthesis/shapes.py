"""Closed curves, laid over what is there: opaque, with a soft edge, as a camera would see them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.data.synthesis.canvas import Canvas

HARMONICS = np.arange(2, 7)
ROUGHNESS = (0.05, 0.45)  # of the radius, in all harmonics; less in each higher one
LENGTHS = (1.0, 2.2)  # how much longer than wide

Plane = npt.NDArray[np.float64]  # (height, width)


def blob(
    generator: np.random.Generator, height: int, width: int, radius: float, centre: tuple[float, float]
) -> tuple[Plane, Plane]:
    """Return how far each pixel is covered, 0 to 1, and how far out it is: 0 at the centre, 1 at the edge.

    `radius` is a part of the longer side, `centre` a part of height and width. The edge is one pixel wide.
    """
    radius_pixels = radius * max(height, width)
    dy = np.arange(height)[:, np.newaxis] - centre[0] * height
    dx = np.arange(width)[np.newaxis, :] - centre[1] * width
    turn, longer = generator.uniform(0, np.pi), generator.uniform(*LENGTHS)
    along = dx * np.cos(turn) + dy * np.sin(turn)
    across = (dy * np.cos(turn) - dx * np.sin(turn)) * longer
    edge = radius_pixels * _outline(generator, np.arctan2(across, along))
    distance = np.hypot(along, across)
    return np.clip(edge - distance + 0.5, 0, 1), distance / np.maximum(edge, 1e-6)


def _outline(generator: np.random.Generator, angles: Plane) -> Plane:
    """Return the curve's radius at each angle, about 1: a circle and a few harmonics of random height and phase."""
    heights = generator.standard_normal(len(HARMONICS)) * generator.uniform(*ROUGHNESS) / HARMONICS
    phases = generator.uniform(0, 2 * np.pi, len(HARMONICS))
    radius = np.ones_like(angles)
    for harmonic, height, phase in zip(HARMONICS, heights, phases, strict=True):
        radius += height * np.cos(harmonic * angles + phase)
    return radius


def lay_over(picture: Canvas, cover: Plane, surface: Canvas) -> Canvas:
    """Return the picture with a surface in front of it wherever it covers."""
    mask = cover[:, :, np.newaxis]
    return picture * (1 - mask) + surface * mask
