"""Pools, resampling, and pixels that become channels."""

from __future__ import annotations

import numpy as np

from engine.graph.model import Model
from tests.engine.graph.channels.rules.cases.drafting import PIXELS, Case, adding_to, between_convs
from tests.networks import Draft

CASES: dict[str, Case] = {}
case = adding_to(CASES)


@case(8)
def pooled() -> Model:
    def middle(draft: Draft, x: str) -> str:
        sizes = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
        x = draft.node("Add", draft.node("MaxPool", x, **sizes), draft.node("AveragePool", x, **sizes))
        return draft.node("LpPool", x, kernel_shape=[2, 2])

    return between_convs(middle)


@case(8, 4)
def squeeze_and_excite() -> Model:
    def middle(draft: Draft, x: str) -> str:
        pooled = draft.node("Add", draft.node("GlobalAveragePool", x), draft.node("GlobalMaxPool", x))
        pooled = draft.node("Add", pooled, draft.node("GlobalLpPool", x))
        gate = draft.conv(draft.node("Relu", draft.conv(pooled, 8, 4, kernel=1)), 4, 8, kernel=1)
        return draft.node("Mul", x, draft.node("Sigmoid", gate))

    return between_convs(middle)


@case(3)
def pixels_out_of_channels() -> Model:
    """The same blocks in both orders; the four pixels of a block stay."""

    def middle(draft: Draft, x: str) -> str:
        return draft.node("DepthToSpace", x, blocksize=2, mode="DCR")

    return between_convs(middle, wide=12, out=3)


@case(3)
def pixels_out_of_channels_the_other_way() -> Model:
    return between_convs(lambda d, x: d.node("DepthToSpace", x, blocksize=2, mode="CRD"), wide=12, out=3)


@case(8)
def channels_out_of_pixels() -> Model:
    return between_convs(lambda d, x: d.node("SpaceToDepth", x, blocksize=2), out=32)


@case(8)
def resized_by_scales() -> Model:
    return between_convs(lambda d, x: d.node("Resize", x, "", d.constant([1, 1, 2, 2]), mode="nearest"))


@case(8)
def resized_to_sizes() -> Model:
    """The sizes asked for name the channels, too."""
    draft = Draft()
    x = draft.conv("image", 3, 8)
    x = draft.node("Resize", x, "", "", draft.constant([2, 8, 9, 9], np.int64), mode="linear")
    return draft.model(draft.classify(draft.conv(x, 8, 1), 1), (2, 3, PIXELS, PIXELS))


@case(8)
def resized_along_named_axes() -> Model:
    def middle(draft: Draft, x: str) -> str:
        return draft.node("Resize", x, "", "", draft.constant([9, 9], np.int64), mode="linear", axes=[2, 3])

    return between_convs(middle)


@case(8)
def sampled_on_a_grid() -> Model:
    """Pixels, and crops, read where constants say."""
    draft = Draft()
    x = draft.conv("image", 3, 8)
    grid = draft.constant(draft.random.uniform(-1, 1, (2, 4, 4, 2)))
    boxes, images = draft.constant([[0, 0, 2, 2], [1, 1, 3, 3]]), draft.constant([0, 1], np.int64)
    x = draft.node("RoiAlign", draft.node("GridSample", x, grid), boxes, images, output_height=3, output_width=3)
    return draft.model(draft.classify(draft.conv(x, 8, 1), 1), (2, 3, PIXELS, PIXELS))
