"""The only place that removes channels: weights are sliced, and every size that the graph writes down is rewritten."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from engine.errors import PostconditionFailed, RecipeInvalid
from engine.graph.channels.axes import Form
from engine.graph.channels.flow import follow
from engine.graph.channels.groups import name_atoms
from engine.graph.channels.kept import Kept
from engine.graph.channels.rules.site import Axes, Edit, Flow, is_vector
from engine.graph.edits import add_initialiser
from engine.graph.model import Model
from engine.graph.shapes import infer_shapes

Cuts = Mapping[str, Collection[int]]
"""Group name -> the channels of it that go."""


def remove_channels(model: Model, cuts: Cuts) -> Model:
    """Return a new model without these channels; everything that they did not touch stays as it is.

    Raises RecipeInvalid for a group that is not there, a channel that it has not, or a cut that leaves it none.
    """
    flow = follow(model)
    kept = kept_after(model, flow, cuts)
    smaller = model.copy()
    _slice_weights(model, smaller, flow, kept)
    nodes = smaller.nodes()
    for name, edits in flow.edits.items():
        for edit in edits:
            edit(Edit(smaller, nodes[name], kept))
    _set_shapes(model, smaller, flow, kept)
    return smaller


def kept_after(model: Model, flow: Flow, cuts: Cuts) -> Kept:
    """Return what stays of each form of the flow after these cuts; raises RecipeInvalid as remove_channels does."""
    named = name_atoms(model, flow)
    for name, channels in cuts.items():
        if name not in named:
            raise RecipeInvalid(f"The network has no group '{name}'. Take the names from find_groups.", where=name)
        size = named[name].size
        assert size is not None
        strange = [channel for channel in channels if not 0 <= channel < size]
        if strange or len(set(channels)) >= size:
            found = f"channels {strange[:5]}" if strange else "a cut of all its channels"
            raise RecipeInvalid(f"Group '{name}' has {size} channels, and {found} cannot go. One stays.", where=name)
    return Kept({named[name]: channels for name, channels in cuts.items()})


def _slice_weights(model: Model, smaller: Model, flow: Flow, kept: Kept) -> None:
    """Slice each constant. A vector that its readers need in several lengths is kept once for each of these."""
    nodes = smaller.nodes()
    for name, value in model.graph.initializers.items():
        if not is_vector(value):
            axes = flow.axes.get(value) or ()
            if any(kept.changes(form) for form in axes):
                smaller.set_weight(name, _sliced(model, name, axes, kept))
            continue
        for axes, readers in _lengths_needed(value, flow, kept):
            array = _sliced(model, name, axes, kept)
            if len(readers) == len(value.uses()) and not value.is_graph_output():
                smaller.set_weight(name, array)
            else:
                own = add_initialiser(smaller, name, array)
                for node, index in readers:
                    nodes[node].replace_input_with(index, own)


def _lengths_needed(value: ir.Value, flow: Flow, kept: Kept) -> list[tuple[Axes, list[tuple[str, int]]]]:
    """Return, for each way in which a vector is to be sliced, its axes and the readers: node and place among inputs."""
    found: dict[bytes, tuple[Axes, list[tuple[str, int]]]] = {}
    for use in value.uses():
        axes = flow.uses.get((use.node, use.idx), ())
        if any(kept.changes(form) for form in axes):
            key = b"".join(kept.mask(form).tobytes() for form in axes)
            found.setdefault(key, (axes, []))[1].append((str(use.node.name), use.idx))
    return list(found.values())


def _sliced(model: Model, name: str, axes: Axes, kept: Kept) -> NDArray[np.generic]:
    array = model.weight(name)
    for axis, form in enumerate(axes):
        if kept.changes(form):
            array = np.compress(kept.mask(form), array, axis=axis)
    return array


def _set_shapes(model: Model, smaller: Model, flow: Flow, kept: Kept) -> None:
    """Write the shapes that follow from the forms, and hold them against what shape inference says."""
    values, changed = smaller.values(), {}
    for node in model.graph:
        for value in node.outputs:
            axes = flow.axes.get(value) or ()
            if any(kept.changes(form) for form in axes):
                changed[str(value.name)] = (axes, value.shape)
                values[str(value.name)].shape = None
    infer_shapes(smaller)
    for name, (axes, old) in changed.items():
        found = values[name].shape
        sizes = [_size(axis, form, old, found, kept) for axis, form in enumerate(axes)]
        if found is not None and not _agree(found, sizes):
            raise PostconditionFailed(f"Value '{name}' should be {sizes} after the cut and is {found}.", where=name)
        values[name].shape = ir.Shape(sizes)


def _size(
    axis: int, form: Form, old: ir.Shape | None, found: ir.Shape | None, kept: Kept
) -> int | ir.SymbolicDim | None:
    """Return the new size of one axis: counted where it is known, inferred anew where it is open and has changed."""
    if form.size is not None:
        return kept.count(form)
    known = found if kept.changes(form) else old
    return None if known is None or len(known) <= axis else known[axis]


def _agree(found: ir.Shape, wanted: Sequence[int | ir.SymbolicDim | None]) -> bool:
    """Tell whether no size that both know differs."""
    pairs = zip(found, wanted, strict=False)
    return len(found) == len(wanted) and all(a == b for a, b in pairs if isinstance(a, int) and isinstance(b, int))
