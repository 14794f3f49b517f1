"""Convolutions: plain, grouped, depthwise, transposed, and with weights that are shared."""

from __future__ import annotations

import numpy as np

from engine.graph.model import Model
from tests.engine.graph.channels.rules.cases.drafting import PIXELS, Case, adding_to, between_convs, between_layers
from tests.networks import Draft

CASES: dict[str, Case] = {}
case = adding_to(CASES)


@case(4, 2, 4)
def grouped() -> Model:
    """Four groups of two channels in and out: groups, places in a group that are read, and those that are written."""
    draft = Draft()
    x = draft.conv(draft.conv("image", 3, 8), 8, 16, group=4)
    return draft.model(draft.classify(x, 16), ("batch", 3, PIXELS, PIXELS))


@case(8, 2)
def depthwise_with_multiplier() -> Model:
    return between_convs(lambda d, x: d.conv(x, 8, 16, group=8), out=16)


@case(8, 6, 8)
def pointwise_of_any_rank() -> Model:
    """Convolutions along one axis, of tokens."""

    def middle(draft: Draft, x: str) -> str:
        turned = draft.node("Transpose", x, perm=[0, 2, 1])
        x = draft.node("Conv", turned, draft.weight(6, 8, 1), draft.weight(6))
        return draft.node("Transpose", draft.node("Conv", x, draft.weight(8, 6, 3), pads=[1, 1]), perm=[0, 2, 1])

    return between_layers(middle)


@case(8, 6)
def transposed() -> Model:
    return between_convs(
        lambda d, x: d.node("ConvTranspose", x, d.weight(8, 6, 2, 2), d.weight(6), strides=[2, 2]), out=6
    )


@case(4, 2, 3)
def transposed_in_groups() -> Model:
    return between_convs(lambda d, x: d.node("ConvTranspose", x, d.weight(8, 3, 2, 2), d.weight(12), group=4), out=12)


@case(8, 8)
def shared_weights() -> Model:
    """One kernel read twice ties what it reads to what it writes; a row of zeros that all share ties nothing."""
    draft = Draft()
    zeros = draft.constant(np.zeros(8))
    x = draft.node("Conv", "image", draft.weight(8, 3, 1, 1), zeros)
    kernel = draft.weight(8, 8, 1, 1)
    for _ in range(2):
        x = draft.node("Relu", draft.node("Conv", x, kernel, zeros))
    x = draft.node("Conv", x, draft.weight(8, 8, 1, 1), zeros)
    return draft.model(draft.classify(x), ("batch", 3, PIXELS, PIXELS))
