"""Branches that read one value and are added: one convolution, as in RepVGG and DBB.

Ding et al., "RepVGG: Making VGG-style ConvNets Great Again", 2021. arXiv:2101.03697
Ding et al., "Diverse Branch Block: Building a Convolution as an Inception-like Unit", 2021. arXiv:2103.13425
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from engine.graph.edits import is_constant, kind, only_reader
from engine.graph.merges.conv_conv import macs_of, weight_of
from engine.graph.merges.convolution import WIDE_BYTES, fits, is_kept, read_stencil, write_stencil
from engine.graph.merges.offer import Offer, count_places, known, spatial_sizes
from engine.graph.merges.stencil import (
    Stencil,
    add,
    added_macs,
    can_add,
    can_compose,
    compose,
    identity,
)
from engine.graph.model import Model

_BRANCH = {"Conv", "AveragePool", "BatchNormalization"}


@dataclass(frozen=True)
class Branch:
    """Linear nodes one behind the other, in the graph's order, from `source` to a sum; no nodes are the skip."""

    source: ir.Value
    nodes: tuple[ir.Node, ...]


def parallel(model: Model, node: ir.Node) -> Offer | None:
    """Offer to make one convolution of all that is added here, if all of it comes from one value.

    3x3 + 1x1 + skip; 1x1-3x3 + 3x3; 1x1-average + 3x3: each branch becomes one stencil, the skip a one at the centre,
    and stencils with the same places are added. All operands of nested sums together, else the two of this one.
    """
    if kind(node) != "Add" or spatial_sizes(node.outputs[0]) is None or any(map(is_constant, node.inputs)):
        return None
    for joins, operands in _sums(node):
        branches = _from_one_source(operands)
        offer = None if branches is None else _offer(model, node, joins, branches)
        if offer is not None:
            return offer
    return None


def _sums(node: ir.Node) -> Iterator[tuple[list[ir.Node], list[ir.Value]]]:
    """Yield the additions that could be one, with their operands: all nested ones, then this one alone."""
    joins, operands = [node], [value for value in node.inputs if value is not None]
    direct = list(operands)
    index = 0
    while index < len(operands):
        inner = operands[index].producer()
        if inner is not None and kind(inner) == "Add" and _is_private(operands[index]):
            joins.append(inner)
            operands[index : index + 1] = [value for value in inner.inputs if value is not None]
        else:
            index += 1
    yield joins, operands
    if len(joins) > 1:
        yield [node], direct


def _is_private(value: ir.Value) -> bool:
    return only_reader(value) is not None


def _from_one_source(operands: Sequence[ir.Value]) -> list[Branch] | None:
    """Return the branches back to the nearest value that all operands come from by linear nodes."""
    ways = [list(_ways_back(operand)) for operand in operands]
    for start in ways[0]:
        same = [next((way for way in each if way.source is start.source), None) for each in ways[1:]]
        branches = [start, *(way for way in same if way is not None)]
        if len(branches) == len(ways) and any(branch.nodes for branch in branches):
            return branches
    return None


def _ways_back(value: ir.Value) -> Iterator[Branch]:
    """Yield a value and what it comes from, as far as linear nodes make it that nobody else reads."""
    nodes: tuple[ir.Node, ...] = ()
    yield Branch(value, nodes)
    while (node := value.producer()) is not None and kind(node) in _BRANCH and _is_private(value):
        if node.inputs[0] is None:
            return
        nodes, value = (node, *nodes), node.inputs[0]
        yield Branch(value, nodes)


def _offer(model: Model, node: ir.Node, joins: list[ir.Node], branches: list[Branch]) -> Offer | None:
    source, made = branches[0].source, node.outputs[0]
    sizes = spatial_sizes(source)
    weights = [part for branch in branches for part in branch.nodes if kind(part) == "Conv"]
    if sizes is None or not weights:
        return None
    stencils = [_in_one(branch, sizes) for branch in branches]
    found = [stencil for stencil in stencils if stencil is not None]
    if len(found) < len(branches) or not can_add(found):
        return None
    has_map = not all(stencil.has_uniform_constant for stencil in found)
    if has_map and not fits(found[0].outputs, found[0].sizes_after(known(sizes) or ())):
        return None
    like = weight_of(*weights)
    if like.dtype.itemsize < WIDE_BYTES and not is_kept(add(found), like):
        return None
    places = count_places(made)
    nodes = {str(part.name) for branch in branches for part in branch.nodes} | {str(join.name) for join in joins}
    return Offer(
        nodes=tuple(str(part.name) for part in model.graph if part.name in nodes),
        macs_before=sum(_branch_macs(branch) for branch in branches),
        macs_after=added_macs(found, places) + (found[0].outputs * places if has_map else 0),
        apply=lambda: write_stencil(model, add(found), source, made, like, str(node.name)),
    )


def _in_one(branch: Branch, sizes: Sequence[int | None]) -> Stencil | None:
    """Return a branch as one stencil, None where that is not exact."""
    shape = branch.source.shape
    channels = None if shape is None else shape[1]
    if not isinstance(channels, int):
        return None
    whole: Stencil | None = identity(channels, len(sizes)) if not branch.nodes else None
    for node in branch.nodes:
        stencil = read_stencil(node)
        if stencil is None or (whole is not None and not can_compose(whole, stencil, sizes)):
            return None
        whole = stencil if whole is None else compose(whole, stencil, sizes)
    return whole


def _branch_macs(branch: Branch) -> int:
    read = ((node, read_stencil(node)) for node in branch.nodes)
    return sum(macs_of(node, stencil, count_places(node.outputs[0])) for node, stencil in read if stencil is not None)
