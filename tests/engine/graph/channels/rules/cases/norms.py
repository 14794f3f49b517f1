"""Norms and quantisation: of each channel by itself, of groups, and of all together."""

from __future__ import annotations

import numpy as np

from engine.graph.model import Model
from tests.engine.graph.channels.rules.cases.drafting import PIXELS, Case, adding_to, between_convs, between_layers
from tests.networks import Draft

CASES: dict[str, Case] = {}
case = adding_to(CASES)


@case(8)
def batch_norm() -> Model:
    return between_convs(lambda d, x: d.batch_norm(x, 8))


@case(8)
def instance_norm() -> Model:
    return between_convs(lambda d, x: d.node("InstanceNormalization", x, d.weight(8), d.weight(8)))


@case(4, name="group_norm_with_scales_of_groups")
def group_norm_18() -> Model:
    return between_convs(lambda d, x: d.node("GroupNormalization", x, d.weight(4), d.weight(4), num_groups=4))


@case(4, name="group_norm_with_scales_of_channels")
def group_norm_21() -> Model:
    return between_convs(lambda d, x: d.node("GroupNormalization", x, d.weight(8), d.weight(8), num_groups=4), opset=21)


@case(4)
def group_norm_spelled_out() -> Model:
    def middle(draft: Draft, x: str) -> str:
        y = draft.node("Reshape", x, draft.constant([0, 4, -1], np.int64))
        y = draft.node("InstanceNormalization", y, draft.constant(np.ones(4)), draft.constant(np.zeros(4)))
        y = draft.node("Reshape", y, draft.constant([-1, 8, PIXELS, PIXELS], np.int64))
        return draft.node("Add", draft.node("Mul", y, draft.weight(8, 1, 1)), draft.weight(8, 1, 1))

    return between_convs(middle)


@case(8)
def layer_norm_over_pixels() -> Model:
    """Each channel is normalised over its pixels alone."""
    return between_convs(lambda d, x: d.node("LayerNormalization", x, d.weight(PIXELS, PIXELS), axis=2))


@case(6)
def layer_norm_of_tokens() -> Model:
    """The width of the stream stays; the hidden layer behind the norm may shrink."""

    def middle(draft: Draft, x: str) -> str:
        y = draft.node("LayerNormalization", x, draft.weight(8), draft.weight(8), axis=-1)
        y = draft.node("MatMul", draft.node("Relu", draft.node("MatMul", y, draft.weight(8, 6))), draft.weight(6, 8))
        return draft.node("Add", x, y)

    return between_layers(middle)


@case(6)
def rms_norm_of_tokens() -> Model:
    def middle(draft: Draft, x: str) -> str:
        y = draft.node("RMSNormalization", x, draft.weight(8), axis=-1)
        return draft.node(
            "Add", x, draft.node("MatMul", draft.node("MatMul", y, draft.weight(8, 6)), draft.weight(6, 8))
        )

    return between_layers(middle, opset=23)


@case(8)
def length_norm() -> Model:
    return between_convs(lambda d, x: d.node("LpNormalization", x, axis=1, p=2))


@case(8)
def length_norm_spelled_out() -> Model:
    return between_convs(lambda d, x: d.node("Div", x, d.node("ReduceL2", x, d.constant([1], np.int64), keepdims=1)))


@case()
def norms_across_channels() -> Model:
    def middle(draft: Draft, x: str) -> str:
        return draft.node("MeanVarianceNormalization", draft.node("LRN", x, size=3), axes=[1, 2, 3])

    return between_convs(middle)


@case()
def softmax_across_channels() -> Model:
    def middle(draft: Draft, x: str) -> str:
        x = draft.node("LogSoftmax", draft.node("Softmax", x, axis=1), axis=1)
        return draft.node("Add", x, draft.node("Hardmax", x, axis=1))

    return between_convs(middle)


@case()
def softmax_over_all_that_follows() -> Model:
    """Before opset 13 the axis of Softmax, 1 by default, took along all axes behind it."""
    return between_convs(lambda d, x: d.node("Softmax", x), opset=11)


@case(8)
def softmax_over_pixels() -> Model:
    return between_convs(lambda d, x: d.node("Softmax", x, axis=3))


@case(8, name="quantised_by_channel")
def quantised() -> Model:
    def middle(draft: Draft, x: str) -> str:
        scale, zero = draft.constant(np.linspace(0.02, 0.05, 8)), draft.constant([128] * 8, np.uint8)
        quantised = draft.node("QuantizeLinear", x, scale, zero, axis=1)
        return draft.node("DequantizeLinear", quantised, scale, zero, axis=1)

    return between_convs(middle)
