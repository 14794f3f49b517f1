"""Second moments of a linear layer's inputs and targets, streamed through ONNX Runtime: what least squares needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.data.images import ImageSet
from engine.graph.model import Model
from engine.measure.batches import Outputs
from engine.recipe import Deploy
from engine.recovery.frontier import Frontier, batch_for
from engine.recovery.questions import Asked
from engine.recovery.rows import Array, Channels, Layer, rows_of


@dataclass(frozen=True)
class Moments:
    """Sums over rows, float64: `gram` of inputs and inputs, `cross` of inputs and targets, `power` of squared targets.

    Each group of channels has its own: (groups, unknowns, unknowns) and (groups, unknowns, channels of a group).
    """

    gram: npt.NDArray[np.float64]
    cross: npt.NDArray[np.float64]
    power: float

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.gram + other.gram, self.cross + other.cross, self.power + other.power)

    def residual(self, weights: npt.NDArray[np.float64]) -> float:
        """Return |targets - inputs weights|² / |targets|², 0 where it is perfect."""
        error = self.power - 2 * float((weights * self.cross).sum()) + float((weights * (self.gram @ weights)).sum())
        return max(error, 0.0) / max(self.power, 1e-30)


def gather(
    model: Model, questions: Sequence[Asked], sets: Sequence[ImageSet], compute: Deploy, seed: int
) -> list[list[Moments]]:
    """Return, for each set of images, the moments for each question: all in one pass, inputs from the uncut network."""
    frontier = Frontier(model, sets, compute, batch_for(model))
    return moments_at(frontier, frontier, [rows_of(model, question) for question in questions], len(sets), seed)


def moments_at(
    given: Frontier,
    wished: Frontier,
    layers: Sequence[Layer | Channels],
    sets: int,
    seed: int,
) -> list[list[Moments]]:
    """Return, for each set of images, the moments of each layer: inputs as `given` has them, targets as `wished`.

    A layer's rows do not depend on which other layers are asked.
    """
    generators = [[np.random.default_rng(seed) for _ in layers] for _ in range(sets)]
    totals: list[list[Moments | None]] = [[None] * len(layers) for _ in range(sets)]
    for row, here, there in _side_by_side(given, wished, layers):
        for index, layer in enumerate(layers):
            moments = _moments(*layer.rows(here, there, generators[row][index]))
            total = totals[row][index]
            totals[row][index] = moments if total is None else total + moments
    return [[total for total in of_one if total is not None] for of_one in totals]


def _side_by_side(
    given: Frontier, wished: Frontier, layers: Sequence[Layer | Channels]
) -> Iterator[tuple[int, Outputs, Outputs]]:
    """Yield the number of the set and what both networks say of one batch; one network is run only once."""
    fetches = list(dict.fromkeys(name for layer in layers for name in layer.fetches))
    targets = list(dict.fromkeys(layer.target for layer in layers))
    if given is wished:
        yield from ((row, values, values) for row, values in given.values([*dict.fromkeys(fetches + targets)]))
        return
    for (row, here), (_, there) in zip(given.values(fetches), wished.values(targets), strict=True):
        yield row, here, there


def _moments(inputs: Array, targets: Array) -> Moments:
    # float32 products of a batch, float64 sums over batches: the rows of one batch are few
    columns = inputs.transpose(0, 2, 1)
    return Moments(
        gram=(columns @ inputs).astype(np.float64),
        cross=(columns @ targets).astype(np.float64),
        power=float(np.square(targets, dtype=np.float64).sum()),
    )
