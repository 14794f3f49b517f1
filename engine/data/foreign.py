"""Do the user's images look like what the network was made for? What is found is told with the likely mistake."""

from __future__ import annotations

import hashlib

import numpy as np

from engine.data.balance import UNEVEN_EVENNESS, evenness
from engine.data.images import ImageSet
from engine.data.site import Said

CONFIDENCE_LEAST = 0.5
"""Trained networks give photographs of their own kind 0.7 and more; with many classes a little less."""
DUPLICATES_MOST = 0.05
TELLING_IMAGES = 16
"""Fewer say nothing about their classes."""


def concerns(images: ImageSet, said: Said, seed: int) -> tuple[str, ...]:
    """Return a sentence for each thing that is amiss with the user's images, () for none."""
    return (*_duplicates(images), *_unsure(said), *_uneven(said, seed))


def is_uneven(said: Said, seed: int) -> bool:
    """Tell whether some classes, as the network sees them, come far more often than others."""
    if said.probabilities is None or said.classes is None or len(said.classes) < TELLING_IMAGES:
        return False
    return evenness(said.classes, said.probabilities.shape[1], seed) < UNEVEN_EVENNESS


def _duplicates(images: ImageSet) -> tuple[str, ...]:
    digests = {hashlib.sha256(image.tobytes()).digest() for image in images.inputs}
    copies = len(images) - len(digests)
    if copies <= DUPLICATES_MOST * len(images):
        return ()
    return (f"{copies} of {len(images)} images are copies of others and teach nothing new; send different ones.",)


def _unsure(said: Said) -> tuple[str, ...]:
    if said.probabilities is None or not len(said.probabilities):
        return ()
    confidence = float(said.probabilities.max(axis=1).mean())
    if confidence >= CONFIDENCE_LEAST:
        return ()
    return (
        f"The network is unsure of the images (mean confidence {confidence:.2f}): check preprocess.mean, std, scale "
        "and channel_order first, then whether the images are of the kind that it was trained for.",
    )


def _uneven(said: Said, seed: int) -> tuple[str, ...]:
    if said.classes is None or said.probabilities is None or not is_uneven(said, seed):
        return ()
    counts = np.bincount(said.classes, minlength=said.probabilities.shape[1])
    found, largest = int((counts > 0).sum()), 100 * float(counts.max()) / len(said.classes)
    return (
        f"The network takes the images for {found} of its {len(counts)} classes, {largest:.0f} % of them for one; "
        "rarer ones were repeated. Send images of all classes that matter or, if these are, check preprocess.mean.",
    )
