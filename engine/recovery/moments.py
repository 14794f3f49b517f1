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
from engine.recovery.rows import Array, Channels, Layer, Rows, rows_of


@dataclass(frozen=True)
class Moments:
    """Sums over rows, float64: `gram` of inputs and inputs, `cross` of inputs and targets, `power` of squared targets.

    Each group of channels has its own: (groups, unknowns, unknowns) and (groups, unknowns, channels of a group).
    """

    gram: npt.NDArray[np.float64]
    cross: npt.NDArray[np.float64]
    power: float

    def residual(self, weights: npt.NDArray[np.float64]) -> float:
        """Return |targets - inputs weights|² / |targets|², 0 where it is perfect."""
        error = self.power - 2 * float((weights * self.cross).sum()) + float((weights * (self.gram @ weights)).sum())
        return max(error, 0.0) / max(self.power, 1e-30)


def gather(
    model: Model, questions: Sequence[Asked], sets: Sequence[ImageSet], compute: Deploy, seed: int
) -> list[list[Moments]]:
    """Return, for each set of images, the moments for each question: all in one pass, inputs from the uncut network."""
    frontier = Frontier(model, sets, compute, batch_for(model, together=True))
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
    totals = [[_Total() for _ in layers] for _ in range(sets)]
    for row, here, there in _side_by_side(given, wished, layers):
        for index, layer in enumerate(layers):
            totals[row][index].add(layer.rows(here, there, generators[row][index]))
    return [[total.moments() for total in of_one] for of_one in totals]


class _Total:
    """Moments of one layer, added up batch by batch.

    Rows wait until they are half as many as the unknowns: of few images in a batch the sums themselves would be most of
    the work, and these rows take a quarter of what the sums do.
    """

    def __init__(self) -> None:
        self._waiting: list[Rows] = []
        self._gram = self._cross = np.zeros(1)
        self._power = 0.0

    def add(self, rows: Rows) -> None:
        self._waiting.append(rows)
        if 2 * sum(inputs.shape[1] for inputs, _ in self._waiting) >= rows[0].shape[2]:
            self._add_up()

    def moments(self) -> Moments:
        if self._waiting:
            self._add_up()
        return Moments(self._gram, self._cross, self._power)

    def _add_up(self) -> None:
        inputs, targets = (np.concatenate(parts, axis=1) for parts in zip(*self._waiting, strict=True))
        self._waiting = []
        columns = inputs.transpose(0, 2, 1)
        # float32 products of a few rows, float64 sums of these
        self._gram = _sum(self._gram, columns @ inputs)
        self._cross = _sum(self._cross, columns @ targets)
        self._power += float(np.square(targets, dtype=np.float64).sum())


def _sum(total: Array, more: Array) -> Array:
    """Add, in place from the second time on: these are the largest arrays of a job."""
    return np.add(total, more, out=total) if total.shape == more.shape else more.astype(np.float64)


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
