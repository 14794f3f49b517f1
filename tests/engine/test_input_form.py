"""What an input takes decides which recipes fit it: one value for all channels, or one a channel."""

from __future__ import annotations

import pytest

from engine.errors import RecipeInvalid
from engine.graph.model import TensorInfo
from engine.input_form import fitting_form
from engine.recipe import Preprocess

SHAPES = [(channels, 8, 8) for channels in range(1, 6)] + [(8, 8, channels) for channels in range(1, 6)]


def refusal(shape: tuple[int | str | None, ...], **keys: object) -> RecipeInvalid | None:
    try:
        fitting_form(TensorInfo("image", "float32", ("batch", *shape)), Preprocess.model_validate(keys))
    except RecipeInvalid as error:
        return error
    return None


@pytest.mark.parametrize("key", ["mean", "std"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_as_many_values_fit_as_there_are_channels_or_one_for_all(shape: tuple[int, ...], key: str) -> None:
    layout, channels = ("NCHW", shape[0]) if shape[2] == 8 else ("NHWC", shape[2])

    refusals = {count: refusal(shape, **{key: (0.5,) * count}, layout=layout) for count in range(1, 8)}

    assert [count for count, error in refusals.items() if error is None] == sorted({1, channels})
    assert {error.where for error in refusals.values() if error} == {f"preprocess.{key}"}
    for count, error in refusals.items():
        assert error is None or f"has {count} values; input 'image' has {channels} channel" in error.message


def test_open_channels_are_as_many_as_the_recipe_s_order_has() -> None:
    assert refusal((None, 8, 8), mean=(0.5,) * 3) is None
    assert refusal((None, 8, 8), mean=(0.5,) * 3, channel_order="GRAY") is not None


def test_what_takes_no_pictures_is_never_normalised() -> None:
    assert refusal((64,), mean=(0.5,) * 3) is None


def test_one_channel_is_told_to_want_one_value() -> None:
    with pytest.raises(RecipeInvalid, match=r"has 3 values; input 'image' has 1 channel\. Give one value\.$"):
        fitting_form(TensorInfo("image", "float32", (1, 1, 8, 8)), Preprocess(mean=(0.1, 0.2, 0.3)))
