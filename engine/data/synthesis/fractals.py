"""Fractals: attractors of random affine maps, drawn on clouds; edges and repeated parts at every scale."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.data.synthesis.canvas import Canvas, random_colour, texture

POINTS = 2_000
STEPS = 30
SETTLING_STEPS = 8  # the first points are not on the attractor yet
SHRINK = (0.35, 0.9)
CONTRASTS = (0.3, 0.7)  # from background to ink, round the circle of values

Floats = npt.NDArray[np.float64]


def fractal(generator: np.random.Generator, height: int, width: int, channels: int) -> Canvas:
    """Return one picture: how often the chaos game visits each pixel, from one colour to another.

    Barnsley, "Fractals Everywhere", 1988. As training images: Kataoka et al., "Pre-training without Natural Images",
    2020. arXiv:2101.08515
    """
    visits = np.log1p(_visits(_attractor(generator), height, width))
    weight = np.minimum(visits / max(float(np.quantile(visits[visits > 0], 0.8)), 1e-9), 1)[:, :, np.newaxis]
    clouds = generator.uniform(0.03, 0.15) * texture(generator, height, width, exponent=1.3)[:, :, np.newaxis]
    background = random_colour(generator, channels)
    ink = (background + generator.uniform(*CONTRASTS, channels)) % 1
    return np.clip(background + clouds + weight * (ink - background), 0, 1)


def _attractor(generator: np.random.Generator) -> Floats:
    """Play the chaos game with many points at once; returns (points, 2)."""
    maps = int(generator.integers(2, 6))
    linear, shift = _contractions(generator, maps), generator.uniform(-1, 1, (maps, 2))
    weights = np.abs(np.linalg.det(linear)) + 0.05
    points, visited = np.zeros((POINTS, 2)), []
    for step in range(STEPS):
        chosen = generator.choice(maps, POINTS, p=weights / weights.sum())
        points = np.einsum("nij,nj->ni", linear[chosen], points) + shift[chosen]
        if step >= SETTLING_STEPS:
            visited.append(points)
    return np.concatenate(visited)


def _contractions(generator: np.random.Generator, maps: int) -> Floats:
    """Return (maps, 2, 2) matrices that turn, shrink and turn again, so that every orbit stays bounded."""
    return _rotations(generator, maps) * generator.uniform(*SHRINK, (maps, 1, 2)) @ _rotations(generator, maps)


def _rotations(generator: np.random.Generator, count: int) -> Floats:
    angle = generator.uniform(0, 2 * np.pi, count)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.moveaxis(np.array([[cos, -sin], [sin, cos]]), 2, 0)


def _visits(points: Floats, height: int, width: int) -> Floats:
    """Count the points in each pixel after stretching the attractor over the picture, stragglers left out."""
    low, high = np.quantile(points, 0.01, axis=0), np.quantile(points, 0.99, axis=0)
    scaled = (points - low) / np.maximum(high - low, 1e-9)
    cells = (scaled * (height, width)).astype(np.intp)
    inside = ((scaled >= 0) & (scaled < 1)).all(axis=1)
    flat = cells[inside, 0] * width + cells[inside, 1]
    return np.bincount(flat, minlength=height * width).reshape(height, width).astype(np.float64)
