"""What every drawing starts from: an empty picture, a natural colour, a texture. Values are 0 to 1."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

Canvas = npt.NDArray[np.float64]  # (height, width, channels)

CHROMA = 0.12  # how far one channel strays from grey; photographs vary far more in brightness than in colour
SATURATION_MEDIAN, SATURATION_SPREAD, SATURATION_MOST = 0.11, 0.8, 0.5
ORANGE_TO_BLUE, PURPLE_TO_GREEN = np.array([1.0, 0.1, -1.0]), 0.45 * np.array([0.5, -1.0, 0.5])
"""The two directions of colour, of about the length that photographs vary in them: daylight and skies in the first."""


def random_colour(generator: np.random.Generator, channels: int) -> npt.NDArray[np.float64]:
    """Return one value a channel: any brightness, little colour, and that mostly between orange and blue."""
    brightness = generator.random()
    if channels == 1:
        return np.array([brightness])
    if channels != 3:
        return np.asarray(np.clip(brightness + CHROMA * generator.standard_normal(channels), 0, 1))
    saturation = SATURATION_MEDIAN * np.exp(SATURATION_SPREAD * generator.standard_normal())
    warm, green = generator.standard_normal(2)
    colour = min(saturation, SATURATION_MOST) * (warm * ORANGE_TO_BLUE + green * PURPLE_TO_GREEN)
    return np.asarray(np.clip(brightness + colour, 0, 1))


def texture(generator: np.random.Generator, height: int, width: int, exponent: float) -> npt.NDArray[np.float64]:
    """Return (height, width) noise of mean 0 and deviation 1 whose amplitude falls as 1 / frequency ** exponent."""
    spectrum = np.fft.rfft2(generator.standard_normal((height, width))) / _frequency(height, width) ** exponent
    spectrum[0, 0] = 0.0
    noise = np.fft.irfft2(spectrum, s=(height, width))
    return np.asarray(noise / max(noise.std(), 1e-9), np.float64)


@functools.lru_cache(maxsize=4)
def _frequency(height: int, width: int) -> npt.NDArray[np.float64]:
    rows, columns = np.fft.fftfreq(height)[:, np.newaxis], np.fft.rfftfreq(width)[np.newaxis, :]
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = 1.0
    return np.asarray(frequency, np.float64)
