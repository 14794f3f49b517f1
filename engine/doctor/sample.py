"""Images as they lie in their container, before anything is made of them: pixels or numbers, with names and labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from engine.data.calibration import open_source
from engine.data.containers.source import Source
from engine.data.images import Labels
from engine.data.sampling import Indices, sample_evenly

Images = tuple[npt.NDArray[Any], ...]
Kind = Literal["pictures", "pixel array", "float array"]

THUMBNAILS_MOST: Final = 1000
LOOKED_AT_BYTES: Final = 2**29
THUMBNAIL_SIDE: Final = 8


@dataclass(frozen=True)
class Sample:
    """Some of the images of a set: `images` are looked at closely, `thumbnails` only for likeness to one another.

    `images` are uint8 (height, width, channels), or floating point of any shape. `thumbnails` is (more images, 8, 8),
    0 to 1 over the values of each image. `labels` are those of all images, `total` of them.
    """

    kind: Kind
    images: Images
    names: tuple[str, ...]
    thumbnails: npt.NDArray[np.float32]
    labels: Labels | None
    class_names: tuple[str, ...]
    total: int
    notes: tuple[str, ...]


def draw(path: Path, count: int, seed: int) -> Sample:
    """Read `count` images, and thumbnails of up to 1,000, evenly over the set. Raises CalibrationUnreadable."""
    generator = np.random.default_rng(seed)
    with open_source(path) as source:
        total = len(source.names)
        seen = _evenly(source, total, THUMBNAILS_MOST, generator)
        chosen = set(_evenly(source, len(seen), count, generator, of=seen).tolist())
        images: list[npt.NDArray[Any]] = []
        names, thumbnails, room = [], [], LOOKED_AT_BYTES
        for index in seen:
            image = source.read(int(index))
            thumbnails.append(thumbnail(image))
            room -= image.nbytes if int(index) in chosen else 0
            if int(index) in chosen and room > 0:
                images.append(image)
                names.append(source.names[int(index)])
        return Sample(
            kind="pictures" if source.pictures else "pixel array" if images[0].dtype == np.uint8 else "float array",
            images=tuple(images),
            names=tuple(names),
            thumbnails=np.stack(thumbnails),
            labels=source.labels,
            class_names=source.class_names,
            total=total,
            notes=source.notes,
        )


def _evenly(
    source: Source, total: int, count: int, generator: np.random.Generator, of: Indices | None = None
) -> Indices:
    rows = np.arange(total) if of is None else of
    if total <= count:
        return rows
    labels = None if source.labels is None else source.labels[rows]
    return np.asarray(rows[sample_evenly(labels, total, count, generator)])


def thumbnail(image: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return (8, 8) values: the image small, in one plane, from its darkest to its brightest."""
    plane = _plane(np.nan_to_num(image.astype(np.float32), posinf=0.0, neginf=0.0))
    size = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    small = np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BOX), np.float32)
    low, width = float(plane.min()), float(plane.max() - plane.min())
    return (small - low) / max(width, 1e-9)


def _plane(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return (height, width): the mean over channels, wherever they are."""
    if image.ndim == 3:
        return np.ascontiguousarray(image.mean(axis=0 if image.shape[0] < image.shape[2] else 2))
    return image if image.ndim == 2 else image.reshape(image.shape[0], -1)


def copies_of(thumbnails: npt.NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    """Yield (image, earlier image) for each image that is a copy of an earlier one, mirrored, or stored anew."""
    flat = thumbnails.reshape(len(thumbnails), -1)
    mirrored = thumbnails[:, :, ::-1].reshape(len(thumbnails), -1)
    varied = flat.std(axis=1) > LEAST_VARIATION
    for row in np.flatnonzero(varied):
        earlier = np.flatnonzero(varied[:row])
        if not len(earlier):
            continue
        off = np.minimum(_off(flat[earlier], flat[row]), _off(mirrored[earlier], flat[row]))
        if off.min() <= LIKENESS:
            yield int(row), int(earlier[off.argmin()])


LIKENESS: Final = 0.02
"""Root mean square difference of two thumbnails, over the width of an image's values, below which they are one."""

LEAST_VARIATION: Final = 0.02
"""Flat images are all alike, and that is no fault of theirs."""


def _off(many: npt.NDArray[np.float32], one: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(np.sqrt(np.square(many - one).mean(axis=1)))
