"""Each step of preprocessing, checked on numbers that can be worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.data.preprocess import prepare
from engine.errors import CalibrationMismatch, RecipeInvalid
from engine.input_form import input_form
from engine.recipe import Preprocess
from tests.engine.data.conftest import MakeInput

PLAIN = {"scale": 1.0, "mean": (0.0,), "std": (1.0,)}


def prepared(pixels: np.ndarray, takes: Any, **keys: Any) -> np.ndarray:
    return prepare(pixels, input_form(takes, Preprocess.model_validate(keys)), "picture")


def test_white_and_black_in_imagenet_terms(takes: MakeInput) -> None:
    """The worked number of the recipe's documentation: 255 becomes 2.249 in the red channel."""
    white = np.full((1, 1, 3), 255, np.uint8)

    found = prepared(white, takes(3, 1, 1)), prepared(white * 0, takes(3, 1, 1))

    expected = [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    np.testing.assert_allclose(found[0].ravel(), expected, rtol=1e-5)
    np.testing.assert_allclose(found[1].ravel(), [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225], rtol=1e-5)


def test_one_channel_is_only_scaled_by_default(takes: MakeInput) -> None:
    assert prepared(np.full((1, 1, 1), 51, np.uint8), takes(1, 1, 1)).item() == pytest.approx(0.2)


@pytest.mark.parametrize(("order", "expected"), [("RGB", [1, 2, 3]), ("BGR", [3, 2, 1])])
def test_channel_order(order: str, expected: list[int], takes: MakeInput) -> None:
    pixel = np.array([[[1, 2, 3]]], np.uint8)

    assert prepared(pixel, takes(3, 1, 1), channel_order=order, **PLAIN).ravel().tolist() == expected


def test_default_mean_and_std_follow_the_channel_order(takes: MakeInput) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)

    rgb, bgr = (prepared(pixels, takes(3, 4, 4), channel_order=order) for order in ("RGB", "BGR"))

    np.testing.assert_allclose(bgr, rgb[::-1], rtol=1e-6)


def test_layout_decides_where_channels_go(takes: MakeInput) -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)

    first, last = prepared(pixels, takes(3, 2, 4), **PLAIN), prepared(pixels, takes(2, 4, 3), layout="NHWC", **PLAIN)

    np.testing.assert_array_equal(last, pixels)
    np.testing.assert_array_equal(first, pixels.transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("size", "resize", "expected"), [((10, 20), 5, (5, 10)), ((20, 10), 5, (10, 5)), ((7, 10), 14, (14, 20))]
)
def test_the_shorter_side_is_resized_and_the_shape_kept(
    size: tuple[int, int], resize: int, expected: tuple[int, int], takes: MakeInput
) -> None:
    found = prepared(np.zeros((*size, 3), np.uint8), takes(3, "h", "w"), resize=resize)

    assert found.shape == (3, *expected)


def test_shrinking_averages_what_each_pixel_covers(takes: MakeInput) -> None:
    """A fine chequerboard becomes grey; without antialiasing it would stay black and white."""
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    pixels = np.repeat(board[:, :, np.newaxis], 3, axis=2).astype(np.uint8)

    small = prepared(pixels, takes(3, 8, 8), resize=8, **PLAIN)

    np.testing.assert_allclose(small, 127.5, atol=1)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_resizing_treats_every_channel_alike(channels: int, takes: MakeInput) -> None:
    plane = np.random.default_rng(0).integers(0, 256, (12, 9, 1), dtype=np.uint8)

    found = prepared(np.repeat(plane, channels, axis=2), takes(channels, "h", "w"), resize=6, **PLAIN)

    for channel in found:
        np.testing.assert_array_equal(channel, found[0])


def test_the_crop_is_taken_from_the_middle(takes: MakeInput) -> None:
    pixels = np.zeros((6, 8, 3), np.uint8)
    pixels[2:4, 3:5] = 255

    assert (prepared(pixels, takes(3, 2, 2), crop=2, **PLAIN) == 255).all()


def test_a_crop_larger_than_the_picture_is_refused(takes: MakeInput) -> None:
    with pytest.raises(CalibrationMismatch, match='"resize": 8'):
        prepared(np.zeros((6, 9, 3), np.uint8), takes(3, 8, 8), crop=8)


@pytest.mark.parametrize(("shape", "said", "meant"), [((8, 8, 3), "NCHW", "NHWC"), ((1, 8, 8), "NHWC", "NCHW")])
def test_a_layout_that_plainly_is_another_is_refused(
    shape: tuple[int, ...], said: str, meant: str, takes: MakeInput
) -> None:
    with pytest.raises(RecipeInvalid, match=f'"layout": "{meant}"'):
        input_form(takes(*shape), Preprocess.model_validate({"layout": said}))


@pytest.mark.parametrize("shape", [(9, 128, 1), (3, 3, 3), (3, "h", "w"), ("h", "w", 3), (64,), (5, 8, 8)])
def test_a_layout_that_could_be_either_is_believed(shape: tuple[int | str, ...], takes: MakeInput) -> None:
    for layout in ("NCHW", "NHWC"):
        assert input_form(takes(*shape), Preprocess.model_validate({"layout": layout})).preprocess.layout == layout


@pytest.mark.parametrize("key", ["mean", "std"])
def test_one_value_a_channel_or_one_for_all(key: str, takes: MakeInput) -> None:
    with pytest.raises(RecipeInvalid, match="has 2 values") as caught:
        prepared(np.zeros((2, 2, 3), np.uint8), takes(3, 2, 2), **{key: [0.5, 0.5]})

    assert caught.value.where == f"preprocess.{key}"
