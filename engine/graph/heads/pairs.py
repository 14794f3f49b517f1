"""Pairing: which block of which layer is multiplied with which, and that nothing of the group is left over."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from engine.graph.edits import array_of, is_constant, kind, only_reader
from engine.graph.heads.blocks import Bias, Block, Head, Heads
from engine.graph.heads.walk import Walk
from engine.graph.origins import Lost, Origins
from engine.graph.writers import Writer, is_transposed, output_channels


def pair_up(walk: Walk) -> Heads:
    """Return the heads that a walk has come by. Raises Lost where a number has two parts to play, or none."""
    told = [
        *(pairs.reshape(-1, walk.group.size) for pairs in _keys_and_queries(walk)),
        np.unique(
            np.concatenate([np.empty((0, walk.group.size), np.int64), *(values for values, _ in walk.mixed)]), axis=0
        ),
    ]
    _require_each_once(walk, np.concatenate(told))
    found = [*_of_products(walk), *_of_mixes(walk)]
    return Heads(walk.group.name, walk.group.size, tuple(found), frozenset(walk.products))


def _keys_and_queries(walk: Walk) -> Iterator[Origins]:
    for pairs, _ in walk.products.values():
        yield pairs[:, 0]
        yield np.unique(pairs[:, 1], axis=0)


def _require_each_once(walk: Walk, told: Origins) -> None:
    """Raise Lost unless all that the layers write for the group is in one block, each channel in its place there."""
    channel: dict[int, int] = {}
    for written in walk.written:
        place = walk.place(written.layer.weight)
        assert place is not None
        for number, columns in enumerate(place.positions):
            channel |= dict.fromkeys((written.start + columns).tolist(), number)
    found = told.reshape(-1).tolist()
    if len(set(found)) < len(found):
        raise Lost("some of them are read by two products, or are keys and values at once")
    if set(found) != set(channel):
        raise Lost("some of them are read by no product")
    if any(channel[origin] != place % walk.group.size for place, origin in enumerate(found)):
        raise Lost("heads have them in orders of their own")


def _of_products(walk: Walk) -> Iterator[Head]:
    for pairs, may_shift in walk.products.values():
        for key in np.unique(pairs[:, 1], axis=0):
            queries = pairs[(pairs[:, 1] == key).all(axis=1), 0]
            yield Head(_block(walk, key), tuple(_block(walk, query) for query in queries), False, may_shift)


def _of_mixes(walk: Walk) -> Iterator[Head]:
    if not walk.mixed:
        if walk.read:
            raise Lost("a layer reads what no product has mixed")
        return
    taken = 0
    sums_to_one = all(to_one for _, to_one in walk.mixed) and not walk.reads_scaled
    for values in np.unique(np.concatenate([values for values, _ in walk.mixed]), axis=0):
        readers = [block for layer, rows in walk.read for block in _blocks_read(walk, layer, rows, values)]
        taken += len(readers)
        here = _block(walk, values)
        may_shift = sums_to_one and bool(here.biases) and all(block.biases for block in readers)
        yield Head(here, tuple(readers), True, may_shift)
    places = [walk.place(layer.reads) for layer, _ in walk.read]
    if taken != sum(place.positions.shape[1] for place in places if place is not None) or not taken:
        raise Lost("a layer reads them beside others, or none does")


def _blocks_read(walk: Walk, layer: Writer, rows: Origins, values: Origins) -> Iterator[Block]:
    """Yield the places where a layer reads these values: once, or once for each head of queries that shares them."""
    places = [np.flatnonzero(rows == origin) for origin in values]
    if len({len(found) for found in places}) > 1:
        raise Lost(f"'{layer.node}' reads some of them more often than others")
    node = walk.model.nodes()[layer.node]
    axis = 1 if kind(node) == "Conv" or is_transposed(node) else 0
    value_axis = 1 if kind(node) == "Conv" else -1
    behind = _bias_behind(walk, layer)
    for columns in np.stack(places, axis=1):
        yield Block(layer.node, layer.weight, axis, columns, layer.reads, value_axis, behind)


def _block(walk: Walk, origins: Origins) -> Block:
    """Return where a layer writes the numbers of these origins, and where biases are added to them."""
    written = next((one for one in reversed(walk.written) if one.start <= origins.min()), walk.written[0])
    columns = origins - written.start
    if columns.max() >= written.columns:
        raise Lost("a head's numbers come from two layers")
    node = walk.model.nodes()[written.layer.node]
    axis = 0 if kind(node) == "Conv" or is_transposed(node) else 1
    value_axis = 1 if kind(node) == "Conv" else -1
    biases = [
        Bias(bias.node, bias.index, np.array([np.flatnonzero(added == origin)[0] for origin in origins]))
        for bias, added in walk.biases
        if np.isin(origins, added).all()
    ]
    return Block(
        node=written.layer.node,
        weight=written.layer.weight,
        axis=axis,
        columns=columns,
        value=written.layer.total,
        value_axis=value_axis,
        biases=tuple(biases),
    )


def _bias_behind(walk: Walk, layer: Writer) -> tuple[Bias, ...]:
    """Return what adds a number to each output of a layer: itself, or the one node behind it.

    None for a convolution: what it makes of the same number everywhere is another one at the borders.
    """
    node, outputs = walk.model.nodes()[layer.node], output_channels(walk.model, layer)
    if kind(node) == "Conv":
        return ()
    if layer.bias is not None:
        return (Bias(layer.node, 2, np.arange(outputs)),)
    reader = only_reader(node.outputs[0])
    if reader is None or kind(reader) != "Add":
        return ()
    index = next((index for index, value in enumerate(reader.inputs) if is_constant(value)), None)
    sizes = [] if index is None else list(array_of(reader.inputs[index]).shape)
    is_one_each = index is not None and math.prod(sizes) == outputs and sizes[-1:] == [outputs]
    return (Bias(str(reader.name), index, np.arange(outputs)),) if index is not None and is_one_each else ()
