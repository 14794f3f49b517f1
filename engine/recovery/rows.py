"""Rows of least squares: what a layer reads, place by place, and beside it what it should write there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from engine.graph.channels.remaining import narrowed
from engine.graph.model import Model
from engine.graph.writers import groups_of, has_bias, output_channels, places_read, unknowns
from engine.measure.batches import Outputs
from engine.recovery.questions import Asked, ChannelQuestion, Question

Array = npt.NDArray[Any]


ROWS_PER_IMAGE = 96
"""Positions of an image, drawn at random, that tell as much as all of them, for neighbours repeat each other.

On ResNet-56 with 8 units cut: error left with 32 of them 0.083, with 96 and with 256 0.081.
"""
NUMBERS_PER_IMAGE_MAX = 2**19
"""The inputs of all these rows; a depthwise layer reads many, and its few unknowns a channel need few rows."""
ROWS_PER_IMAGE_MIN = 8

Rows = tuple[Array, Array]
Undo = Callable[[Array, Outputs], Array]


def rows_per_image(numbers: int) -> int:
    """Return how many rows of so many numbers are drawn from each image."""
    return max(ROWS_PER_IMAGE_MIN, min(ROWS_PER_IMAGE, NUMBERS_PER_IMAGE_MAX // numbers))


class Layer:
    """One writer's rows. `fetches` are the values of the cut network that they are read from."""

    def __init__(self, cut: Model, question: Question) -> None:
        self.writer, self.target, self.bounds = question.writer, question.target, question.bounds
        self.stay = question.stay
        nodes = cut.nodes()
        self.node = nodes[self.writer.node]
        self.channels = output_channels(cut, self.writer)
        self.groups = groups_of(cut, self.writer)
        self.rows_per_image = rows_per_image(self.groups * unknowns(cut, self.writer))
        self.has_bias = has_bias(cut, self.writer)
        self.relays = [_undo(cut, nodes[name], self) for name in self.writer.relays]
        along = [str(nodes[name].inputs[_data_input(nodes[name])].name) for name in self.writer.relays]  # type: ignore[union-attr]  # relays have one
        skip = [] if self.writer.skip is None else [self.writer.skip]
        total = [self.writer.total] if self.bounds is not None else []
        self.fetches = list(dict.fromkeys([self.writer.reads, *along, *skip, *total]))

    def rows(self, given: Outputs, wished: Outputs, generator: np.random.Generator) -> Rows:
        """Return sampled inputs (groups, rows, unknowns), a one for the bias among them, and what should come of them.

        The targets' shape is (groups, rows, channels of a group).
        """
        target = narrowed(wished[self.target], self.stay)
        if self.bounds is not None:
            target = as_good(target, given[self.writer.total], *self.bounds)
        if self.writer.skip is not None:
            target = target - given[self.writer.skip]
        for undo in reversed(self.relays):
            target = undo(target, given)
        if self.node.op_type == "Conv":
            target = np.moveaxis(target, 1, -1)  # (images, channels, h, w) -> (images, h, w, channels)
        places = target.shape[:-1]
        target = target.reshape(-1, self.channels)
        images = len(given[self.writer.reads])
        count = min(len(target), self.rows_per_image * images)
        drawn = np.sort(generator.choice(len(target), count, replace=False))
        inputs = self._inputs(given[self.writer.reads], drawn, places)
        if self.has_bias:
            inputs = np.concatenate([inputs, np.ones((self.groups, count, 1), inputs.dtype)], axis=2)
        return inputs, _in_groups(target[drawn], self.groups)

    def _inputs(self, read: Array, drawn: npt.NDArray[np.intp], places: tuple[int, ...]) -> Array:
        if self.node.op_type != "Conv":
            return _in_groups(read.reshape(-1, read.shape[-1])[drawn], 1)
        image, y, x = np.unravel_index(drawn, places)
        patches = _patches(self.node, read)  # (images, channels, h, w, kh, kw), a view
        return _in_groups(patches[image, :, y, x].reshape(len(drawn), -1), self.groups)


