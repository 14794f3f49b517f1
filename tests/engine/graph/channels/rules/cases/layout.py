"""Axes renamed, reordered, joined and divided."""

from __future__ import annotations

import numpy as np

from engine.graph.model import Model
from tests.engine.graph.channels.rules.cases.drafting import PIXELS, Case, adding_to, between_convs, between_layers
from tests.networks import Draft

CASES: dict[str, Case] = {}
case = adding_to(CASES)


@case(8)
def flattened() -> Model:
    """Each channel is a block of 36 numbers of the layer behind."""
    draft = Draft()
    x = draft.node("Flatten", draft.conv("image", 3, 8))
    return draft.model(draft.node("Gemm", x, draft.weight(8 * PIXELS**2, 5)), ("batch", 3, PIXELS, PIXELS))


@case(8)
def flattened_with_channels_last() -> Model:
    """Each channel is every eighth number of the layer behind."""
    draft = Draft()
    x = draft.node("Flatten", draft.node("Transpose", draft.conv("image", 3, 8), perm=[0, 2, 3, 1]), axis=-3)
    return draft.model(draft.node("Gemm", x, draft.weight(8 * PIXELS**2, 5)), ("batch", 3, PIXELS, PIXELS))


@case(4)
def shuffled() -> Model:
    """Two halves dealt out like cards: place c of both goes together."""

    def middle(draft: Draft, x: str) -> str:
        y = draft.node("Concat", x, draft.conv("image", 3, 4), axis=1)
        y = draft.node("Reshape", y, draft.constant([-1, 2, 4, PIXELS, PIXELS], np.int64))
        y = draft.node("Transpose", y, perm=[0, 2, 1, 3, 4])
        return draft.node("Reshape", y, draft.constant([0, 8, PIXELS, PIXELS], np.int64))

    return between_convs(middle, wide=4, out=8)


@case(2, 3)
def digits() -> Model:
    """Six channels as three by two, turned: digits of two and of three are groups of their own."""

    def middle(draft: Draft, x: str) -> str:
        y = draft.node("Reshape", x, draft.constant([0, 0, 2, 3], np.int64))
        return draft.node(
            "Reshape", draft.node("Transpose", y, perm=[0, 1, 3, 2]), draft.constant([0, 0, -1], np.int64)
        )

    return between_layers(middle, wide=6)


@case(8)
def squeezed() -> Model:
    """Squeeze without axes would drop one more as soon as a single channel is left."""

    def middle(draft: Draft, x: str) -> str:
        y = draft.node("Squeeze", draft.node("Unsqueeze", x, draft.constant([0, 2], np.int64)))
        return draft.node(
            "Squeeze", draft.node("Unsqueeze", y, draft.constant([1], np.int64)), draft.constant([1], np.int64)
        )

    return between_layers(middle, batch=2)


@case(8)
def squeezed_by_attribute() -> Model:
    def middle(draft: Draft, x: str) -> str:
        return draft.node("Squeeze", draft.node("Unsqueeze", x, axes=[0, 2]))

    return between_layers(middle, batch=2, opset=11)


@case(8, 6)
def expanded() -> Model:
    """Channels that come of repeating a single one may go by themselves."""

    def middle(draft: Draft, x: str) -> str:
        one = draft.node("Expand", draft.conv(x, 8, 1), draft.constant([1, 6, 1, 1], np.int64))
        return draft.node("Mul", one, draft.weight(6, 1, 1))

    return between_convs(middle, out=6)


@case(8)
def expanded_to_what_is_there() -> Model:
    return between_convs(lambda d, x: d.node("Expand", x, d.constant([1, 8, 1, PIXELS], np.int64)))


@case(2, 4, 2)
def reshaped_to_sizes_told_at_run_time() -> Model:
    """Batch and image are open, and so is the target of Reshape; the channels in it are known all the same."""
    draft = Draft()
    x = draft.conv("image", 3, 8)
    shape = draft.node("Shape", x)
    batch, height, width = (draft.node("Gather", shape, draft.constant([i], np.int64)) for i in (0, 2, 3))
    turned = draft.node("Concat", batch, draft.constant([2, 4], np.int64), height, width, axis=0)
    y = draft.node("Transpose", draft.node("Reshape", x, turned), perm=[0, 2, 1, 3, 4])
    back = draft.node("Concat", batch, draft.constant([8], np.int64), height, width, axis=0)
    y = draft.conv(draft.node("Reshape", y, back), 8, 2)
    return draft.model(draft.classify(y, 2), ("batch", 3, "height", "width"))


@case(8, 6, 6, 4)
def reshaped_like_another() -> Model:
    """The target is what Shape tells of a value whose channels go by themselves."""
    draft = Draft()
    x = draft.conv("image", 3, 8)
    like, other = draft.conv(x, 8, 6), draft.conv(x, 8, 6)
    flat = draft.node("Reshape", other, draft.constant([0, 6, -1], np.int64))
    back = draft.node("Reshape", draft.node("Relu", flat), draft.node("Shape", like))
    y = draft.node("Add", draft.conv(like, 6, 4), draft.conv(back, 6, 4))
    return draft.model(draft.classify(y, 4), ("batch", 3, "height", "width"))
