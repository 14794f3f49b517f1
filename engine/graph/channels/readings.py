"""Readings: the linear layers that sum over a group's channels, and where in their input each channel lies."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from engine.graph.channels.groups import Group, Place
from engine.graph.channels.kept import Indices
from engine.graph.edits import kind
from engine.graph.model import Model
from engine.graph.writers import Writer, find_layer, groups_of, is_mappable, is_small, places_read


@dataclass(frozen=True, eq=False)
class Reading:
    """`positions[c]`, shape (size, n), are the places of channel c among the channels that `layer` reads.

    A convolution reads each of them with every tap of its kernel; behind a Flatten a channel lies in many places.
    """

    layer: Writer
    positions: Indices


def find_readings(model: Model, group: Group, products: Collection[str] = frozenset()) -> tuple[list[Reading], str]:
    """Return all layers that sum over the group, or none and the reason why its channels cannot be weighed.

    `products` are readers that have no weights and are weighed otherwise: scores of queries and keys.
    """
    nodes = model.nodes()
    found: list[Reading] = []
    for name in group.readers:
        if name in products:
            continue
        layer = find_layer(nodes[name])
        if layer is not None and keeps_apart(model, layer):
            continue
        place = None if layer is None else _place(group, layer.reads)
        if layer is None or place is None or groups_of(model, layer) > 1:
            return [], f"'{name}' ({nodes[name].op_type}) sums over it and is no plain linear layer"
        rank = len(model.values()[layer.reads].shape or ())
        if place.axis != (1 if kind(nodes[name]) == "Conv" else rank - 1):
            return [], f"'{name}' ({nodes[name].op_type}) sums over another axis of what it reads"
        found.append(Reading(layer, place.positions))
    return found, "" if found else "no linear layer sums over it"


def is_affordable(model: Model, group: Group, products: Collection[str] = frozenset()) -> bool:
    """Tell whether linear layers alone sum over the group, beside products, each of a size that can be refitted."""
    readings, _ = find_readings(model, group, products)
    is_read = bool(readings) or set(group.readers) <= set(products)
    return is_read and all(
        is_small(model, one.layer) or (is_mappable(model, one.layer) and columns(model, one) is not None)
        for one in readings
    )


def columns(model: Model, reading: Reading) -> Indices | None:
    """Return shape (size, n): where each of the group's channels is among `channels_read`; None where it is a part."""
    places = places_read(model, reading.layer)
    found = np.array([np.unique(row // places) for row in reading.positions])
    return found if found.size * places == reading.positions.size else None


def nodes_around(model: Model, group: Group) -> frozenset[str]:
    """Return the names of the nodes that write or read the group's channels."""
    values = {place.value for place in group.places}
    return frozenset(
        str(node.name)
        for node in model.graph
        if any(value is not None and value.name in values for value in (*node.inputs, *node.outputs))
    )


def keeps_apart(model: Model, layer: Writer) -> bool:
    """Tell whether a layer is depthwise: it sums over one channel at a time, which goes with what it writes."""
    weight = model.weight(layer.weight)
    return groups_of(model, layer) > 1 and weight.ndim > 2 and weight.shape[1] == 1


def grain(model: Model, group: Group) -> int:
    """Return how many neighbouring columns of the weights that write it one channel is: 32 for a head of 32, else 1."""
    written = {place.value for place in group.places}
    grains = [1]
    for place in group.places:
        uses = model.graph.initializers[place.value].uses() if place.value in model.graph.initializers else ()
        if any(use.idx == 1 and use.node.outputs[0].name in written and find_layer(use.node) for use in uses):
            first = place.positions[0]
            grains.append(int(np.argmax(np.diff(first, append=-1) != 1)) + 1)
    return max(grains)


def likeness(model: Model, group: Group) -> str:
    """Return a string that isomorphic groups share: as many channels, around the same operators on the same shapes."""
    around = nodes_around(model, group)
    lines = sorted(_line(node) for name, node in model.nodes().items() if name in around)
    return hashlib.sha256("\n".join([str(group.size), *lines]).encode()).hexdigest()[:16]


def _line(node: ir.Node) -> str:
    shapes = [value and str(value.shape) for value in (*node.inputs, *node.outputs)]
    return f"{node.domain}.{node.op_type} {sorted(map(str, node.attributes.values()))} {shapes}"


def touches(group: Group, values: Collection[str]) -> bool:
    """Tell whether any of these values has the group's channels."""
    return any(place.value in values for place in group.places)


def _place(group: Group, value: str) -> Place | None:
    found = [place for place in group.places if place.value == value]
    return found[0] if len(found) == 1 else None
