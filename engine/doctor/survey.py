"""What is in a set of images, before any network comes into play. A set that no job could read is refused here."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from engine.diagnosis import Survey
from engine.doctor.sample import Sample, copies_of, draw

LOOKED_AT: Final = 64
CLASSES_MOST: Final = 1000


def survey(path: Path, seed: int = 0) -> Survey:
    """Read some of the images, evenly over the set. Raises CalibrationError where that cannot be done."""
    sample = draw(path, LOOKED_AT, seed)
    shapes = sorted({image.shape for image in sample.images}, key=lambda shape: int(np.prod(shape)))
    low = min(float(image.min()) for image in sample.images)
    high = max(float(image.max()) for image in sample.images)
    return Survey(
        images=sample.total,
        looked_at=len(sample.images),
        kind=sample.kind,
        dtype=str(sample.images[0].dtype),
        smallest=shapes[0],
        largest=shapes[-1],
        value_range=(low, high) if np.isfinite([low, high]).all() else (0.0, 0.0),
        classes=_classes(sample),
        copies=sum(1 for _ in copies_of(sample.thumbnails)),
        size_bytes=_size_bytes(path),
        notes=_notes(sample, low, high),
    )


def _notes(sample: Sample, low: float, high: float) -> tuple[str, ...]:
    if np.isfinite([low, high]).all():
        return sample.notes
    return (*sample.notes, "some values are not finite: no job can use these images")


def _classes(sample: Sample) -> dict[str, int] | None:
    if sample.labels is None:
        return None
    found, counts = np.unique(sample.labels, return_counts=True)
    words = sample.class_names if len(sample.class_names) == len(found) else tuple(str(label) for label in found)
    return {word: int(count) for word, count in list(zip(words, counts, strict=True))[:CLASSES_MOST]}


def _size_bytes(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.lstat().st_size for file in files)
