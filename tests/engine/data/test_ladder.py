"""The data ladder: few images get procedural ones of their own size beside them."""

from __future__ import annotations

import numpy as np
import pytest

from engine.data import ladder
from engine.data.images import ImageSet
from engine.data.ladder import ENOUGH_IMAGES, climb
from engine.recipe import Preprocess
from tests.engine.data.conftest import MakeInput

DRAWN = 8  # in place of the 256 of a real job, which take their time


@pytest.fixture(autouse=True)
def draw_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "DRAWN_IMAGES", DRAWN)


def some(count: int, *shape: int) -> ImageSet:
    inputs = np.random.default_rng(count).standard_normal((count, *shape), dtype=np.float32)
    return ImageSet(inputs, None, tuple(f"{index}.png" for index in range(count)))


@pytest.mark.parametrize("count", [1, 2, 15])
@pytest.mark.parametrize(
    ("shape", "keys", "sizes"),
    [
        ((3, "h", "w"), {}, (3, 32, 48)),
        ((3, "h", "w"), {"resize": 24}, (3, 24, 40)),
        (("h", "w", 3), {"layout": "NHWC"}, (20, 28, 3)),
        (("c", 8, "w"), {}, (1, 8, 12)),
        ((3, 16, 16), {}, (3, 16, 16)),
    ],
)
def test_few_images_get_drawn_ones_of_their_own_size(
    count: int, shape: tuple[int | str, ...], keys: dict[str, object], sizes: tuple[int, ...], takes: MakeInput
) -> None:
    parts, use = climb(some(count, *sizes), takes(*shape), Preprocess.model_validate(keys), seed=0)

    assert (use.rung, use.source) == (1, "mixed")
    assert {part.inputs.shape[1:] for part in (parts.repair, parts.selection)} == {sizes}
    assert use.repair_images + use.selection_images + use.test_images <= count + DRAWN


def test_enough_images_stay_among_themselves(takes: MakeInput) -> None:
    parts, use = climb(some(ENOUGH_IMAGES, 3, 10, 14), takes(3, "h", "w"), Preprocess(), seed=0)

    assert (use.rung, use.source) == (0, "calibration")
    assert sum(map(len, (parts.repair, parts.selection, parts.test))) == ENOUGH_IMAGES


def test_no_image_at_all_is_drawn_at_the_recipes_size(takes: MakeInput) -> None:
    parts, use = climb(some(0, 3, 8, 8), takes(3, "h", "w"), Preprocess(crop=12), seed=0)

    assert (use.rung, use.source, use.test_images) == (1, "procedural", 0)
    assert parts.repair.inputs.shape[1:] == (3, 12, 12)
