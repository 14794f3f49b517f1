"""Shaders: a small random network turns each pixel's place, and a cloud, into its colour."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.data.synthesis.canvas import Canvas, random_colour, texture

WIDTH, DEPTH = 12, 3
GAIN = 2.3  # above one, so that a deep network folds its input many times
CONTRASTS = (0.1, 0.3)
COLOURFULNESS = (0.1, 0.7)  # of the brightness

Floats = npt.NDArray[np.float64]


def shader(generator: np.random.Generator, height: int, width: int, channels: int) -> Canvas:
    """Return one picture: curved shapes and repeated patterns, smooth and sharp.

    Stanley, "Compositional pattern producing networks", 2007. As training images: Baradad et al., "Procedural Image
    Programs for Representation Learning", NeurIPS 2022. arXiv:2211.16412
    """
    values = _places(generator, height, width)
    for _ in range(DEPTH):
        values = _activate(generator, _mix(generator, values, WIDTH) * GAIN)
    brightness = _standardised(_mix(generator, values, 1))
    colour = generator.uniform(*COLOURFULNESS) * _standardised(_mix(generator, values, channels))
    middle = 0.25 + 0.5 * random_colour(generator, channels)
    return np.clip(middle + generator.uniform(*CONTRASTS) * (brightness + colour), 0, 1)


def _places(generator: np.random.Generator, height: int, width: int) -> Floats:
    """Return (height, width, 5): two turned and scaled coordinates, the distance from a point, a cloud, and one."""
    turn, zoom = generator.uniform(0, 2 * np.pi), np.exp(generator.uniform(-0.7, 1.1))
    row, column = generator.uniform(-0.6, 0.6, 2)
    y = zoom * (np.linspace(-1, 1, height)[:, np.newaxis] - row)
    x = zoom * (np.linspace(-1, 1, width)[np.newaxis, :] - column)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    cloud = generator.uniform(0.1, 0.8) * texture(generator, height, width, exponent=generator.uniform(1.2, 2.2))
    return np.stack([along, across, np.hypot(along, across), cloud, np.ones((height, width))], axis=2)


def _mix(generator: np.random.Generator, values: Floats, width: int) -> Floats:
    weights = generator.standard_normal((values.shape[2], width)) / np.sqrt(values.shape[2])
    return np.asarray(values @ weights)


def _activate(generator: np.random.Generator, values: Floats) -> Floats:
    """Apply to each channel one of four functions: a wave, a step, a fold or a bump."""
    kinds = generator.integers(4, size=values.shape[2])
    waves, steps, folds = np.sin(2 * values), np.tanh(3 * values), np.abs(values) - 0.7
    return np.select([kinds == 0, kinds == 1, kinds == 2], [waves, steps, folds], np.exp(-np.square(values)))


def _standardised(values: Floats) -> Floats:
    centred = values - values.mean(axis=(0, 1))
    return np.asarray(centred / np.maximum(centred.std(axis=(0, 1)), 1e-6))
