"""What an axis is made of: atoms, sums and products of them, and how two axes are made one. Knows no operators."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

MOST_PIECES = 512
"""A form that falls into more pieces than this is frozen: whoever cuts that fine cuts single numbers."""

MOST_CUTS = 48
"""How often a part of a part may be parted. An axis turned by one position would go on until nothing is left."""


@dataclass(frozen=True)
class Why:
    """What froze an atom: the node, empty for the network's own inputs and outputs, and the reason.

    A silent reason is a matter of course, as for the taps of a kernel, and no report names it.
    """

    node: str
    op_type: str
    reason: str
    silent: bool = False


class TooFine(Exception):
    """A form would fall into more pieces than it is worth following."""


@dataclass(eq=False)
class Atom:
    """A class of `size` positions, each of which can go by itself, wherever the atom occurs.

    `size` is None for an axis that is open until the network runs; `symbol` names it. A frozen atom says why. An atom
    that turned out to have parts, or to be another atom, is `bound` to a form of the same size. `cuts` tells how many
    borders made it what it is.
    """

    size: int | None
    symbol: str | None = None
    frozen: Why | None = None
    bound: Form | None = field(default=None, repr=False)
    cuts: int = 0


@dataclass(frozen=True, eq=False)
class Sum:
    """Forms one after the other, as Concat writes them: size 3 + 5 is 8."""

    parts: tuple[Form, ...]
    size: int | None


@dataclass(frozen=True, eq=False)
class Product:
    """Digits of a mixed radix, outer to inner: size 3 x 5 is 15, and position 7 is digits 1 and 2."""

    factors: tuple[Form, ...]
    size: int | None


Form = Atom | Sum | Product

ONE = Atom(1)

ALONE = Why("", "", "at least one position stays", silent=True)


def add(parts: Sequence[Form]) -> Form:
    """Return the forms one after the other."""
    flat = [piece for part in parts for piece in _parts(part) if piece.size != 0]
    if len(flat) == 1:
        return flat[0]
    sizes = [piece.size for piece in flat]
    return Sum(tuple(flat), None if None in sizes else sum(size for size in sizes if size is not None))


def multiply(factors: Sequence[Form]) -> Form:
    """Return the form whose digits are these, outer to inner."""
    flat = [digit for factor in factors for digit in _factors(factor) if digit.size != 1]
    if len(flat) <= 1:
        return flat[0] if flat else ONE
    sizes = [digit.size for digit in flat]
    return Product(tuple(flat), None if None in sizes else math.prod(size for size in sizes if size is not None))


def resolve(form: Form) -> Form:
    """Return the form with all that was learnt about its atoms put in at the top."""
    passed = []
    while isinstance(form, Atom) and form.bound is not None:
        passed.append(form)
        form = form.bound
    if isinstance(form, Sum):
        form = add(form.parts)
    elif isinstance(form, Product):
        form = multiply(form.factors)
    for atom in passed:  # the next one to ask takes one step
        atom.bound = form
    return form


def leaves(form: Form) -> Iterator[Atom]:
    """Yield the atoms that a form is made of, once for each time that they occur."""
    form = resolve(form)
    if isinstance(form, Atom):
        yield form
        return
    for piece in form.parts if isinstance(form, Sum) else form.factors:
        yield from leaves(piece)


def freeze(form: Form, why: Why) -> None:
    """Let every position of the form stay for ever. The first reason given is the one that is kept, unless silent."""
    for atom in leaves(form):
        if atom.frozen is None or (atom.frozen.silent and not why.silent):
            atom.frozen = why


def is_frozen(form: Form) -> bool:
    """Tell whether no position of the form can go. The one position of an atom of size 1 is its last, so it stays."""
    return all(atom.frozen is not None or atom.size == 1 for atom in leaves(form))


def split(form: Form, at: int) -> tuple[Form, Form]:
    """Return the first `at` positions of a form and the others, giving its atoms parts where the border needs it.

    Raises TooFine where that takes too many pieces.
    """
    form = resolve(form)
    if at in (0, form.size):
        return (form, add([])) if at else (add([]), form)
    assert form.size is not None
    if is_frozen(form):  # no need to know its parts
        why = next((atom.frozen for atom in leaves(form) if atom.frozen is not None), ALONE)
        return Atom(at, frozen=why), Atom(form.size - at, frozen=why)
    if isinstance(form, Atom):
        return _split_atom(form, at)
    if isinstance(form, Sum):
        return _split_sum(form, at)
    return _split_product(form, at)


def unify(a: Form, b: Form, why: Why) -> None:
    """Make two axes one: what goes from the one goes from the other at the same position.

    Atoms take on parts until both sides have the same structure. What cannot be aligned is frozen, and `why` says so.
    """
    try:
        _unify(a, b, why)
    except TooFine:
        freeze(a, why)
        freeze(b, why)


def _parts(form: Form) -> tuple[Form, ...]:
    form = resolve(form)
    return form.parts if isinstance(form, Sum) else (form,)


def _factors(form: Form) -> tuple[Form, ...]:
    form = resolve(form)
    return form.factors if isinstance(form, Product) else (form,)


def _split_atom(atom: Atom, at: int) -> tuple[Form, Form]:
    assert atom.size is not None
    if atom.cuts >= MOST_CUTS:
        raise TooFine
    left, right = (Atom(size, frozen=atom.frozen, cuts=atom.cuts + 1) for size in (at, atom.size - at))
    atom.bound = add([left, right])
    return left, right


def _split_sum(form: Sum, at: int) -> tuple[Form, Form]:
    if len(form.parts) > MOST_PIECES:
        raise TooFine
    left: list[Form] = []
    for index, part in enumerate(form.parts):
        assert part.size is not None
        if at < part.size:
            first, second = split(part, at)
            return add([*left, first]), add([second, *form.parts[index + 1 :]])
        left.append(part)
        at -= part.size
    return add(left), add([])


def _split_product(form: Product, at: int) -> tuple[Form, Form]:
    """Split the outer digit; where the border falls inside one of its values, split the inner digits for that one."""
    outer, inner = form.factors[0], multiply(form.factors[1:])
    assert inner.size is not None
    whole, rest = divmod(at, inner.size)
    before, after = split(outer, whole)
    if not rest:
        return multiply([before, inner]), multiply([after, inner])
    _, after = split(after, 1)
    first, second = split(inner, rest)
    return add([_times(before, inner), first]), add([second, _times(after, inner)])


def _times(outer: Form, inner: Form) -> Form:
    return multiply([outer, inner]) if outer.size else add([])


def _unify(a: Form, b: Form, why: Why) -> None:
    a, b = resolve(a), resolve(b)
    if a is b:
        return
    if is_frozen(a) or is_frozen(b):
        _freeze_together(a, b)
    elif isinstance(a, Atom) or isinstance(b, Atom):
        _bind(a, b, why)
    elif a.size is None or b.size is None or a.size != b.size:
        _unify_open(a, b, why)
    elif isinstance(a, Sum):
        _unify_parts(a, b, why)
    elif isinstance(b, Sum):
        _unify_parts(b, a, why)
    else:
        _unify_factors(list(a.factors), list(b.factors), why)


def _freeze_together(a: Form, b: Form) -> None:
    """Freeze what meets a frozen form, for that one's reason: there is no need to know what it is made of."""
    for frozen, other in ((a, b), (b, a)):
        if is_frozen(frozen):
            reasons = [atom.frozen for atom in leaves(frozen) if atom.frozen is not None]
            freeze(other, reasons[0] if reasons else ALONE)


