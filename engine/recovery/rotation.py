"""Bases for the numbers inside heads, from their second moments: those that matter first, so that the last can go.

Of a product of queries and keys, or of a layer's weights and what is mixed of the values, the best approximation of
each rank, on these images, is what is left when the last numbers go. Eckart and Young, 1936; both sides weighted by
their moments as in balanced truncation: Moore, "Principal component analysis in linear systems", 1981.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.data.images import ImageSet
from engine.graph.edits import array_of
from engine.graph.heads import Head, Heads, Rotation
from engine.graph.heads.blocks import Block
from engine.graph.model import Model
from engine.recipe import Deploy
from engine.recovery.frontier import Frontier, batch_for

Array = npt.NDArray[np.float64]

SEEN = 1e-6
"""What a direction in which nothing was ever seen counts for, as a part of the mean: few images leave many."""
EVEN = 1e-3
"""No number is made smaller than this part of its head's largest: the rounding of weights would be all that it says."""


def find_rotations(model: Model, heads: Sequence[Heads], images: ImageSet, compute: Deploy) -> list[Rotation]:
    """Return the best basis for each head, in the graph's order: the network is run on the images once or twice."""
    places = {name: place for place, name in enumerate(model.nodes())}
    first = {one.group: min(places[block.node] for head in one.heads for block in _written(head)) for one in heads}
    frontier, found = Frontier(model, [images], compute, batch_for(model)), {}
    for one in sorted(heads, key=lambda one: first[one.group]):
        values = list(dict.fromkeys(block.value for head in one.heads for block in _seen(head)))
        frontier.advance(first[one.group], values)
        moments = _Moments(one)
        for _, batch in frontier.values(values):
            moments.add(batch)
        found[one.group] = _rotate(model, one, moments)
    return [found[one.group] for one in heads]


def best_basis(demand: Array, power: Array) -> tuple[Array, Array]:
    """Return the basis A and the singular values, falling, of a product x' y with E[xx'] `demand` and E[yy'] `power`.

    Without the last numbers of A y and A^-T x, what is left of the product misses the squares of their singular values.
    """
    root, back = _root(power)
    own, _ = _root(demand)
    left, values, _ = np.linalg.svd(root @ own)
    even = np.sqrt(np.maximum(values, EVEN * max(float(values[0]), 1e-30)))
    return even[:, None] * (left.T @ back), values


def _rotate(model: Model, heads: Heads, moments: _Moments) -> Rotation:
    bases, shifts = [], []
    lost, whole = {False: np.zeros(heads.size), True: np.zeros(heads.size)}, {False: 0.0, True: 0.0}
    for head in heads.heads:
        demand, power, middle = moments.of(model, head)
        basis, values = best_basis(demand, power)
        bases.append(basis)
        shifts.append(basis @ middle)
        lost[head.mixes] += values**2
        whole[head.mixes] += float((values**2).sum())
    shares = sum(lost[mixes] / max(whole[mixes], 1e-30) for mixes in (False, True))
    return Rotation(heads, np.array(bases), np.array(shifts), np.asarray(shares))


def _root(moments: Array) -> tuple[Array, Array]:
    """Return the symmetric square root of second moments and its inverse, no direction left without any power."""
    values, vectors = np.linalg.eigh((moments + moments.T) / 2)
    least = SEEN * max(float(values.mean()), 1e-30)
    roots = np.sqrt(np.maximum(values, least))
    return (vectors * roots) @ vectors.T, (vectors / roots) @ vectors.T


class _Moments:
    """Sums, products and counts of rows of each block that is looked at."""

    def __init__(self, heads: Heads) -> None:
        self._blocks = list(dict.fromkeys(block for head in heads.heads for block in _seen(head)))
        self._size = heads.size
        self._gram = {block: np.zeros((heads.size, heads.size)) for block in self._blocks}
        self._sum = {block: np.zeros(heads.size) for block in self._blocks}
        self._count = dict.fromkeys(self._blocks, 0)

    def add(self, values: Mapping[str, npt.NDArray[Any]]) -> None:
        for block in self._blocks:
            numbers = np.moveaxis(values[block.value], block.value_axis, -1)
            rows = np.asarray(numbers[..., block.columns].reshape(-1, self._size), np.float32)
            self._gram[block] += (rows.T @ rows).astype(np.float64)
            self._sum[block] += rows.sum(axis=0, dtype=np.float64)
            self._count[block] += len(rows)

    def of(self, model: Model, head: Head) -> tuple[Array, Array, Array]:
        """Return what is asked of a head's keys or values, and what they are, as second moments, and their middle.

        That is to be taken from values that may shift, and is zero for all else.
        """
        zero = np.zeros(self._size)
        if not head.mixes:
            power = self._around(head.here, self._mean(head.here) if head.may_shift else -_bias(model, head.here))
            return self._sum_of([self._around(query, -_bias(model, query)) for query in head.there]), power, zero
        middle = np.mean([self._mean(block) for block in head.there], axis=0) if head.may_shift else zero
        power = self._sum_of([self._around(block, middle) for block in head.there])
        return self._sum_of([_asked(model, block) for block in head.there]), power, middle

    def _mean(self, block: Block) -> Array:
        return np.asarray(self._sum[block] / self._count[block])

    def _around(self, block: Block, point: Array) -> Array:
        """Return the second moments of a block around a point, (size, size)."""
        mean = self._mean(block)
        return np.asarray(
            self._gram[block] / self._count[block] - np.outer(mean, mean) + np.outer(mean - point, mean - point)
        )

    def _sum_of(self, parts: Sequence[Array]) -> Array:
        return np.asarray(np.sum(parts, axis=0))


def _written(head: Head) -> Iterator[Block]:
    yield head.here
    if not head.mixes:
        yield from head.there


def _seen(head: Head) -> Iterator[Block]:
    """Yield the blocks whose moments tell of a head: keys and queries, or what layers read of the values."""
    if not head.mixes:
        yield head.here
    yield from head.there


def _bias(model: Model, block: Block) -> Array:
    """Return what nodes behind its layer add to a block; a bias of the layer's own is in what it writes."""
    nodes = model.nodes()
    added = [
        array_of(nodes[bias.node].inputs[bias.index]).astype(np.float64).reshape(-1)[bias.places]
        for bias in block.biases
        if bias.node != block.node
    ]
    return np.asarray(sum(added, np.zeros(len(block.columns))))


def _asked(model: Model, block: Block) -> Array:
    """Return what the outputs of a layer ask of a block that it reads: weights times weights, (size, size)."""
    weight = np.moveaxis(model.weight(block.weight).astype(np.float64), block.axis, 0)
    rows = weight[block.columns].reshape(len(block.columns), -1)
    return np.asarray(rows @ rows.T)
