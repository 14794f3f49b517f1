"""ImageNet's mean and deviation where nobody said any: whether the network does better with another usual way."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from engine.data.images import ImageSet
from engine.data.preprocess import IMAGENET_MEAN, IMAGENET_STD, mean_and_std
from engine.data.scaling import RANGE_FACTOR, Scaling, known_ways, normalised
from engine.data.site import Said
from engine.data.sureness import of_scores, preferred
from engine.errors import RecipeInvalid
from engine.input_form import InputForm

Ask = Callable[[ImageSet], Said]
Hits = npt.NDArray[np.bool_]

SHOWN_MIN = 8
"""So few images tell chance from cause."""
SHOWN_LEAST, SHOWN_MOST, SHOWN_MACS = 16, 64, 8e9
"""How many are shown, in each way: as many as so much work allows, in multiply-accumulates."""
RIGHT_LEAST, SURELY = 0.2, 3.0
"""By which part of the images the network must be right more often, and by how many standard errors of that part."""


def doubt(images: ImageSet, form: InputForm, ask: Ask, macs: int = 1) -> tuple[str, ...]:
    """Return a sentence where nobody said how pixels are normalised and it cannot be known, or seems to be wrong.

    `macs` are what the network takes for one image. Without labels only ways of about the same range are held against
    ImageNet's: pixels fifty times as large make some networks surer of whatever they see.
    Raises RecipeInvalid where labels show that it is wrong: the network is right far more often in another way.
    """
    if not _is_guessed(form):
        return ()
    if not len(images):
        return (
            "Nothing was said of preprocess.mean and std: the made images were normalised by ImageNet's, "
            f"{IMAGENET_MEAN} and {IMAGENET_STD}. If the network was trained otherwise, say how, or send images.",
        )
    if not images.from_pixels or len(images) < SHOWN_MIN:
        return ()
    count = min(len(images), int(np.clip(SHOWN_MACS // max(macs, 1), SHOWN_LEAST, SHOWN_MOST)))
    shown, given = images.take(np.linspace(0, len(images) - 1, count).astype(int)), _given(form)
    before = ask(shown)
    if before.probabilities is None:
        return ()
    ways = [way for way in known_ways(form.channels) if not way.is_like(given)]
    has_labels = shown.labels_fit(before.probabilities.shape[1])
    if not has_labels:
        ways = [way for way in ways if 1 / RANGE_FACTOR < way.factor(given) < RANGE_FACTOR]
    said = [before, *(ask(_scaled(shown, form, given, way)) for way in ways)]
    if has_labels:
        return _by_labels([np.asarray(each.classes == shown.labels) for each in said], ways)
    return _by_sureness(said, ways)


def _by_sureness(said: Sequence[Said], ways: Sequence[Scaling]) -> tuple[str, ...]:
    """Return a sentence where the network is clearly surer of the images in another way."""
    before, *others = (of_scores(each.probabilities) for each in said if each.probabilities is not None)
    found = preferred(before, others)
    return (_seems(ways[found.best]),) if found.is_clear and found.best is not None else ()


def _is_guessed(form: InputForm) -> bool:
    asked = form.preprocess
    return form.takes_pictures and form.channels == len(IMAGENET_MEAN) and asked.mean is None and asked.std is None


def _given(form: InputForm) -> Scaling:
    mean, std = mean_and_std(form, form.channels)
    return normalised("ImageNet's mean and std", mean, std, form.channels, scale=form.preprocess.scale)


def _scaled(images: ImageSet, form: InputForm, given: Scaling, way: Scaling) -> ImageSet:
    """Return the images as if their pixels had been scaled in another way."""
    axis = 1 if form.preprocess.layout == "NCHW" else -1
    pixels = given.invert(np.moveaxis(images.inputs, axis, -1))
    inputs = np.ascontiguousarray(np.moveaxis(way.apply(pixels), -1, axis))
    return ImageSet(inputs, images.labels, images.names, images.class_names)


def _by_labels(hits: Sequence[Hits], ways: Sequence[Scaling]) -> tuple[str, ...]:
    """Raise RecipeInvalid where the network is surely right far more often in another way."""
    before, *others = hits
    best = max(range(len(others)), key=lambda row: int(others[row].sum()))
    gain = others[best].astype(float) - before
    error = max(float(gain.std(ddof=1)) / np.sqrt(len(gain)), 1 / len(gain))
    if gain.mean() < RIGHT_LEAST or gain.mean() < SURELY * error:
        return ()
    raise RecipeInvalid(
        "Nothing was said of preprocess.mean and std, so pixels were normalised by ImageNet's, and the network is "
        f"right on {int(before.sum())} of {len(before)} labelled images; with pixels scaled to {ways[best].name} it is "
        f"right on {int(others[best].sum())}. {_mend(ways[best])}",
        where="preprocess.mean",
    )


def _seems(way: Scaling) -> str:
    return (
        "Nothing was said of preprocess.mean and std, so pixels were normalised by ImageNet's; the network is clearly "
        f"surer of the images with {way.name}. If it was trained so, what was made here is of little use. {_mend(way)}"
    )


def _mend(way: Scaling) -> str:
    said = ", ".join(f'"{key}": {value}' for key, value in way.keys().items())
    return f'Set "preprocess": {{{said}}} in the recipe.'
