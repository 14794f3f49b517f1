"""The eight harms, each in the ways in which people do it: a table of drawers that turn healthy images into ill ones.

A healthy set is pixels with a recipe, or ready inputs of floating point, made as the network was trained.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn.datasets import load_digits  # type: ignore[import-untyped]  # it has no types

from benchmarks.doctor.patients import Half, Patient, Pixels, class_of, foreign_images, own_images, read
from engine.diagnosis import Ailment
from engine.recipe import Preprocess

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Draft:
    """One set of images on its way: `pixels` (count, h, w, 3), how they are scaled, and the array that is sent.

    `array` is made from the others where nobody has made it yet. `as_floats`: ready inputs; else pixels and a recipe.
    """

    patient: Patient
    pixels: Pixels
    labels: Array | None
    as_floats: bool
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    array: Array | None = None
    way: str = "healthy"

    def inputs(self) -> npt.NDArray[np.float32]:
        """Return what the network would get, channels last."""
        scaled = (self.pixels * self.scale - np.asarray(self.mean)) / np.asarray(self.std)
        return np.asarray(scaled, np.float32)

    def sent(self) -> Array:
        if self.array is not None:
            return self.array
        return np.ascontiguousarray(self.inputs().transpose(0, 3, 1, 2)) if self.as_floats else self.pixels

    def preprocess(self) -> Preprocess:
        return Preprocess(scale=self.scale, mean=self.mean, std=self.std)


def healthy(patient: Patient, data: Path, half: Half, count: int, seed: int) -> Draft:
    """Draw images; half of the sets come as pixels, half as ready inputs, and half of either with labels."""
    generator = np.random.default_rng(seed)
    archive, names = own_images(patient, data, half)
    chosen = tuple(names[index] for index in generator.choice(len(names), count, replace=False))
    classes = sorted({class_of(name) for name in names})
    labels = np.array([int(c) if c.isdecimal() else classes.index(c) for c in map(class_of, chosen)])
    own = (1.0, (0.0,), (1.0,)) if patient.takes_pixels else (1 / 255, patient.mean, patient.std)
    pixels = read(archive, chosen, patient.side)
    return Draft(patient, pixels, labels if seed % 4 < 2 else None, bool(seed % 2), *own)


@dataclass(frozen=True)
class Bed:
    """What a harm may draw on beside the images."""

    data: Path
    half: Half
    generator: np.random.Generator


def _wrong_layout(draft: Draft, bed: Bed) -> Draft | None:
    inputs = draft.inputs()
    channels_first = np.ascontiguousarray(inputs.transpose(0, 3, 1, 2))
    ways: dict[str, Array] = {
        "channels last": inputs,
        "reshaped to channels first": inputs.reshape(channels_first.shape),
        "turned": np.ascontiguousarray(inputs.transpose(0, 3, 2, 1)),
    }
    if not draft.as_floats:
        planes = np.ascontiguousarray(draft.pixels.transpose(0, 3, 1, 2))
        ways = {
            "reshaped to channels last": planes.reshape(draft.pixels.shape),
            "turned": np.ascontiguousarray(draft.pixels.transpose(0, 2, 1, 3)),
        }
    way = _pick(list(ways), bed)
    return replace(draft, array=ways[way], way=way)


def _wrong_range(draft: Draft, bed: Bed) -> Draft | None:
    if draft.patient.takes_pixels:
        way = _pick(["0 to 1", "normalised"], bed)
        if way == "0 to 1":
            return replace(draft, scale=1 / 255, way=way)
        return replace(draft, scale=1 / 255, mean=draft.patient.mean, std=draft.patient.std, way=way)
    way = _pick(["0 to 255", "normalised from 0 to 255", "divided by 255 twice"], bed)
    if way == "0 to 255":
        return replace(draft, scale=1.0, mean=(0.0,), std=(1.0,), way=way)
    return replace(draft, scale=1.0 if way.startswith("norm") else 1 / 255**2, way=way)


def _wrong_normalisation(draft: Draft, bed: Bed) -> Draft | None:
    if draft.patient.takes_pixels:
        mean = tuple(255 * value for value in draft.patient.mean)
        return replace(draft, mean=mean, way="the mean taken off, and taken off again inside")
    ways: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
        "none": ((0.0,), (1.0,)),
        "-1 to 1": ((0.5,) * 3, (0.5,) * 3),
        "ImageNet's": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        "no mean": ((0.0,), draft.std),
    }
    others = [way for way, values in ways.items() if values != (draft.mean, draft.std)]
    way = _pick(others, bed)
    return replace(draft, mean=ways[way][0], std=ways[way][1], way=way)


def _wrong_order(draft: Draft, bed: Bed) -> Draft | None:
    swapped = replace(draft, pixels=np.ascontiguousarray(draft.pixels[..., ::-1]), way="before the normalisation")
    if not draft.as_floats or _pick(["before", "after"], bed) == "before":
        return swapped
    array = np.ascontiguousarray(draft.inputs()[..., ::-1].transpose(0, 3, 1, 2))
    return replace(draft, array=array, way="after the normalisation")


def _wrong_type(draft: Draft, bed: Bed) -> Draft | None:
    first = draft.pixels.transpose(0, 3, 1, 2)
    ready = Draft(draft.patient, draft.pixels, None, True, 1 / 255, draft.patient.mean, draft.patient.std).inputs()
    rounded = np.round(ready)
    ways: dict[str, Array] = {
        "codes of int8 as floats": first.astype(np.float32) - 128,
        "rounded to whole numbers": rounded.transpose(0, 3, 1, 2),
        "sixteen levels": _levels(draft.inputs().transpose(0, 3, 1, 2), 16),
        "an array of int8": (first.astype(np.int16) - 128).astype(np.int8),
    }
    if not draft.as_floats:
        ways = {
            "normalised, then cast to uint8": rounded.astype(np.int64).astype(np.uint8),
            "sixteen levels": (draft.pixels // 16 * 16).astype(np.uint8),
            "an array of int32": draft.pixels.astype(np.int32),
        }
    way = _pick(list(ways), bed)
    return replace(draft, array=np.ascontiguousarray(ways[way]), way=way)


def _levels(values: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.float32]:
    low, high = values.min(), values.max()
    step = (high - low) / (count - 1)
    return np.asarray(np.round((values - low) / step) * step + low, np.float32)


def _duplicates(draft: Draft, bed: Bed) -> Draft | None:
    """Put copies in the place of a fifth to a half of the images."""
    count, pixels = len(draft.pixels), draft.pixels.copy()
    lost = bed.generator.permutation(count)[: int(count * bed.generator.uniform(0.2, 0.5))]
    kept = np.setdiff1d(np.arange(count), lost)
    way = _pick(["exact", "stored anew", "mirrored"], bed)
    for place in lost:
        original = draft.pixels[bed.generator.choice(kept)]
        pixels[place] = (
            original[:, ::-1] if way == "mirrored" else _stored_anew(original) if way != "exact" else original
        )
    return replace(draft, pixels=pixels, labels=None, way=way)


def _stored_anew(pixels: Pixels) -> Pixels:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=60)
    return np.asarray(Image.open(stream))


def _imbalance(draft: Draft, bed: Bed) -> Draft | None:
    """Take most of the images from one or two classes. None where there is but one image a class, or no class."""
    if draft.patient.sees_photographs or draft.patient.is_headless:
        return None
    archive, names = own_images(draft.patient, bed.data, bed.half)
    classes = sorted({class_of(name) for name in names})
    favoured = bed.generator.choice(classes, int(bed.generator.integers(1, 3)), replace=False)
    share = bed.generator.uniform(0.6, 0.9)
    count = len(draft.pixels)
    many = [name for name in names if class_of(name) in favoured]
    few = [name for name in names if class_of(name) not in favoured]
    taken = int(count * share)
    chosen = [many[i] for i in bed.generator.choice(len(many), taken, replace=False)]
    chosen += [few[i] for i in bed.generator.choice(len(few), count - taken, replace=False)]
    labels = np.array([classes.index(class_of(name)) for name in chosen])
    pixels = read(archive, tuple(chosen), draft.patient.side)
    way = f"{share:.0%} of {len(favoured)} classes"
    return replace(draft, pixels=pixels, labels=None if draft.labels is None else labels, way=way)


def _foreign(draft: Draft, bed: Bed) -> Draft | None:
    """Send images of another kind. None for a network without scores, which does not claim to tell."""
    if draft.patient.is_headless:
        return None
    count, side, generator = len(draft.pixels), draft.patient.side, bed.generator
    way = _pick(["photographs of another kind", "photographs of another kind", "digits", "noise"], bed)
    if way == "noise":
        pixels = generator.integers(0, 256, draft.pixels.shape, dtype=np.uint8)
    elif way == "digits":
        pixels = _digits(count, side, generator)
    else:
        archive, names = foreign_images(draft.patient, bed.data, bed.half)
        chosen = tuple(names[index] for index in generator.choice(len(names), count, replace=False))
        pixels = read(archive, chosen, side)
    return replace(draft, pixels=pixels, labels=None, way=way)


def _digits(count: int, side: int, generator: np.random.Generator) -> Pixels:
    """Return handwritten digits, white on black."""
    planes = load_digits().images
    drawn = [planes[index] for index in generator.choice(len(planes), count, replace=False)]
    scaled = [
        np.asarray(Image.fromarray((plane * 15.9).astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC))
        for plane in drawn
    ]
    return np.repeat(np.stack(scaled)[..., np.newaxis], 3, axis=3)


def _pick(ways: list[str], bed: Bed) -> str:
    return ways[int(bed.generator.integers(len(ways)))]


HARMS: dict[Ailment, Callable[[Draft, Bed], Draft | None]] = {
    "dtype": _wrong_type,
    "layout": _wrong_layout,
    "range": _wrong_range,
    "normalisation": _wrong_normalisation,
    "channel_order": _wrong_order,
    "duplicates": _duplicates,
    "class_imbalance": _imbalance,
    "out_of_distribution": _foreign,
}
