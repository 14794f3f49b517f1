"""Products of matrices: Gemm, MatMul and Einsum, with weights on either side or on none."""

from __future__ import annotations

from engine.graph.channels.axes import Form
from engine.graph.channels.rules.elementwise import broadcast
from engine.graph.channels.rules.site import Axes, Opaque, Site


def gemm(site: Site) -> None:
    """Y = alpha A' B' + beta C, where A' and B' may be transposed."""
    left, right = site.axes(0), site.axes(1)
    if len(left) != 2 or len(right) != 2:
        raise Opaque("its inputs are not matrices")
    across = 0 if site.integer("transA", 0) else 1
    down = 1 if site.integer("transB", 0) else 0
    _contract(site, 0, across, 1, down)
    result: Axes = (left[1 - across], right[1 - down])
    if site.has(2):
        broadcast(site, [result, site.axes(2)])
    site.write(result)


def matmul(site: Site) -> None:
    """Stacks of matrices; a vector on the left is a row and on the right a column, and neither leaves an axis."""
    left, right = site.axes(0), site.axes(1)
    if not left or not right:
        raise Opaque("one of its inputs is a single number")
    down = max(len(right) - 2, 0)
    _contract(site, 0, len(left) - 1, 1, down)
    result = broadcast(site, [left[:-2], right[:-2]])
    result += [left[-2]] if len(left) > 1 else []
    result += [right[-1]] if len(right) > 1 else []
    site.write(result)


def einsum(site: Site) -> None:
    """A letter is an axis: shared letters are one axis, and those that the result lacks are summed over."""
    equation = site.string("equation", "").replace(" ", "")
    reads, _, result = equation.partition("->")
    terms = reads.split(",")
    if "." in equation or len(terms) != len(site.node.inputs) or any(len(set(t)) != len(t) for t in (*terms, result)):
        raise Opaque(f"'{equation}' is not a plain list of letters")
    if "->" not in equation:
        result = "".join(sorted(letter for letter in set(reads) - {","} if reads.count(letter) == 1))
    found: dict[str, Form] = {}
    for index, term in enumerate(terms):
        if len(site.axes(index)) != len(term):
            raise Opaque(f"'{term}' does not name {len(site.axes(index))} axes")
        for axis, letter in enumerate(term):
            _meet_letter(site, found, letter, index, axis, summed=letter not in result)
    site.write([found[letter] for letter in result])


def _meet_letter(site: Site, found: dict[str, Form], letter: str, index: int, axis: int, *, summed: bool) -> None:
    """Take in one more axis of a letter; it is enough that the first one that is not 1 long is masked."""
    form = site.axes(index)[axis]
    if letter not in found or found[letter].size == 1:
        found[letter] = form
        if summed:
            site.sums_over(index, axis)
    elif form.size != 1:
        site.unify(found[letter], form)


def _contract(site: Site, index: int, axis: int, other: int, other_axis: int) -> None:
    """Make one the two axes that are multiplied and summed, of which it is enough that one is masked."""
    form, other_form = site.axes(index)[axis], site.axes(other)[other_axis]
    if form.size != other_form.size:
        raise Opaque(f"an axis of {form.size} does not fit one of {other_form.size}")
    site.unify(form, other_form)
    if site.is_constant(index):
        site.sums_over(other, other_axis)
    else:
        site.sums_over(index, axis)
