"""Products of two activations, MatMul or Einsum, by a letter for each axis; and origins that are read by these."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import onnx_ir as ir

from engine.graph.edits import is_constant, kind
from engine.graph.origins import Lost, Origins


class Terms(NamedTuple):
    """A letter for each axis of both operands and of the result: a shared letter is one axis, a lost one summed."""

    left: str
    right: str
    result: str

    def stacked(self) -> str:
        """Return the letters of what is multiplied side by side, such as heads: those that all three have."""
        return "".join(letter for letter in self.left if letter in self.right and letter in self.result)


def terms_of(node: ir.Node) -> Terms | None:
    """Return the letters of a product that is worked out when the network runs; None for any other node."""
    if kind(node) not in ("MatMul", "Einsum") or len(node.inputs) != 2:
        return None
    if any(value is None or is_constant(value) or value.shape is None for value in node.inputs):
        return None
    if kind(node) == "Einsum":
        return _parsed(node.attributes.get_string("equation", ""))
    left, right = (len(value.shape or ()) for value in node.inputs if value is not None)
    stack = "abcdefgh"[: max(left, right) - 2]
    if min(left, right) < 2:
        return None
    return Terms(f"{stack[len(stack) - left + 2 :]}xy", f"{stack[len(stack) - right + 2 :]}yz", f"{stack}xz")


def _parsed(equation: str) -> Terms | None:
    read, arrow, result = equation.replace(" ", "").partition("->")
    left, _, right = read.partition(",")
    is_plain = all(term.isalpha() and len(set(term)) == len(term) for term in (left, right, result))
    return Terms(left, right, result) if arrow and is_plain else None


def along(origins: Origins, term: str, wanted: str, node: ir.Node) -> Origins:
    """Return origins with these letters' axes in this order, 1 where they have none; along others they are the same."""
    kept = [letter for letter in term if letter in wanted]
    for axis, letter in enumerate(term):
        first = np.take(origins, [0], axis)
        if letter not in wanted and (origins != first).any():
            raise Lost(f"'{node.name}' ({node.op_type}) reads some of them from one place and some from another")
        origins = origins if letter in wanted else first
    origins = origins.reshape([size for size, letter in zip(origins.shape, term, strict=True) if letter in wanted])
    ordered = [letter for letter in wanted if letter in kept]
    origins = origins.transpose([kept.index(letter) for letter in ordered])
    return np.expand_dims(origins, tuple(place for place, letter in enumerate(wanted) if letter not in kept))


def last_of(origins: Origins, node: ir.Node) -> Origins:
    """Return origins without the axis before the last, of tokens, along which they are the same."""
    letters = "abcdefgh"[: origins.ndim]
    return along(origins, letters, letters[:-2] + letters[-1], node)
