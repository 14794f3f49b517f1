"""The same image more than once: stored twice, stored anew with other losses, or mirrored."""

from __future__ import annotations

from typing import Final

from engine.diagnosis import Finding
from engine.doctor.case import Case, Look, NotExamined
from engine.doctor.sample import copies_of

COPIES_MOST: Final = 0.05
"""Part of the images that may be copies of others."""


def look(case: Case) -> Look:
    """Compare thumbnails of up to 1,000 images."""
    count = len(case.sample.thumbnails)
    if count < 2:
        raise NotExamined("One image has no copies.")
    copies = sum(1 for _ in copies_of(case.sample.thumbnails))
    figures = {"copies": float(copies), "share": round(copies / count, 4)}
    if copies <= COPIES_MOST * count:
        return Look(figures)
    message = f"{copies} of {count} images are copies of others, or nearly so."
    fix = "Send different images: copies teach nothing new and make held-out figures look better than they are."
    return Look(figures, Finding(ailment="duplicates", message=message, fix=fix, recipe=None))
