"""Every procedural picture, of any size and channels, is a picture: bounded, varied, decided by its seed."""

from __future__ import annotations

import numpy as np
import pytest

from engine.data.synthesis import SYNTHESES
from engine.data.synthesis.draw import TURNS, draw_images
from engine.errors import CalibrationMismatch
from engine.recipe import Preprocess
from tests.engine.data.conftest import MakeInput


@pytest.mark.parametrize("kind", SYNTHESES)
@pytest.mark.parametrize("shape", [(32, 32, 3), (17, 33, 1), (8, 8, 4), (1, 1, 3)])
def test_every_kind_draws_pictures(kind: str, shape: tuple[int, int, int]) -> None:
    draw = SYNTHESES[kind]

    pictures = [draw(np.random.default_rng(seed), *shape) for seed in range(8)]
    again = [draw(np.random.default_rng(seed), *shape) for seed in range(8)]

    for picture, repeated in zip(pictures, again, strict=True):
        assert picture.shape == shape
        assert np.isfinite(picture).all()
        assert picture.min() >= 0
        assert picture.max() <= 1
        np.testing.assert_array_equal(picture, repeated)
    assert np.stack(pictures).std(axis=0).max() > 0.05


@pytest.mark.parametrize("kind", SYNTHESES)
def test_pictures_are_neither_flat_nor_saturated(kind: str) -> None:
    pictures = np.stack([SYNTHESES[kind](np.random.default_rng(seed), 32, 32, 3) for seed in range(40)])

    assert np.median(pictures.std(axis=(1, 2))) > 0.05
    assert ((pictures == 0) | (pictures == 1)).mean() < 0.25


def test_a_set_mixes_the_kinds_in_the_networks_range(takes: MakeInput) -> None:
    images = draw_images(takes(3, 32, 32), Preprocess(), 60, seed=0)

    assert images.inputs.shape == (60, 3, 32, 32)
    assert images.labels is None
    assert {name.split("[")[0] for name in images.names} == set(TURNS) <= set(SYNTHESES)
    # The extremes of ImageNet's normalisation; photographs have a deviation near 1.
    assert images.inputs.min() >= -2.2
    assert images.inputs.max() <= 2.7
    assert 0.7 < images.inputs.std() < 1.5


def test_a_smaller_set_is_the_beginning_of_a_larger_one(takes: MakeInput) -> None:
    small, large = (draw_images(takes(1, 8, 8), Preprocess(), count, seed=5) for count in (7, 20))

    np.testing.assert_array_equal(small.inputs, large.inputs[:7])
    assert not np.array_equal(small.inputs, draw_images(takes(1, 8, 8), Preprocess(), 7, seed=6).inputs)


@pytest.mark.parametrize(
    ("shape", "keys", "expected"),
    [
        ((3, "h", "w"), {}, (3, 224, 224)),
        ((3, "h", "w"), {"resize": 40, "crop": 32}, (3, 32, 32)),
        (("h", "w", 3), {"resize": 40, "layout": "NHWC"}, (40, 40, 3)),
        ((3, 16, 24), {"resize": 8, "crop": 8}, (3, 16, 24)),
        (("c", 8, 8), {"channel_order": "GRAY"}, (1, 8, 8)),
        ((5, 8, 8), {}, (5, 8, 8)),
    ],
)
def test_pictures_are_drawn_at_the_networks_size(
    shape: tuple[int | str, ...], keys: dict[str, object], expected: tuple[int, ...], takes: MakeInput
) -> None:
    assert draw_images(takes(*shape), Preprocess.model_validate(keys), 1, seed=0).inputs.shape == (1, *expected)


def test_no_picture_is_drawn_for_what_is_no_picture(takes: MakeInput) -> None:
    with pytest.raises(CalibrationMismatch, match="no picture can be drawn"):
        draw_images(takes(64), Preprocess(), 3, seed=0)