def _bind(a: Form, b: Form, why: Why) -> None:
    """Let the atom of the two be the other form; of two atoms the second."""
    atom, form = (b, a) if isinstance(b, Atom) else (a, b)
    assert isinstance(atom, Atom)
    if atom.size != form.size or any(leaf is atom for leaf in leaves(form)):
        freeze(atom, why)
        freeze(form, why)
        return
    if atom.frozen is not None:
        freeze(form, atom.frozen)
    atom.bound = form


def _unify_open(a: Form, b: Form, why: Why) -> None:
    """Unify forms with open sizes digit by digit; nothing else can be said of them."""
    if isinstance(a, Product) or isinstance(b, Product):
        _unify_factors(list(_factors(a)), list(_factors(b)), why)
        return
    same = isinstance(a, Sum) and isinstance(b, Sum) and [p.size for p in a.parts] == [p.size for p in b.parts]
    if not same:
        freeze(a, why)
        freeze(b, why)
        return
    assert isinstance(a, Sum)
    assert isinstance(b, Sum)
    for part, other in zip(a.parts, b.parts, strict=True):
        _unify(part, other, why)


def _unify_parts(total: Sum, other: Form, why: Why) -> None:
    if len(total.parts) > MOST_PIECES:
        raise TooFine
    for part in total.parts:
        assert part.size is not None
        first, other = split(other, part.size)
        _unify(part, first, why)


def _unify_factors(a: list[Form], b: list[Form], why: Why) -> None:
    """Align digits from the inner ones outwards, then, where open or odd sizes stop that, from the outer ones in.

    A digit of 6 beside one of 2 becomes digits of 3 and 2. What is left in the middle is frozen.
    """
    while _align(a, b, -1, why):
        pass
    while _align(a, b, 0, why):
        pass
    for form in (*a, *b):
        freeze(form, why)


def _align(a: list[Form], b: list[Form], end: int, why: Why) -> bool:
    """Take one pair of digits off that end of both lists, in place; tell whether there was one that fits."""
    if not a or not b:
        return False
    if len(a) == 1 or len(b) == 1:
        return _align_last(a, b, why)
    x, y = a[end], b[end]
    if x.size == y.size and (x.size is not None or _same_symbol(x, y)):
        _unify(x, y, why)
        a.pop(end)
        b.pop(end)
        return True
    if x.size is None or y.size is None or (common := math.gcd(x.size, y.size)) == 1:
        return False
    shared = Atom(common)
    for digits, digit in ((a, x), (b, y)):
        assert digit.size is not None
        rest = Atom(digit.size // common)
        _unify(digit, multiply([rest, shared] if end else [shared, rest]), why)
        digits[end : end + 1 or None] = [] if rest.size == 1 else [rest]
    a[:], b[:] = list(_factors(multiply(a))), list(_factors(multiply(b)))
    return True


def _align_last(a: list[Form], b: list[Form], why: Why) -> bool:
    """Unify what is left, where one side is a single form; tell whether it could be done."""
    x, y = resolve(multiply(a)), resolve(multiply(b))
    both_products = isinstance(x, Product) and isinstance(y, Product)
    if both_products or x.size != y.size or (x.size is None and not (isinstance(x, Atom) or isinstance(y, Atom))):
        return False
    _unify(x, y, why)
    a.clear()
    b.clear()
    return True


def _same_symbol(x: Form, y: Form) -> bool:
    x, y = resolve(x), resolve(y)
    return x is y or (isinstance(x, Atom) and isinstance(y, Atom) and x.symbol is not None and x.symbol == y.symbol)
