"""Scalings: what is applied can be inverted, told from the values alone, and written as keys of a recipe."""

from __future__ import annotations

import numpy as np
import pytest

from engine.data.scaling import Scaling, known_ways, normalised, of_values
from engine.recipe import Preprocess

WAYS = [way for channels in (1, 3) for way in known_ways(channels)]


def pixels_of(way: Scaling) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    channels = len(way.gain)
    return np.random.default_rng(0).integers(0, 256, (8, 9, 7, channels)).astype(np.float32)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{len(way.gain)} {way.name}")
def test_a_scaling_is_undone(way: Scaling) -> None:
    pixels = pixels_of(way)

    assert np.abs(way.invert(way.apply(pixels)) - pixels).max() < 0.01


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{len(way.gain)} {way.name}")
def test_a_known_scaling_is_told_from_its_values(way: Scaling) -> None:
    found = of_values(way.apply(pixels_of(way)))

    assert found.gain == pytest.approx(way.gain, rel=1e-3)
    assert found.offset == pytest.approx(way.offset, abs=1e-3 * float(way.gain.max()))


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{len(way.gain)} {way.name}")
def test_a_scaling_s_keys_say_the_same(way: Scaling) -> None:
    preprocess = Preprocess.model_validate(way.keys())

    again = normalised("again", preprocess.mean, preprocess.std, len(way.gain), preprocess.scale)

    assert again.gain == pytest.approx(way.gain, rel=1e-3)
    assert again.offset == pytest.approx(way.offset, abs=2e-3 * float(way.gain.max()))


def test_an_unknown_scaling_is_kept_as_it_came() -> None:
    found = of_values(np.linspace(-70, 3, 8 * 9 * 7 * 3, dtype=np.float32).reshape(8, 9, 7, 3))

    assert found.name == "they are"
    assert found.offset == pytest.approx([-70] * 3, abs=0.1)
