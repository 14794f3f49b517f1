"""The prefix: what a cut network still computes as the uncut one does. It is run once, kept, and not trained."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from engine.data.images import ImageSet
from engine.graph.extract import extract
from engine.graph.holes import Hole
from engine.graph.model import Model
from engine.graph.writers import find_writer
from engine.measure.batches import outputs_in_batches
from engine.recipe import Deploy


@dataclass(frozen=True)
class Prefix:
    """`ends` are its values that the rest reads, given in place of the input; `weights` are all that it reads.

    A weight that the rest reads as well is among them: if it learnt, the prefix would no more be what was kept of it.
    Where nothing is the same, `ends` is the network's input and there are no weights.
    """

    ends: tuple[str, ...]
    weights: frozenset[str]


def find_prefix(
    uncut: Model, cut: Model, holes: Iterable[Hole], wanted: Sequence[str], *, with_writers: bool = False
) -> Prefix:
    """Return the longest prefix: node for node the same operator on the same values with the same weights.

    The layer that writes into a hole is no part of it, even where it is unchanged: it may learn. `with_writers` it is,
    where all that it reads is: what the closed form made of it is kept. `wanted` are the values of `cut` that will be
    asked for; where none lies behind a change, nothing is prefix, and the same where a hole has no layer of its own
    that writes into it.
    """
    writers = [find_writer(cut, hole.value, through_relu=True) for hole in holes]
    nothing = Prefix((cut.inputs[0].name,), frozenset())
    if None in writers:
        return nothing
    same = _same_values(uncut, cut, {writer.node for writer in writers if writer is not None}, with_writers)
    if same.issuperset(wanted):
        return nothing
    ends = [name for name, value in cut.values().items() if name in same and (name in wanted or _is_read(value, same))]
    weights = [name for name, value in cut.graph.initializers.items() if _is_read_by_prefix(value, same)]
    return Prefix(tuple(ends), frozenset(weights))


def starting_values(cut: Model, prefix: Prefix, images: ImageSet, compute: Deploy, bytes_max: float) -> tuple[str, ...]:
    """Return what training shall start from: the prefix's ends where it pays to keep them, else the network's input.

    It pays where one image's values take no more than the image itself, or than `bytes_max`. What has no row for each
    image, such as a size that follows from the batch, cannot be kept image by image.
    """
    start = (cut.inputs[0].name,)
    if start[0] in prefix.ends or not all(_is_float(cut.values()[name]) for name in prefix.ends):
        return start
    two = images.take(np.arange(2) % len(images))
    rows, size_bytes = dict.fromkeys(prefix.ends, 0), 0
    for answer in outputs_in_batches(extract(cut, prefix.ends), two, compute):
        for name, array in answer.items():
            rows[name] += array.shape[0] if array.ndim else 0
            size_bytes += array.nbytes
    pays = size_bytes / 2 <= max(images.inputs[:1].nbytes, bytes_max)
    return prefix.ends if pays and all(count == 2 for count in rows.values()) else start


def _same_values(uncut: Model, cut: Model, writers: Collection[str], with_writers: bool) -> set[str]:
    """Return the names of the values that both networks compute alike, but for the weights of writers."""
    nodes = uncut.nodes()
    same = {name for value in cut.graph.inputs if (name := str(value.name)) not in cut.graph.initializers}
    for node in cut.graph:
        twin, is_writer = nodes.get(str(node.name)), node.name in writers
        if twin is None or not _is_twin(node, twin) or (is_writer and not with_writers):
            continue
        learnt = cut.graph.initializers if is_writer else {}
        if all(value is None or value.name in learnt or _is_same(value, uncut, same) for value in node.inputs):
            same.update(str(value.name) for value in node.outputs)
    return same


def _is_twin(node: ir.Node, twin: ir.Node) -> bool:
    """Tell whether two nodes of one name do the same; those with a body of their own are not looked into."""
    read = [[value and value.name for value in each.inputs] for each in (node, twin)]
    bodies = any(a.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS) for a in node.attributes.values())
    does = [(each.domain, each.op_type, dict(each.attributes)) for each in (node, twin)]
    return does[0] == does[1] and read[0] == read[1] and not bodies


def _is_same(value: ir.Value | None, uncut: Model, same: set[str]) -> bool:
    if value is None or value.name in same:
        return True
    before = uncut.graph.initializers.get(str(value.name))
    if value.const_value is None or before is None or before.const_value is None:
        return False
    return value.const_value is before.const_value or value.const_value.tobytes() == before.const_value.tobytes()


def _is_read(value: ir.Value, same: set[str]) -> bool:
    """Tell whether anything behind the prefix reads a value."""
    return any(not _is_prefix(use.node, same) for use in value.uses())


def _is_read_by_prefix(value: ir.Value, same: set[str]) -> bool:
    return any(_is_prefix(use.node, same) for use in value.uses())


def _is_prefix(node: ir.Node, same: set[str]) -> bool:
    return all(output.name in same for output in node.outputs)


def _is_float(value: ir.Value) -> bool:
    return value.dtype is not None and value.dtype.is_floating_point()
