"""How pixels became numbers: known ways, the one that a recipe asks for, and the one that an array was made in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.data.preprocess import IMAGENET_MEAN, IMAGENET_STD

Floats = npt.NDArray[np.float32]

SNAP: Final = 0.12
"""How far the ends of an array's values may be from those of a known way, over its width, to be taken for it."""

RANGE_FACTOR: Final = 8.0
"""Gains that differ by more are another range; by less, another normalisation. From 0-1 to ImageNet's it is 4.4."""


@dataclass(frozen=True, eq=False)
class Scaling:
    """A pixel p of 0 to 255 becomes p / 255 * gain + offset; both are (channels,), in the network's order.

    [0, 1] with mean 0.5 and std 0.25 has gain 4 and offset -2.
    """

    name: str
    gain: Floats
    offset: Floats

    def apply(self, pixels: Floats) -> Floats:
        """Turn pixels (…, channels) into what the network takes."""
        return np.asarray(pixels * (self.gain / np.float32(255)) + self.offset, np.float32)

    def invert(self, values: Floats) -> Floats:
        """Turn values (…, channels) back into pixels."""
        return np.asarray((values - self.offset) * (np.float32(255) / self.gain), np.float32)

    def keys(self) -> dict[str, Any]:
        """Return the same as keys of `preprocess`."""
        if np.allclose(self.offset, 0) and np.allclose(self.gain, self.gain[0]):
            return {"scale": round(float(self.gain[0]) / 255, 8), "mean": [0.0], "std": [1.0]}
        std = np.float32(1) / self.gain
        return {"scale": 1 / 255, "mean": _short(-self.offset * std), "std": _short(std)}

    def is_like(self, other: Scaling) -> bool:
        """Tell whether no network would notice the difference."""
        alike = np.allclose(self.gain, other.gain, rtol=0.02) and np.allclose(self.offset, other.offset, atol=0.05)
        return bool(alike)

    def factor(self, other: Scaling) -> float:
        """Return how many times the other's gain this one's is."""
        return float(np.exp(np.mean(np.log(self.gain / other.gain))))


def normalised(name: str, mean: Any, std: Any, channels: int, scale: float = 1 / 255) -> Scaling:
    """Return the scaling of (p * scale - mean) / std."""
    mean, std = (np.broadcast_to(np.asarray(values, np.float32), (channels,)) for values in (mean, std))
    return Scaling(name, (255 * scale / std).astype(np.float32), (-mean / std).astype(np.float32))


def known_ways(channels: int) -> tuple[Scaling, ...]:
    """Return the ways in which networks are usually trained."""
    found = [
        normalised("0 to 1", 0.0, 1.0, channels),
        normalised("-1 to 1", 0.5, 0.5, channels),
        normalised("0 to 255", 0.0, 1.0, channels, scale=1.0),
    ]
    if channels == 3:
        found.append(normalised("ImageNet's mean and std", IMAGENET_MEAN, IMAGENET_STD, 3))
        found.append(normalised("ImageNet's mean off 0 to 255", 255 * np.asarray(IMAGENET_MEAN), 1.0, 3, scale=1.0))
    if channels == 1:
        found.append(normalised("MNIST's mean and std", 0.1307, 0.3081, 1))
    return tuple(found)


def of_values(values: Floats) -> Scaling:
    """Return how values (count, height, width, channels) were made from pixels, by where they begin and end.

    Over many photographs each channel reaches both of its ends.
    """
    flat = values.reshape(-1, values.shape[-1])
    low, high = flat.min(axis=0), flat.max(axis=0)
    width = np.maximum(high - low, 1e-9)
    off = {way: _off(way, low, high) for way in _snaps(values.shape[-1])}
    nearest = min(off, key=lambda way: off[way])
    if off[nearest] <= SNAP:
        return nearest
    return Scaling("they are", width.astype(np.float32), low.astype(np.float32))


def _snaps(channels: int) -> Iterator[Scaling]:
    """Yield the known ways, each also with the pixels 255 times too large or too small before the normalisation."""
    for way in known_ways(channels):
        yield way
        if way.name != "0 to 255":
            yield Scaling(f"{way.name}, from 0 to 255", way.gain * np.float32(255), way.offset)
            yield Scaling(f"{way.name}, divided by 255 twice", way.gain / np.float32(255), way.offset)


def _off(way: Scaling, low: Floats, high: Floats) -> float:
    wrong = np.maximum(np.abs(low - way.offset), np.abs(high - way.offset - way.gain)) / way.gain
    return float(wrong.max())


def _short(values: Floats) -> list[float]:
    rounded = [round(float(value), 5) for value in values]
    return rounded[:1] if len(set(rounded)) == 1 else rounded
