"""What layers make of a group's channels, in second moments: all that choosing channels and refitting needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.data.images import ImageSet
from engine.graph.channels.groups import Group
from engine.graph.channels.readings import Reading, columns, find_readings, keeps_apart
from engine.graph.channels.remaining import Positions, remaining
from engine.graph.edits import kind
from engine.graph.model import Model
from engine.graph.writers import channels_read, find_layer, has_bias, is_quick, is_small, is_transposed, output_channels
from engine.recipe import Deploy
from engine.recovery.channel_map import read_sums, weights_by_channel
from engine.recovery.closed_form import in_chunks
from engine.recovery.effort import SCORING_WORK_MAX, affordable
from engine.recovery.moments import Moments, gather
from engine.recovery.questions import Asked, ChannelQuestion, Question
from engine.recovery.ridge import best_weights, set_weights, weights_of

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sum:
    """One layer that sums over the channels.

    `fit` and `check` are moments of its inputs and of its own outputs on repair and on held-out images; `rows[c]`,
    shape (size, n), are the unknowns of channel c, one for each place and tap; `weights` are (unknowns, outputs).
    Of a layer that is asked for channels, since it has too many weights, the moments are of channels and channels, and
    taps and places count among the outputs.
    """

    reading: Reading
    question: Asked
    fit: Moments
    check: Moments
    rows: npt.NDArray[np.intp]
    weights: npt.NDArray[Any]

    @cached_property
    def gram(self) -> Array:
        """Second moments of the channels, (size, size), taken over places and taps alike."""
        return self._over_channels(self.fit.gram[0])

    @cached_property
    def power(self) -> float:
        """What the layer's outputs have of power on the repair images."""
        if isinstance(self.question, Question):
            return self.fit.power
        return float((self.fit.gram[0] * (self.weights @ self.weights.T)).sum())

    @cached_property
    def held_out(self) -> Array:
        """The same on the images that check."""
        return self._over_channels(self.check.gram[0])

    @cached_property
    def demand(self) -> Array:
        """What the outputs ask of the channels: weights times weights, (size, size), over outputs, places and taps."""
        flat = self.weights[self.rows].reshape(len(self.rows), -1)
        return np.asarray(flat @ flat.T, np.float64)

    def _over_channels(self, gram: Array) -> Array:
        total = np.zeros((len(self.rows), len(self.rows)))
        for column in self.rows.T:
            total += gram[np.ix_(column, column)]
        return total

    def without(self, channels: Collection[int]) -> tuple[Moments, Moments]:
        """Return both moments of a layer that no longer reads these channels and is to write what it wrote."""
        gone = self.rows[list(channels)].reshape(-1)
        stay = np.setdiff1d(np.arange(self.fit.gram.shape[1]), gone)
        return _part(self.fit, stay), _part(self.check, stay)


def _part(moments: Moments, stay: npt.NDArray[np.intp]) -> Moments:
    return Moments(moments.gram[:, stay[:, None], stay], moments.cross[:, stay], moments.power)


@dataclass(frozen=True, eq=False)
class GroupStudy:
    """What a method may look at to rank the channels of a group: who sums over them, and `written`, (size, numbers),

    the weights of the layers that write each channel.
    """

    group: Group
    sums: tuple[Sum, ...]
    written: Array
    seed: int


