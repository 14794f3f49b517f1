"""A frontier: a network's values at one place, kept for all images, so that what lies before it is run only once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from engine.data.images import ImageSet
from engine.execution.runtime import open_session, run
from engine.graph.image_input import require_image_input
from engine.graph.model import Model
from engine.graph.stretch import live_values, stretch
from engine.measure.batches import BATCH, Outputs, fixed_batch, input_batches, without_filling
from engine.recipe import Deploy

KEPT_BYTES_MAX = 512 * 2**20
VALUE_BYTES_MAX = 64 * 2**20  # of the largest value in one batch
VALUES_BYTES_MAX = 256 * 2**20  # of all values in one batch: many layers may be asked for at once


class Frontier:
    """What is live in `model` where the frontier stands, for several sets of images; first that is the images.

    Weights behind the frontier may change while it waits; those of nodes that it has passed must not any more.
    """

    def __init__(self, model: Model, sets: Sequence[ImageSet], compute: Deploy, batch: int) -> None:
        image = require_image_input(model).name
        fed = [(row, *each) for row, images in enumerate(sets) for each in input_batches(model, images, batch)]
        self._model, self._compute, self._place = model, compute, 0
        self._image = image  # kept at every place: from the images anything can be run
        self._kept: list[Outputs] = [{image: inputs} for _, inputs, _ in fed]
        self._batches = [(row, len(inputs), used) for row, inputs, used in fed]

    def advance(self, place: int, asked: Sequence[str] = ()) -> None:
        """Move on to before the node of this place in the graph, where the next values are asked for.

        Stay where those are kept already, or where more is live there than the memory may hold.
        """
        if place <= self._place or (asked and all(kept.keys() >= set(asked) for kept in self._kept)):
            return
        live = live_values(self._model, place)
        kept: list[Outputs] = []
        for values in self._run([*dict.fromkeys([*live, self._image])]):
            kept.append(values)
            if len(self._kept) * sum(values[name].nbytes for name in live) > KEPT_BYTES_MAX:
                return
        self._kept, self._place = kept, place

    def values(self, names: Sequence[str], model: Model | None = None) -> Iterator[tuple[int, Outputs]]:
        """Yield, batch by batch, which set it is of and these values, without what filled a fixed batch up.

        They may be asked of another network that is the same as far as the frontier has come.
        """
        for (row, fed, used), values in zip(self._batches, self._run(names, model), strict=True):
            yield row, {name: without_filling(array, fed, used) for name, array in values.items()}

    def _run(self, names: Sequence[str], model: Model | None = None) -> Iterator[Outputs]:
        """Yield these values for each batch, run from what is kept."""
        unknown = [name for name in names if self._kept and name not in self._kept[0]]
        if not unknown:
            yield from ({name: kept[name] for name in names} for kept in self._kept)
            return
        part = stretch(model or self._model, self._kept[0].keys(), unknown)
        session = open_session(part, provider=self._compute.provider, threads=self._compute.threads, spinning=False)
        for kept in self._kept:
            found = kept | run(session, {info.name: kept[info.name] for info in part.inputs})
            yield {name: found[name] for name in names}


def batch_for(model: Model, *, together: bool = False) -> int:
    """Return how many images go through a network at once: its own batch, else what keeps its values small.

    That is the largest of them, or all of them where they may be asked for `together`.
    """
    sizes = [_bytes(value.shape) for node in model.graph for value in node.outputs if value.shape] or [1]
    room = VALUES_BYTES_MAX // sum(sizes) if together else VALUE_BYTES_MAX // max(sizes)
    return fixed_batch(model) or max(1, min(BATCH, room))


def _bytes(shape: Iterable[object]) -> int:
    """Return what one image takes of a value; sizes that are not known count as one."""
    return 4 * math.prod(size for size in list(shape)[1:] if isinstance(size, int))
