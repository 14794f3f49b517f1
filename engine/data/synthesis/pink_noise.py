"""Pink noise: clouds whose spectrum falls with frequency, as that of photographs does."""

from __future__ import annotations

import numpy as np

from engine.data.synthesis.canvas import CHROMA, Canvas, random_colour, texture

EXPONENTS = (0.9, 1.8)  # photographs lie between 1 and 1.3
CONTRASTS = (0.08, 0.25)


def pink_noise(generator: np.random.Generator, height: int, width: int, channels: int) -> Canvas:
    """Return one picture: a texture of brightness shared by all channels, and a weaker one of colour in each.

    Field, "Relations between the statistics of natural images and the response properties of cortical cells", 1987.
    """
    exponent, contrast = generator.uniform(*EXPONENTS), generator.uniform(*CONTRASTS)
    brightness = texture(generator, height, width, exponent)
    planes = [brightness + _colour(generator, height, width, exponent, channels) for _ in range(channels)]
    middle = 0.25 + 0.5 * random_colour(generator, channels)
    return np.clip(middle + contrast * np.stack(planes, axis=2), 0, 1)


def _colour(generator: np.random.Generator, height: int, width: int, exponent: float, channels: int) -> Canvas | float:
    return 3 * CHROMA * texture(generator, height, width, exponent) if channels > 1 else 0.0
