"""What is said, and when a job is refused, where nobody said how pixels are normalised."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from engine.data.guess import SHOWN_MIN, doubt
from engine.data.images import ImageSet
from engine.data.preprocess import mean_and_std
from engine.data.scaling import Scaling, known_ways
from engine.data.site import Said
from engine.errors import RecipeInvalid
from engine.graph.model import TensorInfo
from engine.input_form import InputForm, input_form
from engine.recipe import Preprocess

CLASSES, SIDE = 6, 8
IMAGENETS, ZERO_TO_ONE = "ImageNet's mean and std", "0 to 1"


def form_of(layout: str = "NCHW", channels: int = 3, **asked: Any) -> InputForm:
    shape = ("batch", channels, SIDE, SIDE) if layout == "NCHW" else ("batch", SIDE, SIDE, channels)
    return input_form(TensorInfo("image", "float32", shape), Preprocess.model_validate({"layout": layout, **asked}))


def pictures(labels: npt.NDArray[np.intp], channels: int, seed: int) -> npt.NDArray[np.float64]:
    """Return (count, side, side, channels), 0 to 1: each class a pattern of its own, in another light every time."""
    random = np.random.default_rng([seed, 1])
    patterns = np.random.default_rng(0).uniform(0.2, 0.8, (CLASSES, SIDE, SIDE, channels))
    light, noise = (random.normal(0, 0.07, (len(labels), *size)) for size in ((1, 1, 1), (SIDE, SIDE, channels)))
    return np.clip(patterns[labels] + light + noise, 0, 1)


def images_of(form: InputForm, count: int, labelled: bool, seed: int = 0) -> ImageSet:
    """Return pictures as they come to the network where the form's preprocess is followed."""
    labels = np.random.default_rng(seed).integers(0, CLASSES, count)
    mean, std = mean_and_std(form, form.channels)
    inputs = (pictures(labels, form.channels, seed) * 255 * form.preprocess.scale - mean) / std
    inputs = inputs.transpose(0, 3, 1, 2) if form.preprocess.layout == "NCHW" else inputs
    shown = np.ascontiguousarray(inputs, np.float32)
    return ImageSet(shown, labels if labelled else None, tuple(map(str, range(count))))


class Network:
    """Random waves and a linear layer that ridge regression found on pictures that came scaled in one way."""

    def __init__(self, form: InputForm, made_for: Scaling) -> None:
        random = np.random.default_rng(3)
        self.channels_first, self.asked = form.preprocess.layout == "NCHW", 0
        self.filters = random.normal(0, 4 / made_for.gain.mean(), (SIDE * SIDE * form.channels, 300)) / SIDE
        self.shift = random.normal(0, 0.3, 300)
        labels = np.arange(300) % CLASSES
        seen = self.features(made_for.apply(255 * pictures(labels, form.channels, 77).astype(np.float32)))
        gram = seen.T @ seen
        self.head = np.linalg.solve(gram + 1e-2 * np.trace(gram) / 301 * np.eye(301), seen.T @ np.eye(CLASSES)[labels])

    def features(self, inputs: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        maps = np.sin(inputs.reshape(len(inputs), -1) @ self.filters + self.shift)
        return np.hstack([maps, np.ones((len(maps), 1))])

    def __call__(self, images: ImageSet) -> Said:
        self.asked += 1
        inputs = images.inputs.transpose(0, 2, 3, 1) if self.channels_first else images.inputs
        scores = 6 * self.features(inputs) @ self.head
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return Said(powers / powers.sum(axis=1, keepdims=True), np.zeros((len(images), 1)))


def way(name: str, channels: int = 3) -> Scaling:
    return next(each for each in known_ways(channels) if each.name == name)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("name", [ZERO_TO_ONE, "0 to 255"])
@pytest.mark.parametrize("seed", range(3))
def test_a_job_is_refused_where_labels_show_another_way_and_its_mend_is_right(
    name: str, layout: str, seed: int
) -> None:
    form = form_of(layout)
    network = Network(form, way(name))

    with pytest.raises(RecipeInvalid, match=f"scaled to {name} it is right") as refused:
        doubt(images_of(form, 40, labelled=True, seed=seed), form, network)

    mended = form_of(layout, **way(name).keys())
    assert refused.value.where == "preprocess.mean"
    assert all(f'"{key}": {value}' in refused.value.message for key, value in way(name).keys().items())
    assert doubt(images_of(mended, 40, labelled=True, seed=seed), mended, network) == ()


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_of_a_network_that_was_made_for_imagenets_way_nothing_is_said(labelled: bool, seed: int) -> None:
    form = form_of()

    assert doubt(images_of(form, 40, labelled, seed), form, Network(form, way(IMAGENETS))) == ()


@pytest.mark.parametrize("seed", range(5))
def test_without_labels_a_sentence_says_which_way_seems_right(seed: int) -> None:
    form = form_of()

    (said,) = doubt(images_of(form, 40, labelled=False, seed=seed), form, Network(form, way(ZERO_TO_ONE)))

    assert "normalised by ImageNet's" in said
    assert f"with {ZERO_TO_ONE}" in said
    assert '"mean": [0.0], "std": [1.0]' in said


@pytest.mark.parametrize("seed", range(3))
def test_labels_of_other_classes_tell_as_little_as_none(seed: int) -> None:
    form = form_of()
    network, plain = Network(form, way(ZERO_TO_ONE)), images_of(form, 40, labelled=False, seed=seed)
    foreign = dataclasses.replace(plain, labels=np.arange(40) % 2, class_names=("cat", "dog"))

    assert doubt(foreign, form, network) == doubt(plain, form, network) != ()


def test_a_network_that_says_the_same_of_everything_is_not_doubted() -> None:
    form = form_of()

    def mute(images: ImageSet) -> Said:
        return Said(np.full((len(images), CLASSES), 1 / CLASSES), np.zeros((len(images), 1)))

    assert doubt(images_of(form, 40, labelled=False), form, mute) == ()


def test_without_images_it_is_said_what_was_taken_for_granted() -> None:
    form = form_of()

    (said,) = doubt(images_of(form, 0, labelled=False), form, Network(form, way(ZERO_TO_ONE)))

    assert "made images were normalised by ImageNet's" in said


@pytest.mark.parametrize(
    ("asked", "channels", "count", "from_pixels"),
    [
        ({"mean": [0.0]}, 3, 40, True),
        ({"std": [0.5]}, 3, 40, True),
        ({}, 1, 40, True),
        ({}, 3, SHOWN_MIN - 1, True),
        ({}, 3, 40, False),
    ],
)
def test_what_was_said_or_cannot_be_told_is_not_doubted(
    asked: dict[str, Any], channels: int, count: int, from_pixels: bool
) -> None:
    form = form_of(channels=channels, **asked)
    network = Network(form, way(ZERO_TO_ONE, channels))
    images = dataclasses.replace(images_of(form, count, labelled=True), from_pixels=from_pixels)

    assert doubt(images, form, network) == ()
    assert network.asked == 0
