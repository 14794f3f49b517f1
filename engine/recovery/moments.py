"""Second moments of a linear layer's inputs and targets, streamed through ONNX Runtime: what least squares needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from engine.data.images import ImageSet
from engine.graph.extract import extract
from engine.graph.model import Model
from engine.graph.writers import Writer, has_bias, output_channels
from engine.measure.batches import BATCH, Outputs, outputs_in_batches
from engine.recipe import Deploy

Array = npt.NDArray[Any]
Rows = tuple[Array, Array]  # inputs (rows, unknowns), targets (rows, channels)

ROWS_PER_IMAGE = 96
BATCH_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Moments:
    """Sums over rows: `gram` is inputs' inputs, `cross` inputs' targets, `power` the targets' squares; float64."""

    gram: npt.NDArray[np.float64]
    cross: npt.NDArray[np.float64]
    power: float

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.gram + other.gram, self.cross + other.cross, self.power + other.power)

    def residual(self, weights: npt.NDArray[np.float64]) -> float:
        """Return |targets - inputs weights|² / |targets|², 0 where it is perfect."""
        error = self.power - 2 * float((weights * self.cross).sum()) + float((weights * (self.gram @ weights)).sum())
        return max(error, 0.0) / max(self.power, 1e-30)


@dataclass(frozen=True)
class Question:
    """What should this writer's weights be, so that its sum becomes `target` of the uncut network?

    `rectified`: only a Relu reads it, so where the target is not above zero any sum below zero is as good.
    """

    writer: Writer
    target: str
    rectified: bool = False


def gather(
    cut: Model, uncut: Model, questions: Sequence[Question], images: ImageSet, compute: Deploy, seed: int
) -> list[Moments]:
    """Return the moments for each question in one pass: inputs as they are in `cut`, targets as in `uncut`.

    Rows are drawn at random: 96 positions an image tell as much as all of them, for neighbours repeat each other.
    """
    layers = [_Layer(cut, question) for question in questions]
    asked = [name for layer in layers for name in layer.fetches]
    wished = [question.target for question in questions]
    parts = [extract(cut, asked + wished)] if cut is uncut else [extract(cut, asked), extract(uncut, wished)]
    generators = [np.random.default_rng(seed) for _ in layers]  # a layer's rows do not depend on who else is asked
    totals: list[Moments | None] = [None] * len(layers)
    for batch in _joint_batches(parts, images, compute):
        for index, layer in enumerate(layers):
            moments = _moments(*layer.rows(batch[0], batch[-1], generators[index]))
            total = totals[index]
            totals[index] = moments if total is None else total + moments
    return [total for total in totals if total is not None]


def _joint_batches(parts: Sequence[Model], images: ImageSet, compute: Deploy) -> Iterator[tuple[Outputs, ...]]:
    """Yield what each graph says of the same images, in batches that fit the memory."""
    first = images.take(np.arange(min(len(images), 1)))
    sizes = [sum(a.nbytes for a in next(outputs_in_batches(part, first, compute)).values()) for part in parts]
    batch = max(1, min(BATCH, BATCH_BYTES // max(sum(sizes), 1)))
    yield from zip(*(outputs_in_batches(part, images, compute, batch) for part in parts), strict=True)


def _moments(inputs: Array, targets: Array) -> Moments:
    # float32 products of a batch, float64 sums over batches: the rows of one batch are few
    return Moments(
        gram=(inputs.T @ inputs).astype(np.float64),
        cross=(inputs.T @ targets).astype(np.float64),
        power=float(np.square(targets, dtype=np.float64).sum()),
    )


class _Layer:
    """One writer's rows: inputs on the left, what its output should be on the right."""

    def __init__(self, cut: Model, question: Question) -> None:
        self.writer, self.target, self.rectified = question.writer, question.target, question.rectified
        nodes = cut.nodes()
        self.node = nodes[self.writer.node]
        self.output = str(self.node.outputs[0].name)
        self.channels = output_channels(cut, self.writer)
        self.has_bias = has_bias(cut, self.writer)
        self.relays = [_undo(cut, nodes[name], self) for name in self.writer.relays]
        along = [str(nodes[name].inputs[_data_input(nodes[name])].name) for name in self.writer.relays]  # type: ignore[union-attr]  # relays have one
        skip = [] if self.writer.skip is None else [self.writer.skip]
        total = [self.writer.total] if self.rectified else []
        self.fetches = list(dict.fromkeys([self.writer.reads, self.output, *along, *skip, *total]))

    def rows(self, given: Outputs, wanted: Outputs, generator: np.random.Generator) -> Rows:
        """Return sampled inputs (rows, unknowns), with a one for the bias, and targets (rows, channels)."""
        target = wanted[self.target]
        if self.rectified:
            target = np.where(target > 0, target, np.minimum(given[self.writer.total], 0))
        if self.writer.skip is not None:
            target = target - given[self.writer.skip]
        for undo in reversed(self.relays):
            target = undo(target, given)
        if self.node.op_type == "Conv":
            target = np.moveaxis(target, 1, -1)  # (images, channels, h, w) -> (images, h, w, channels)
        target = target.reshape(-1, self.channels)
        images = len(given[self.writer.reads])
        count = min(len(target), ROWS_PER_IMAGE * images)
        drawn = np.sort(generator.choice(len(target), count, replace=False))
        inputs = self._inputs(given, drawn)
        if self.has_bias:
            inputs = np.concatenate([inputs, np.ones((count, 1), inputs.dtype)], axis=1)
        return inputs, target[drawn]

    def _inputs(self, given: Outputs, drawn: npt.NDArray[np.intp]) -> Array:
        read = given[self.writer.reads]
        if self.node.op_type != "Conv":
            return np.asarray(read.reshape(-1, read.shape[-1])[drawn])
        height, width = given[self.output].shape[2:]
        image, y, x = np.unravel_index(drawn, (len(read), height, width))
        patches = _patches(self.node, read)  # (images, channels, h, w, kh, kw), a view
        return np.asarray(patches[image, :, y, x].reshape(len(drawn), -1))


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


Undo = Callable[[Array, Outputs], Array]


def _undo(cut: Model, relay: ir.Node, layer: _Layer) -> Undo:
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