def study_groups(
    model: Model,
    groups: Sequence[Group],
    repair: Sequence[ImageSet],
    compute: Deploy,
    seed: int,
    products: Collection[str] = frozenset(),
    work_max: float = SCORING_WORK_MAX,
) -> Iterator[GroupStudy]:
    """Yield a study of each group whose readers are all linear and affordable, a few groups at a time.

    `repair` are the images to fit on and those to check on. The images are run once for as many groups as the memory
    holds the moments of. Groups that `products` alone read are yielded first, without any sum.
    """
    readings = {group.name: find_readings(model, group, products)[0] for group in groups}
    for group in groups:
        if products and set(group.readers) <= set(products):
            yield GroupStudy(group, (), written_by(model, group), seed)
    asked = {
        f"{group.name} {reading.layer.node}": _question(model, reading)
        for group in groups
        for reading in readings[group.name]
    }
    by_name = {group.name: group for group in groups}
    few, *check = repair
    images = [affordable(model, model, list(asked.values()), few, work_max), *check]
    for names in in_chunks(model, asked, [[f"{g} {r.layer.node}" for r in found] for g, found in readings.items()]):
        moments = gather(model, [asked[name] for name in names], images, compute, seed)
        known = {name: (fit, check) for name, fit, check in zip(names, moments[0], moments[-1], strict=True)}
        for group_name, found in readings.items():
            keys = [f"{group_name} {reading.layer.node}" for reading in found]
            if keys and keys[0] in known:
                sums = tuple(_sum(model, one, asked[key], *known[key]) for one, key in zip(found, keys, strict=True))
                yield GroupStudy(by_name[group_name], sums, written_by(model, by_name[group_name]), seed)


def refit(model: Model, cut: Model, one: Sum, group: str, channels: Collection[int]) -> None:
    """Give the layer, in place, the weights that write best in `cut`, which lacks these channels, what it wrote."""
    layer, (fit, check) = one.reading.layer, one.without(channels)
    outputs: Positions = ()
    if output_channels(cut, layer) != output_channels(model, layer):  # it writes the group, too
        outputs = remaining(model, {group: sorted(channels)}).values[layer.total]
    if isinstance(one.question, ChannelQuestion):
        stay = np.setdiff1d(one.question.stay, one.rows[list(channels)])
        read_sums(model, cut, dataclasses.replace(one.question, stay=stay, outputs=outputs), fit, check)
        return
    for _, stay in outputs:
        fit, check = (dataclasses.replace(each, cross=each.cross[..., stay]) for each in (fit, check))
    set_weights(cut, layer, best_weights(cut, layer, fit, check))


def written_by(model: Model, group: Group) -> Array:
    """Return the weights that write each channel, (size, numbers), of all layers that mix channels to make it."""
    places = {(place.value, place.axis): place for place in group.places}
    rows: list[Array] = []
    for node in model.graph:
        layer = find_layer(node)
        if layer is None or keeps_apart(model, layer):
            continue
        axis = 0 if kind(node) == "Conv" or is_transposed(node) else 1
        place = places.get((layer.weight, axis))
        if place is not None:
            columns = np.moveaxis(model.weight(layer.weight).astype(np.float64), axis, 0)[place.positions]
            rows.append(columns.reshape(group.size, -1))
    return np.concatenate(rows, axis=1) if rows else np.zeros((group.size, 0))


def _question(model: Model, reading: Reading) -> Asked:
    layer = reading.layer
    if is_small(model, layer) and (is_quick(model, layer) or columns(model, reading) is None):
        return Question(layer, layer.total)
    return ChannelQuestion(layer, layer.reads, np.arange(channels_read(model, layer)))


def _sum(model: Model, reading: Reading, question: Asked, fit: Moments, check: Moments) -> Sum:
    if isinstance(question, ChannelQuestion):
        rows = columns(model, reading)
        assert rows is not None
        by_channel = weights_by_channel(model, reading.layer)
        return Sum(reading, question, fit, check, rows, by_channel.reshape(len(by_channel), -1))
    weights = weights_of(model, reading.layer)[0]
    numbers = len(weights) - (1 if has_bias(model, reading.layer) else 0)
    shape = model.weight(reading.layer.weight).shape
    taps = int(np.prod(shape[2:])) if len(shape) > 2 else 1
    rows = (reading.positions[:, :, None] * taps + np.arange(taps)).reshape(len(reading.positions), -1)
    assert rows.max() < numbers
    return Sum(reading, question, fit, check, rows, weights)
