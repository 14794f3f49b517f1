"""The one form in which images travel through the engine: ready inputs, with labels where the user gave them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]  # (height, width, channels)
Inputs = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ImageSet:
    """Images as the network takes them: `inputs` is (count, …) float32, in the network's own layout.

    `class_names` are the folders that the labels came from, () where labels are plain numbers. `notes` tell what was
    left out and why, for the report. `from_pixels` is False where they came as numbers that the user made ready: what
    else is made for the network may not be on their scale.
    """

    inputs: Inputs
    labels: Labels | None
    names: tuple[str, ...]
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    from_pixels: bool = True

    def __len__(self) -> int:
        return len(self.names)

    def take(self, indices: npt.NDArray[Any]) -> ImageSet:
        """Return the images at `indices`, in that order; notes stay with the whole set."""
        return ImageSet(
            inputs=self.inputs[indices],
            labels=None if self.labels is None else self.labels[indices],
            names=tuple(self.names[int(index)] for index in indices),
            class_names=self.class_names,
            from_pixels=self.from_pixels,
        )

    def without(self, names: Collection[str]) -> ImageSet:
        """Return the images but for all views of these."""
        return self.take(np.array([place for place, name in enumerate(self.names) if name not in names], int))

    def first_views(self, names: Collection[str]) -> ImageSet:
        """Return of these images one view each, the first that is here: views of an image share its name."""
        first = {name: place for place, name in reversed(list(enumerate(self.names))) if name in names}
        return self.take(np.array(sorted(first.values()), int))

    def labels_fit(self, classes: int) -> bool:
        """Tell whether the labels can be class indices of a network with so many classes.

        Folder names that are not numbers become 0, 1, 2… in sorted order, which is the network's order only if every
        one of its classes has a folder.
        """
        if self.labels is None or not len(self):
            return False
        named = any(not name.isdecimal() for name in self.class_names)
        return int(self.labels.max()) < classes and (not named or len(self.class_names) == classes)


def together(*parts: ImageSet) -> ImageSet:
    """Return the images of all parts in one set, without labels and their names: made images have none."""
    names = tuple(name for part in parts for name in part.names)
    from_pixels = all(part.from_pixels for part in parts)
    return ImageSet(np.concatenate([part.inputs for part in parts]), None, names, from_pixels=from_pixels)
