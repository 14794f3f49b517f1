"""What `python -m engine survey` and `doctor` say of a set of images. Torch-free: anyone can read it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from engine.recipe import Preprocess, Strict

Ailment = Literal[
    "dtype", "layout", "range", "normalisation", "channel_order", "duplicates", "class_imbalance", "out_of_distribution"
]
"""What can be wrong with images, in the order in which it is looked for: each is judged with those before it mended."""


class Survey(Strict):
    """What is in a set of images, without a network. Sizes are height, width, channels of `looked_at` of the images.

    `classes` counts the images of each class where folders or an array of labels tell them, the first 1,000.
    """

    images: int
    looked_at: int
    kind: Literal["pictures", "pixel array", "float array"]
    dtype: str
    smallest: tuple[int, ...]
    largest: tuple[int, ...]
    value_range: tuple[float, float]
    classes: dict[str, int] | None
    copies: int
    size_bytes: int
    notes: tuple[str, ...]


class Finding(Strict):
    """One ailment: what was found, and the likely mend, in words and as a part of a recipe.

    `recipe` is None where no recipe can mend it: then the images have to be made anew.
    """

    ailment: Ailment
    message: str
    fix: str
    recipe: dict[str, Any] | None


class Check(Strict):
    """Whether an ailment was found, by which figures, and if it could not be looked for, why."""

    ailment: Ailment
    verdict: Literal["found", "healthy", "not examined"]
    figures: dict[str, float]
    note: str | None = None


class Diagnosis(Strict):
    """The doctor's report on a set of images for one network, read as `preprocess` says.

    `confidence` is the mean highest probability of the network on the images as they are, and `confidence_mended` on
    the images as `recipe` would have them; None where the network scores no classes.
    """

    images: int
    looked_at: int
    preprocess: Preprocess
    findings: tuple[Finding, ...]
    checks: tuple[Check, ...]
    recipe: dict[str, Any] | None = Field(description="All mends together, as a part of a recipe.")
    confidence: float | None
    confidence_mended: float | None
    notes: tuple[str, ...]
