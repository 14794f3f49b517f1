"""What a head is made of: blocks of columns of weights, written here and read there. Knows no graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Bias:
    """Where a node adds a number to each of a block's: `places`, shape (size,), in the flat constant at that input."""

    node: str
    index: int
    places: Indices


@dataclass(frozen=True, eq=False)
class Block:
    """The numbers of one head in one layer: `columns`, shape (size,), along this axis of its weight.

    `value` is what the layer writes, without the biases that others add, or what it reads; the columns lie along
    `value_axis` of it. `biases` are added to a block that is written, and behind one that is read to each output.
    """

    node: str
    weight: str
    axis: int
    columns: Indices
    value: str
    value_axis: int
    biases: tuple[Bias, ...] = ()


@dataclass(frozen=True, eq=False)
class Head:
    """`here` is what one head's keys or values are written by; each of `there` is multiplied with it.

    Those are the queries' blocks, or with values the blocks of the layers that read what is mixed of them (`mixes`).
    `may_shift`: what is the same in all keys, or in all that is mixed of values, is of no matter: a softmax takes no
    notice of the one, and the other may be taken from the values' bias and given to those behind the readers.
    """

    here: Block
    there: tuple[Block, ...]
    mixes: bool
    may_shift: bool


@dataclass(frozen=True, eq=False)
class Heads:
    """The heads that lose their numbers together: `group` has `size` channels, and each is one number of every head.

    `products` are the nodes that sum over the group and have no weights: scores of queries and keys.
    """

    group: str
    size: int
    heads: tuple[Head, ...]
    products: frozenset[str]
