"""GELU spelled out, x/2 (1 + erf(x/√2)), or with a tanh in place of the error function, in whatever order."""

from __future__ import annotations

import math

import onnx_ir as ir

from engine.graph.idioms.polynomials import argument_of, whole_of
from engine.graph.idioms.reading import Match

ANCHORS = ("Erf", "Tanh")

_SCALE = math.sqrt(2 / math.pi)
_ARGUMENTS = {"Erf": {(1, 0): math.sqrt(0.5)}, "Tanh": {(1, 0): _SCALE, (3, 0): 0.044715 * _SCALE}}
_WHOLE = {(1, 0): 0.5, (1, 1): 0.5}
_APPROXIMATE = {"Erf": "none", "Tanh": "tanh"}


def match(node: ir.Node) -> Match | None:
    """Match at the error function or the tanh. Hendrycks and Gimpel, 2016. arXiv:1606.08415"""
    argument = argument_of(node, _ARGUMENTS[node.op_type])
    if argument is None:
        return None
    x, inside = argument
    whole = whole_of(node, x, inside, _WHOLE)
    if whole is None:
        return None
    output, nodes = whole
    return Match(nodes, (x,), output, {"approximate": _APPROXIMATE[node.op_type]})
