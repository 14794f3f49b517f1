"""Some classes far more often than others: by labels where they are the network's, else as the network sees them."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from engine.data.balance import evenness
from engine.data.foreign import TELLING_IMAGES
from engine.diagnosis import Finding
from engine.doctor.case import Case, Look, NotExamined

EVENNESS_LEAST: Final = 0.9
"""Of the entropy of the classes against that of a fair draw of as many images."""


def look(case: Case) -> Look:
    """Hold the spread of the classes against a fair draw."""
    classes, of, told_by = _classes(case)
    if len(classes) < TELLING_IMAGES:
        raise NotExamined(f"{len(classes)} images are too few to tell how classes are spread.")
    counts = np.bincount(classes, minlength=of)
    even, largest = evenness(classes, of, seed=0), float(counts.max()) / len(classes)
    figures = {
        "evenness": round(even, 4),
        "largest_share": round(largest, 4),
        "classes_seen": float((counts > 0).sum()),
    }
    if even >= EVENNESS_LEAST:
        return Look(figures)
    message = (
        f"{told_by}, the images show {int(figures['classes_seen'])} of {of} classes, and {100 * largest:.0f} % of them "
        f"class {int(counts.argmax())}."
    )
    fix = "Send about as many images of each class that matters; the repair forgets what it does not see."
    return Look(figures, Finding(ailment="class_imbalance", message=message, fix=fix, recipe=None))


def _classes(case: Case) -> tuple[npt.NDArray[np.intp], int, str]:
    """Return a class for each image, how many there are, and who says so."""
    labels, names = case.sample.labels, case.sample.class_names
    if labels is not None and len(labels):
        of = max(len(names), int(labels.max()) + 1)
        scored = _classes_scored(case) or of
        if int(labels.max()) < scored and (all(name.isdecimal() for name in names) or len(names) == scored):
            return labels.astype(np.intp), scored, "By their labels"
    scores = case.scores()
    return scores.argmax(axis=1), scores.shape[1], "As the network sees them"


def _classes_scored(case: Case) -> int | None:
    """Return how many classes the network scores, None where it cannot be asked."""
    try:
        return int(case.scores().shape[1])
    except NotExamined:
        return None
