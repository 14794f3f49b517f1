"""Hard swish spelled out: x clip(x + 3, 0, 6) / 6, or x times a hard sigmoid of slope 1/6."""

from __future__ import annotations

import onnx_ir as ir

from engine.graph.idioms.polynomials import argument_of, whole_of
from engine.graph.idioms.reading import Match, number

ANCHORS = ("Clip", "HardSigmoid")

_SLOPES = 2e-7
"""How far the slope of a hard sigmoid may be from 1/6: an attribute is a float32 whatever the network is."""


def match(node: ir.Node) -> Match | None:
    """Match at the clip or the hard sigmoid. Howard et al., 2019. arXiv:1905.02244"""
    if node.op_type == "Clip":
        if not _clips_to_six(node):
            return None
        argument, wanted = argument_of(node, {(1, 0): 1.0, (0, 0): 3.0}), {(1, 1): 1 / 6}
    else:
        slope, offset = node.attributes.get_float("alpha", 0.2), node.attributes.get_float("beta", 0.5)
        if abs(slope - 1 / 6) > _SLOPES or offset != 0.5:
            return None
        argument, wanted = argument_of(node, {(1, 0): 1.0}), {(1, 1): 1.0}
    if argument is None:
        return None
    whole = whole_of(node, *argument, wanted)
    return None if whole is None else Match(whole[1], (argument[0],), whole[0])


def _clips_to_six(node: ir.Node) -> bool:
    limits = [number(value) for value in node.inputs[1:]]
    return limits == [0, 6]
