"""Operators that put axes together out of pieces or take pieces of them: Concat, Split, Slice, Gather, Pad, Tile."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.graph.channels.axes import Atom, Form, TooFine, add, is_frozen, multiply, split
from engine.graph.channels.rules.elementwise import broadcast
from engine.graph.channels.rules.site import Axes, Edit, Opaque, Site, in_range

_MOST_RUNS = 64
"""Gather with a constant list is followed where the list is made of at most so many runs of neighbours."""


def concat(site: Site) -> None:
    inputs = [site.axes(index) for index in range(len(site.node.inputs))]
    axis = site.axis("axis", 0, len(inputs[0]))
    found = broadcast(site, [_without(axes, axis) for axes in inputs])
    site.write([*found[:axis], add([axes[axis] for axes in inputs]), *found[axis:]])


def divide(site: Site) -> None:
    """Split, its sizes an attribute, an input, or equal; unequal ones are written out."""
    axes = site.axes(0)
    axis = site.axis("axis", 0, len(axes))
    rest, pieces = axes[axis], []
    sizes = [site.output_axes(index)[axis].size for index in range(len(site.node.outputs))]
    if None in sizes or rest.size != sum(size or 0 for size in sizes):
        if not is_frozen(rest):
            raise Opaque("the sizes of its pieces are not known")
        pieces = [site.output_axes(index)[axis] for index in range(len(sizes))]
        for form in pieces:
            site.fix(form)
    else:
        for size in sizes:
            assert size is not None
            piece, rest = _split(site, rest, size)
            pieces.append(piece)

    def edit(edit: Edit) -> None:
        if edit.changes(*pieces):
            _write_split(site, edit, [edit.count(piece) for piece in pieces])

    site.on_cut(edit)
    for index, piece in enumerate(pieces):
        site.write([*axes[:axis], piece, *axes[axis + 1 :]], index)


def cut_out(site: Site) -> None:
    """Slice: with step 1 a piece of the axis goes on; any other step needs all positions where they are."""
    axes = list(site.axes(0))
    if any(not site.is_constant(index) for index in range(1, len(site.node.inputs)) if site.has(index)):
        _slice_anywhere(site, axes)
        return
    starts, ends = site.numbers(1) or [], site.numbers(2) or []
    named = (site.numbers(3) or []) if site.has(3) else list(range(len(starts)))
    steps = (site.numbers(4) or []) if site.has(4) else [1] * len(starts)
    fresh, found, before = site.output_axes(), list(axes), {}
    for place, (start, end, name, step) in enumerate(zip(starts, ends, named, steps, strict=True)):
        axis = in_range(name, len(axes))
        form = axes[axis]
        size = form.size
        if size is not None and step == 1:
            first, last = _clamp(start, size), _clamp(end, size)
            left, right = _split(site, form, first)
            found[axis], _ = _split(site, right, max(last - first, 0))
            before[place] = (left, found[axis])
        elif not (size is None and step == 1 and start == 0 and end >= 1 << 31):
            site.freeze(form, f"it is sliced in steps of {step}" if size is not None else "it is sliced")
            site.fix(fresh[axis])
            found[axis] = fresh[axis]

    def edit(edit: Edit) -> None:
        new_starts, new_ends = list(starts), list(ends)
        for place, (left, middle) in before.items():
            new_starts[place] = edit.count(left)
            new_ends[place] = edit.count(left) + edit.count(middle)
        if edit.changes(*(form for pair in before.values() for form in pair)):
            edit.set_numbers(1, new_starts)
            edit.set_numbers(2, new_ends)

    site.on_cut(edit)
    site.write(found)


def gather(site: Site) -> None:
    """Constant positions are renumbered; what is looked up when the network runs needs the whole axis."""
    axes, indices = site.axes(0), site.axes(1)
    axis = site.axis("axis", 0, len(axes))
    form, numbers = axes[axis], site.numbers(1)
    for index_form in indices:
        site.fix(index_form)
    looked_up: Sequence[Form] = indices
    if numbers is None or form.size is None or len(indices) > 1:
        site.freeze(form, "positions along it are looked up")
        looked_up = site.output_axes()[axis : axis + len(indices)]
        for looked_up_form in looked_up:
            site.fix(looked_up_form)
    else:
        numbers = [number + form.size if number < 0 else number for number in numbers]
        picked = _pick(site, form, numbers)
        looked_up = [picked] if indices else []
        _renumber(site, form, picked, numbers)
    site.write([*axes[:axis], *looked_up, *axes[axis + 1 :]])


def pad(site: Site) -> None:
    """Positions of a constant that are put in front and behind are channels too, and may go."""
    axes, pads = site.axes(0), site.numbers(1)
    named = site.numbers(3) if site.has(3) else list(range(len(axes)))
    if pads is None or named is None:
        raise Opaque("how much it adds is worked out when the network runs")
    fresh, found, added = site.output_axes(), list(axes), {}
    for place, name in enumerate(named):
        axis, before, behind = in_range(name, len(axes)), pads[place], pads[place + len(named)]
        if before == behind == 0:
            continue
        if site.string("mode", "constant") == "constant" and before >= 0 <= behind and axes[axis].size is not None:
            added[place] = (Atom(before), Atom(behind))
            found[axis] = add([added[place][0], axes[axis], added[place][1]])
        else:
            site.freeze(axes[axis], "what is added repeats it, or cuts it off")
            site.fix(fresh[axis])
            found[axis] = fresh[axis]

    def edit(edit: Edit) -> None:
        new = list(pads)
        for place, (before, behind) in added.items():
            new[place], new[place + len(named)] = edit.count(before), edit.count(behind)
        if new != pads:
            edit.set_numbers(1, new)

    site.on_cut(edit)
    site.write(found)


def tile(site: Site) -> None:
    """An axis repeated r times is a digit of r outside it."""
    axes, repeats = site.axes(0), site.numbers(1)
    if repeats is None or len(repeats) != len(axes):
        raise Opaque("how often it repeats is worked out when the network runs")
    copies = [Atom(count) for count in repeats]

    def edit(edit: Edit) -> None:
        if edit.changes(*copies):
            edit.set_numbers(1, [edit.count(copy) for copy in copies])

    site.on_cut(edit)
    site.write([multiply([copy, form]) for copy, form in zip(copies, axes, strict=True)])


def _without(axes: Axes, axis: int) -> Axes:
    return (*axes[:axis], *axes[axis + 1 :])


def _split(site: Site, form: Form, at: int) -> tuple[Form, Form]:
    try:
        return split(form, at)
    except TooFine:
        raise Opaque("its axis falls into too many pieces") from None


def _clamp(position: int, size: int) -> int:
    return min(max(position + size if position < 0 else position, 0), size)


def _write_split(site: Site, edit: Edit, sizes: Sequence[int]) -> None:
    edit.node.attributes.pop("num_outputs", None)
    if site.opset < 13:
        edit.set_integers("split", sizes)
    else:
        edit.set_numbers(1, sizes)


def _slice_anywhere(site: Site, axes: list[Form]) -> None:
    """Freeze the axes that are sliced at places worked out when the network runs; all of them where none is named."""
    named = site.numbers(3) if site.has(3) else None
    touched = set(range(len(axes))) if named is None else {in_range(axis, len(axes)) for axis in named}
    fresh = site.output_axes()
    for axis in touched:
        site.freeze(axes[axis], "it is sliced at places worked out when the network runs")
        site.fix(fresh[axis])
    site.write([fresh[axis] if axis in touched else form for axis, form in enumerate(axes)])


def _pick(site: Site, form: Form, numbers: Sequence[int]) -> Form:
    """Return what a list of positions picks: a sum of pieces, one for each run of neighbours."""
    starts = [i for i, number in enumerate(numbers) if i == 0 or number != numbers[i - 1] + 1]
    if len(starts) > _MOST_RUNS:
        site.freeze(form, "its positions are put in another order")
        picked = Atom(len(numbers))
        site.freeze(picked, "its positions are put in another order")
        return picked
    pieces = []
    for start, stop in zip(starts, [*starts[1:], len(numbers)], strict=True):
        _, rest = _split(site, form, numbers[start])
        pieces.append(_split(site, rest, stop - start)[0])
    return add(pieces)


def _renumber(site: Site, form: Form, picked: Form, numbers: Sequence[int]) -> None:
    """Note that positions are counted anew: each one that stays is as far in as there are others before it."""

    def edit(edit: Edit) -> None:
        if not edit.changes(form):
            return
        place = np.cumsum(edit.kept.mask(form)) - 1
        chosen = place[np.array(numbers, np.int64)][edit.kept.mask(picked)]
        old = site.value(1)
        assert old.shape is not None
        edit.set_numbers(1, chosen.reshape(()) if len(old.shape) == 0 else chosen)

    site.on_cut(edit)