class Channels:
    """The rows of a question for channels: those that a layer reads now and those that it read, place by place."""

    def __init__(self, cut: Model, question: ChannelQuestion) -> None:
        self.writer, self.target = question.writer, question.target
        self.fetches = [self.writer.reads]
        self._is_map = cut.nodes()[self.writer.node].op_type == "Conv"
        self._places = places_read(cut, self.writer)

    def rows(self, given: Outputs, wished: Outputs, generator: np.random.Generator) -> Rows:
        """Return sampled channels now (1, rows, channels) and those that there were (1, rows, channels)."""
        now, before = (self._by_place(values) for values in (given[self.writer.reads], wished[self.target]))
        images, channels = len(given[self.writer.reads]), before.shape[1]
        count = min(len(before), rows_per_image(channels) * images)
        drawn = np.sort(generator.choice(len(before), count, replace=False))
        return now[drawn][None], before[drawn][None]

    def _by_place(self, read: Array) -> Array:
        """Return (rows, channels) of (images, channels, height, width), or of (images, channels * places)."""
        read = read if self._is_map else read.reshape(len(read), -1, self._places)
        return np.moveaxis(read, 1, -1).reshape(-1, read.shape[1])


def rows_of(cut: Model, question: Asked) -> Layer | Channels:
    """Return what makes a question's rows."""
    return Channels(cut, question) if isinstance(question, ChannelQuestion) else Layer(cut, question)


def _in_groups(rows: Array, groups: int) -> Array:
    """(rows, groups * columns) -> (groups, rows, columns)"""
    return np.ascontiguousarray(rows.reshape(len(rows), groups, -1).transpose(1, 0, 2))


def as_good(target: Array, present: Array, low: float, high: float) -> Array:
    """Return the target, and where it is clipped what is there at present, if it is clipped alike."""
    below, above = np.minimum(present, low), np.maximum(present, high)
    return np.where(target <= low, below, np.where(target >= high, above, target)).astype(target.dtype)


def _patches(node: ir.Node, read: Array) -> Array:
    """Return every window that a convolution sees, as a view on its padded input."""
    kernel = [int(size) for size in node.inputs[1].shape[2:]]  # type: ignore[union-attr,index,arg-type]  # a weight
    strides, dilations = _ints(node, "strides", [1, 1]), _ints(node, "dilations", [1, 1])
    pads = _ints(node, "pads", [0, 0, 0, 0])
    padded = np.pad(read, ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])))
    spans = tuple((size - 1) * dilation + 1 for size, dilation in zip(kernel, dilations, strict=True))
    windows = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=(2, 3))
    return windows[:, :, :: strides[0], :: strides[1], :: dilations[0], :: dilations[1]]


def _ints(node: ir.Node, name: str, default: list[int]) -> list[int]:
    return list(node.attributes[name].as_ints()) if name in node.attributes else default


def _undo(cut: Model, relay: ir.Node, layer: Layer) -> Undo:
    """Return what turns a relay's output back into its input."""
    if relay.op_type in ("Mul", "Add"):
        constant = next(value for value in relay.inputs if value is not None and value.is_initializer())
        array = cut.weight(str(constant.name))
        if relay.op_type == "Mul":
            safe = np.where(np.abs(array) > 1e-12, array, np.inf)  # a channel scaled to nothing has no wish  # type: ignore[operator]
            return lambda target, _: target / safe
        is_bias = layer.has_bias and constant.name == layer.writer.bias
        return (lambda target, _: target) if is_bias else (lambda target, _: target - array)
    read = str(relay.inputs[0].name)  # type: ignore[union-attr]  # a layout node has an input
    if relay.op_type == "Transpose":
        rank = len(relay.inputs[0].shape or ())  # type: ignore[union-attr]
        back = np.argsort(_ints(relay, "perm", list(range(rank))[::-1]))
        return lambda target, _: target.transpose(back)
    return lambda target, given: target.reshape(given[read].shape)


def _data_input(relay: ir.Node) -> int:
    return next(i for i, value in enumerate(relay.inputs) if value is not None and not value.is_initializer())
