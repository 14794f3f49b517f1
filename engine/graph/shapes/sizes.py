"""Sizes that are not numbers yet: polynomials over the open axes of a network. Two are equal where they always agree.

Open axes count zero or more, and sizes hold for every count: `x[2:]` of `height` has `height - min(2, height)` rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

Monomial = tuple[str, ...]


class Open:
    """A size that depends on open axes, as integer factors of products of atoms; never a plain number.

    An atom is the name of an axis or a division that does not come out even, as in `floor((height + 1)/2)`.
    """

    __slots__ = ("_hash", "terms")

    def __init__(self, terms: Mapping[Monomial, int]) -> None:
        self.terms = dict(terms)
        self._hash = hash(frozenset(self.terms.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Open) and self.terms == other.terms

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        ordered = sorted(self.terms.items(), key=lambda term: (-len(term[0]), term[0]))
        text = " + ".join(_term(monomial, factor) for monomial, factor in ordered)
        return text.replace("+ -", "- ")

    __repr__ = __str__

    def __neg__(self) -> Size:
        return self * -1

    def __add__(self, other: Size) -> Size:
        terms = dict(self.terms)
        for monomial, factor in _terms(other).items():
            terms[monomial] = terms.get(monomial, 0) + factor
        return _size(terms)

    def __sub__(self, other: Size) -> Size:
        return self + other * -1

    def __rsub__(self, other: int) -> Size:
        return self * -1 + other

    def __mul__(self, other: Size) -> Size:
        terms: dict[Monomial, int] = {}
        for a, x in self.terms.items():
            for b, y in _terms(other).items():
                monomial = tuple(sorted(a + b))
                terms[monomial] = terms.get(monomial, 0) + x * y
        return _size(terms)

    __radd__, __rmul__ = __add__, __mul__

    def __floordiv__(self, other: Size) -> Size:
        return _divided_by_number(self, other) if isinstance(other, int) else _divided(self, other)

    def __rfloordiv__(self, other: int) -> Size:
        return _divided(other, self)

    def __mod__(self, other: Size) -> Size:
        return self - (self // other) * other


Size = int | Open


def axis(name: str) -> Open:
    return Open({(name,): 1})


def product(sizes: Iterable[Size]) -> Size:
    return math.prod(sizes)


def is_less(a: Size, b: Size) -> bool | None:
    """Say whether a < b whatever the open axes are; None where that depends."""
    difference = _terms(b - a)
    if all(factor <= 0 for factor in difference.values()):
        return False
    constant = difference.get((), 0)
    return True if constant > 0 and all(factor >= 0 for factor in difference.values()) else None


def is_equal(a: Size, b: Size) -> bool | None:
    if a == b:
        return True
    return False if is_less(a, b) or is_less(b, a) else None


def smaller(a: Size, b: Size) -> Size:
    return _chosen("min", a, b)


def larger(a: Size, b: Size) -> Size:
    return _chosen("max", a, b)


def _chosen(which: str, a: Size, b: Size) -> Size:
    below, above = is_less(a, b), is_less(b, a)
    if below is None and above is None:
        first, second = sorted(map(str, (a, b)))
        return axis(f"{which}({first}, {second})")
    a_is_least = below or above is False
    return a if a_is_least == (which == "min") else b


def _size(terms: Mapping[Monomial, int]) -> Size:
    terms = {monomial: factor for monomial, factor in terms.items() if factor}
    return terms.get((), 0) if not any(terms) else Open(terms)


def _terms(size: Size) -> Mapping[Monomial, int]:
    return size.terms if isinstance(size, Open) else {(): int(size)} if size else {}


def _divided_by_number(size: Open, number: int) -> Size:
    """Round down: what divides evenly comes out of the division, (4 h + 3) // 2 = 2 h + 1."""
    if number <= 0:
        return _divided(size, number)
    whole = _size({monomial: factor // number for monomial, factor in size.terms.items()})
    rest = _size({monomial: factor % number for monomial, factor in size.terms.items()})
    return whole + (rest // number if isinstance(rest, int) else axis(f"floor({_grouped(rest)}/{number})"))


def _divided(a: Size, b: Size) -> Size:
    """Divide by an open size: exactly where every term holds it, else as an atom."""
    if a == b:
        return 1
    if isinstance(b, Open) and len(b.terms) == 1:
        exact = _without(a, *next(iter(b.terms.items())))
        if exact is not None:
            return exact
    return axis(f"floor({_grouped(a)}/{_grouped(b)})")


def _without(size: Size, divisor: Monomial, number: int) -> Size | None:
    terms: dict[Monomial, int] = {}
    for monomial, factor in _terms(size).items():
        rest = list(monomial)
        for atom in divisor:
            if atom not in rest:
                return None
            rest.remove(atom)
        if factor % number:
            return None
        terms[tuple(rest)] = factor // number
    return _size(terms)


def _grouped(size: Size) -> str:
    text = str(size)
    return f"({text})" if isinstance(size, Open) and (len(size.terms) > 1 or "*" in text) else text


def _term(monomial: Monomial, factor: int) -> str:
    if not monomial:
        return str(factor)
    text = "*".join(monomial)
    return text if factor == 1 else f"{'-' if factor == -1 else f'{factor}*'}{text}"
