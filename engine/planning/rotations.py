"""Turns of a job: the bases of all heads that may be narrowed, found once and kept for a second attempt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from engine.checkpoint import Checkpoint
from engine.graph.heads import Heads, Rotation
from engine.measure.cost import count
from engine.recovery.rotation import find_rotations
from engine.subject import Subject

IMAGES_MIN, IMAGES_MAX = 4, 64
MACS_A_SECOND = 4e9
"""Of the budget: work that looking at the heads may take, half of what judging may; it bounds how many images tell."""


def rotations_for(subject: Subject, heads: Sequence[Heads], checkpoint: Checkpoint) -> dict[str, Rotation]:
    """Return a rotation for each of these, by the name of its group.

    A second attempt goes on with the first one's, whatever the rounding of its own would be: weights that have been
    trained since are in that basis.
    """
    kept = checkpoint.read_tensors("rotations")
    if kept is None:
        found = find_rotations(subject.model, heads, subject.split.repair.take(_drawn(subject)), subject.compute)
        kept = {
            rotation.heads.group: [
                torch.from_numpy(array) for array in (rotation.bases, rotation.shifts, rotation.shares)
            ]
            for rotation in found
        }
        checkpoint.write_tensors("rotations", kept)
    return {one.group: Rotation(one, *(tensor.numpy() for tensor in kept[one.group])) for one in heads}


def _drawn(subject: Subject) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return which images tell of the heads: evenly among those of the repair."""
    have = len(subject.split.repair)
    two_passes = 2 * max(count(subject.model, subject.image_shapes).macs, 1)
    few = int(min(IMAGES_MAX, max(IMAGES_MIN, MACS_A_SECOND * subject.allowance.seconds // two_passes), have))
    return np.linspace(0, have - 1, few).astype(np.intp)
