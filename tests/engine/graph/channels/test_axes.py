"""Forms of axes: whatever is unified, what goes from one axis goes from the other at the same positions."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from engine.graph.channels.axes import Atom, Form, Why, add, freeze, is_frozen, leaves, multiply, resolve, split, unify
from engine.graph.channels.kept import Kept, positions

WHY = Why("node", "Operator", "a reason")


def free_atoms(*forms: Form) -> list[Atom]:
    atoms = dict.fromkeys(atom for form in forms for atom in leaves(form))
    return [atom for atom in atoms if atom.frozen is None and (atom.size or 0) > 1]


def sizes(*forms: Form) -> list[int]:
    return [atom.size or 0 for atom in free_atoms(*forms)]


def draw_kept(random: np.random.Generator, *forms: Form) -> Kept:
    """Take any channels but the last one from every atom that may lose some."""
    gone = {}
    for atom in free_atoms(*forms):
        assert atom.size is not None
        gone[atom] = random.choice(atom.size, random.integers(0, atom.size), replace=False).tolist()
    return Kept(gone)


def draw_form(random: np.random.Generator, size: int, depth: int = 0) -> Form:
    """Draw a form of this size: an atom, two parts of it, or two digits."""
    choice = random.integers(0, 3) if depth < 3 and size > 1 else 0
    if choice == 1:
        first = int(random.integers(1, size))
        return add([draw_form(random, first, depth + 1), draw_form(random, size - first, depth + 1)])
    divisors = [divisor for divisor in range(2, size) if size % divisor == 0]
    if choice == 2 and divisors:
        outer = int(random.choice(divisors))
        return multiply([draw_form(random, outer, depth + 1), draw_form(random, size // outer, depth + 1)])
    return Atom(size)


@pytest.mark.parametrize("seed", range(60))
def test_unified_axes_lose_the_same_positions(seed: int) -> None:
    """Chains of random axes of one size, one of them frozen in part, and every pair after every step."""
    random = np.random.default_rng(seed)
    size = int(random.choice([6, 8, 12, 24, 30]))
    forms = [draw_form(random, size) for _ in range(4)]
    if seed % 3 == 0:
        freeze(next(leaves(forms[2])), WHY)

    for first, second in pairwise(forms):
        unify(first, second, WHY)

    for _ in range(3):
        kept = draw_kept(random, *forms)
        for form in forms[1:]:
            assert np.array_equal(kept.mask(form), kept.mask(forms[0]))


@pytest.mark.parametrize("seed", range(30))
def test_two_halves_of_an_axis_are_the_axis(seed: int) -> None:
    random = np.random.default_rng(seed)
    form = draw_form(random, 24)
    at = int(random.integers(0, 25))

    first, second = split(form, at)

    kept = draw_kept(random, form)
    assert (first.size, second.size) == (at, 24 - at)
    assert np.array_equal(np.concatenate([kept.mask(first), kept.mask(second)]), kept.mask(form))


@pytest.mark.parametrize("seed", range(30))
def test_positions_are_what_goes_with_a_channel(seed: int) -> None:
    form = draw_form(np.random.default_rng(seed), 24)

    for atom in free_atoms(form):
        assert atom.size is not None
        found = positions(form, atom)
        for channel in range(atom.size):
            assert np.array_equal(np.flatnonzero(~Kept({atom: [channel]}).mask(form)), found[channel])


def test_a_channel_that_is_both_digits_takes_a_row_and_a_column() -> None:
    atom = Atom(3)

    assert positions(multiply([atom, atom]), atom).tolist() == [[0, 1, 2, 3, 6], [1, 3, 4, 5, 7], [2, 5, 6, 7, 8]]


def test_a_border_inside_an_atom_gives_it_parts() -> None:
    atom, a, b = Atom(8), Atom(3), Atom(5)

    unify(atom, add([a, b]), WHY)

    assert sizes(atom) == [3, 5]
    assert list(leaves(atom)) == [a, b]


def test_equal_pieces_beside_digits_are_one() -> None:
    """Two halves dealt out as (2, C): place c of both goes together, and which half is no question any more."""
    halves = Atom(4), Atom(4)
    half, place = Atom(2), Atom(4)

    unify(add(halves), multiply([half, place]), WHY)

    assert {resolve(form) for form in halves} == {resolve(place)}
    assert is_frozen(half)


def test_digits_of_other_sizes_are_given_common_ones() -> None:
    """(4, 6) beside (8, 3): digits of 4, 2 and 3."""
    a, b = multiply([Atom(4), Atom(6)]), multiply([Atom(8), Atom(3)])

    unify(a, b, WHY)

    assert sizes(a) == sizes(b) == [4, 2, 3]


def test_what_cannot_be_aligned_is_frozen_with_the_reason() -> None:
    """(2, 3) beside (3, 2)."""
    a, b = multiply([Atom(2), Atom(3)]), multiply([Atom(3), Atom(2)])

    unify(a, b, WHY)

    assert is_frozen(a)
    assert is_frozen(b)
    assert {atom.frozen for atom in leaves(a)} == {WHY}


def test_open_digits_are_passed_over() -> None:
    """(batch, 12, 5) beside (batch x 12, 5), and then (batch, 60)."""
    heads, places = Atom(12), Atom(5)
    batch = Atom(None, symbol="batch")
    many, row = Atom(None, symbol="12*batch"), Atom(60)

    unify(multiply([batch, heads, places]), multiply([many, Atom(5)]), WHY)
    unify(multiply([many, places]), multiply([Atom(None, symbol="batch"), row]), WHY)

    assert sizes(many) == [12]
    assert sizes(row) == [12, 5]


def test_too_many_pieces_are_frozen() -> None:
    """A rotation by one of a long axis would make each position a piece of its own."""
    whole = Atom(4096)
    first, rest = split(whole, 1)

    unify(add([first, rest]), add([rest, first]), WHY)

    assert is_frozen(whole)


@pytest.mark.parametrize("newest_first", [True, False])
def test_a_long_row_of_axes_that_are_one_is_no_trouble(newest_first: bool) -> None:
    """As many sums as a network has blocks, however many: each makes one more axis the same as all before."""
    atoms = [Atom(8) for _ in range(3000)]

    for older, newer in pairwise(atoms):
        unify(*((newer, older) if newest_first else (older, newer)), WHY)

    assert len({resolve(atom) for atom in atoms}) == 1
