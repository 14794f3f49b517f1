"""Which positions of an axis stay when channels of atoms go. Knows forms, not graphs."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from engine.graph.channels.axes import Atom, Form, Sum, leaves, resolve

Mask = NDArray[np.bool_]
Indices = NDArray[np.int64]


class Kept:
    """What stays of each form: `gone` says which channels of which atoms go."""

    def __init__(self, gone: Mapping[Atom, Collection[int]]) -> None:
        self._masks = {atom: _mask_without(atom, channels) for atom, channels in gone.items() if channels}

    def changes(self, form: Form) -> bool:
        """Tell whether anything goes from the form."""
        return any(atom in self._masks for atom in leaves(form))

    def mask(self, form: Form) -> Mask:
        """Return shape (size,): True where the position stays. The size of the form has to be known."""
        form = resolve(form)
        if isinstance(form, Atom):
            assert form.size is not None
            return self._masks.get(form, np.ones(form.size, np.bool_))
        if isinstance(form, Sum):
            return np.concatenate([np.ones(0, np.bool_), *(self.mask(part) for part in form.parts)])
        mask = np.ones(1, np.bool_)
        for factor in form.factors:
            mask = np.logical_and.outer(mask, self.mask(factor)).reshape(-1)
        return mask

    def count(self, form: Form) -> int:
        """Return how many positions stay."""
        return int(self.mask(form).sum())


def positions(form: Form, atom: Atom) -> Indices:
    """Return shape (atom.size, n): the positions along the form that go with each channel of the atom, ascending."""
    assert atom.size is not None
    found = _positions(form, atom)
    found.sort(axis=1)
    # where the atom is two digits of one axis, a channel meets itself: drop the repeats, as many in each row
    fresh = np.ones(found.shape, np.bool_)
    fresh[:, 1:] = found[:, 1:] != found[:, :-1]
    return found if fresh.all() else found[fresh].reshape(atom.size, -1)


def _positions(form: Form, atom: Atom) -> Indices:
    assert atom.size is not None
    form = resolve(form)
    if isinstance(form, Atom):
        return np.arange(atom.size)[:, None] if form is atom else np.empty((atom.size, 0), np.int64)
    found, start, stride, outer = [], 0, form.size or 1, 1
    if isinstance(form, Sum):
        for part in form.parts:
            assert part.size is not None
            found.append(start + _positions(part, atom))
            start += part.size
        return np.concatenate(found, axis=1)
    for factor in form.factors:
        assert factor.size is not None
        stride //= factor.size
        own = _positions(factor, atom) * stride
        before = np.arange(outer) * stride * factor.size
        around = (before[:, None] + np.arange(stride)).reshape(-1)
        found.append((own[:, :, None] + around).reshape(atom.size, -1))
        outer *= factor.size
    return np.concatenate(found, axis=1)


def _mask_without(atom: Atom, channels: Collection[int]) -> Mask:
    assert atom.size is not None
    mask = np.ones(atom.size, np.bool_)
    mask[list(channels)] = False
    return mask
