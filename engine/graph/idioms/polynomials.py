"""Element by element expressions as polynomials, so that however a product of sums is spelled it reads the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NoReturn

import onnx_ir as ir

from engine.graph.idioms.reading import is_closed, maker, number, only_reader, sizes, tolerance

Polynomial = dict[tuple[int, int], float]
"""Factors by the powers of the input and of the one function of it that is not a polynomial, as in x * tanh(x)."""

_ARITHMETIC = ("Add", "Div", "Mul", "Pow", "Sub")
_DEEPEST = 8
_HIGHEST_POWER = 4


class NotOne(Exception):  # an answer, not an error
    """Raised where an expression is no polynomial."""


class Expression:
    """What is read while a polynomial is: `nodes` are those that it took in."""

    def __init__(self, x: ir.Value, function: ir.Value | None = None) -> None:
        self._atoms = {x: (1, 0)} | ({} if function is None else {function: (0, 1)})
        self.nodes: dict[ir.Node, None] = {}

    def read(self, value: ir.Value | None, depth: int = _DEEPEST) -> Polynomial:
        """Return the polynomial that a value is. Raises NotOne."""
        if value in self._atoms:
            return {self._atoms[value]: 1.0}
        constant = number(value)
        if constant is not None:
            return {(0, 0): constant}
        node = maker(value, *_ARITHMETIC)
        if node is None or depth == 0:
            _give_up()
        a, b = (self.read(operand, depth - 1) for operand in node.inputs)
        self.nodes[node] = None
        return _combine(node.op_type, a, b)


def _give_up() -> NoReturn:
    raise NotOne


def _combine(op_type: str, a: Polynomial, b: Polynomial) -> Polynomial:
    if op_type in ("Add", "Sub"):
        sign = 1 if op_type == "Add" else -1
        return _sum(a, {powers: sign * factor for powers, factor in b.items()})
    if op_type == "Mul":
        return _product(a, b)
    constant = b.get((0, 0))
    if set(b) != {(0, 0)} or not constant:
        _give_up()
    if op_type == "Div":
        return {powers: factor / constant for powers, factor in a.items()}
    if constant not in range(1, _HIGHEST_POWER + 1):
        _give_up()
    power = a
    for _ in range(int(constant) - 1):
        power = _product(power, a)
    return power


def _sum(a: Polynomial, b: Polynomial) -> Polynomial:
    total = dict(a)
    for powers, factor in b.items():
        total[powers] = total.get(powers, 0.0) + factor
    return total


def _product(a: Polynomial, b: Polynomial) -> Polynomial:
    total: Polynomial = {}
    for (i, j), x in a.items():
        for (k, m), y in b.items():
            total = _sum(total, {(i + k, j + m): x * y})
    return total


def is_near(found: Polynomial, wanted: Mapping[tuple[int, int], float], relative: float) -> bool:
    largest = max(map(abs, wanted.values()))
    return all(
        abs(found.get(powers, 0.0) - wanted.get(powers, 0.0)) <= relative * abs(wanted.get(powers, largest * relative))
        for powers in {*found, *wanted}
    )


def candidates(value: ir.Value | None) -> Iterator[ir.Value]:
    """Yield the values that an expression may be a polynomial of: itself, and what its arithmetic reads, near first."""
    queue, seen = [(value, 0)], set[ir.Value]()
    while queue:
        value, depth = queue.pop(0)
        if value is None or value in seen or value.const_value is not None:
            continue
        seen.add(value)
        yield value
        node = maker(value, *_ARITHMETIC)
        if node is not None and depth < _DEEPEST:
            queue += [(operand, depth + 1) for operand in node.inputs]


def argument_of(function: ir.Node, wanted: Mapping[tuple[int, int], float]) -> tuple[ir.Value, list[ir.Node]] | None:
    """Return x and the nodes between, where a function is taken of this polynomial of x."""
    for x in candidates(function.inputs[0]):
        expression = Expression(x)
        try:
            found = expression.read(function.inputs[0])
        except NotOne:
            continue
        if is_near(found, wanted, tolerance(x)):
            return x, [*expression.nodes]
    return None


def whole_of(
    function: ir.Node, x: ir.Value, inside: list[ir.Node], wanted: Mapping[tuple[int, int], float]
) -> tuple[ir.Value, tuple[ir.Node, ...]] | None:
    """Return the value that is this polynomial of x and of the function, and all nodes that make it out of x.

    None where there is none, where somebody else reads what is made between, or where it has another shape than x.
    """
    value = function.outputs[0]
    for _ in range(_DEEPEST):
        node = only_reader(value, *_ARITHMETIC)
        if node is None:
            return None
        value = node.outputs[0]
        expression = Expression(x, function.outputs[0])
        try:
            found = expression.read(value)
        except NotOne:
            return None
        if is_near(found, wanted, tolerance(x)):
            nodes = tuple(dict.fromkeys((*inside, function, *expression.nodes)))
            fits = is_closed(nodes, value) and sizes(x) is not None and sizes(x) == sizes(value)
            return (value, nodes) if fits else None
    return None
