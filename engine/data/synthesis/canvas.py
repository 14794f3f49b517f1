"""What every drawing starts from: an empty picture, a natural colour, a texture. Values are 0 to 1."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Canvas = npt.NDArray[np.float64]  # (height, width, channels)

CHROMA = 0.12  # how far one channel strays from grey; photographs vary far more in brightness than in colour


def random_colour(generator: np.random.Generator, channels: int) -> npt.NDArray[np.float64]:
    """Return one value a channel: any brightness, little colour."""
    chroma = CHROMA * generator.standard_normal(channels) if channels > 1 else 0.0
    return np.clip(generator.random() + chroma, 0, 1) * np.ones(channels)


def texture(generator: np.random.Generator, height: int, width: int, exponent: float) -> npt.NDArray[np.float64]:
    """Return (height, width) noise of mean 0 and deviation 1 whose amplitude falls as 1 / frequency ** exponent."""
    rows, columns = np.fft.fftfreq(height)[:, np.newaxis], np.fft.rfftfreq(width)[np.newaxis, :]
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = 1.0
    spectrum = np.fft.rfft2(generator.standard_normal((height, width))) / frequency**exponent
    spectrum[0, 0] = 0.0
    noise = np.fft.irfft2(spectrum, s=(height, width))
    return np.asarray(noise / max(noise.std(), 1e-9), np.float64)
