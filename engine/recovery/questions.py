"""What each layer of a cut network shall answer for: the value that it writes, and what the uncut network has there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from engine.graph.bodies import reads
from engine.graph.channels.kept import Indices
from engine.graph.channels.remaining import Positions, Remaining
from engine.graph.edits import kind
from engine.graph.holes import Hole
from engine.graph.model import Model
from engine.graph.writers import (
    Writer,
    channels_read,
    find_layer,
    find_writer,
    find_written,
    groups_of,
    is_mappable,
    is_quick,
    is_small,
    output_channels,
    places_read,
    unknowns,
)

RECTIFIED = (0.0, np.inf)
Bounds = tuple[float, float]


@dataclass(frozen=True)
class Question:
    """What should this writer's weights be, so that its sum becomes `target` of the uncut network?

    `bounds`: nothing reads it but what clips it there, so where the target is beyond, any sum beyond is as good.
    `stay` are the positions of the target that the cut network still has, where channels went.
    """

    writer: Writer
    target: str
    bounds: Bounds | None = None
    stay: Positions = ()


@dataclass(frozen=True)
class ChannelQuestion:
    """Which sums of the channels that a layer reads now come closest to those that it read, `target` of the uncut one?

    Asked where a question for each weight would be too large: every tap and place then reads the same sums. `stay` are
    those of the uncut layer's channels that it still reads, `outputs` the positions of what it writes that stay.
    """

    writer: Writer
    target: str
    stay: Indices
    outputs: Positions = ()

    @property
    def outputs_last(self) -> Positions:
        """Return the same for an array whose last of three axes are the outputs."""
        return tuple((2, stay) for _, stay in self.outputs)


Asked = Question | ChannelQuestion

WHOLE = Remaining()


def questions(
    model: Model,
    cut: Model,
    holes: Sequence[Hole],
    wanted: Sequence[str],
    remaining: Remaining = WHOLE,
    *,
    quickly: bool = False,
) -> list[Asked]:
    """Return the questions, in the cut network's order, for the layers that can mend what the cuts did to `wanted`.

    They begin with the writer before the first hole, or with the first layer that reads fewer channels. All others
    write a value that both networks have. `quickly` asks large layers for channels where they could be asked for each
    weight, all but those right before holes: what is left wrong there, all others inherit.
    """
    asked = {question.writer.node: question for question in at_holes(model, cut, holes, remaining)}
    around = [use.node.name for hole in holes for use in cut.values()[hole.value].uses()]
    harmed = _behind(cut, [*asked, *around, *remaining.readers])
    useful = _before(cut, wanted)
    layers = [(name, node) for name, node in cut.nodes().items() if node in harmed and node in useful]
    found = [asked.get(name) or _own_question(model, cut, node, remaining, quickly=quickly) for name, node in layers]
    return [question for question in found if question is not None]


def at_cuts(
    model: Model, cut: Model, holes: Sequence[Hole], remaining: Remaining = WHOLE, *, quickly: bool = False
) -> list[Asked]:
    """Return the questions for the layers right before holes and those that read fewer channels, in order.

    `quickly` is as in `questions`.
    """
    asked = {question.writer.node: question for question in at_holes(model, cut, holes, remaining)}
    nodes = {name: node for name, node in cut.nodes().items() if name in asked or name in remaining.readers}
    found = [
        asked.get(name) or _own_question(model, cut, node, remaining, quickly=quickly) for name, node in nodes.items()
    ]
    return [question for question in found if question is not None]


def at_holes(model: Model, cut: Model, holes: Sequence[Hole], remaining: Remaining = WHOLE) -> list[Question]:
    """Return the questions for the layers right before the holes, in the cut network's order."""
    return [question for hole in holes if (question := ask(model, cut, hole, remaining)) is not None]


def ask(model: Model, cut: Model, hole: Hole, remaining: Remaining = WHOLE) -> Question | None:
    """Return what least squares shall answer for a hole, or None where no affordable layer writes for it alone."""
    if hole.is_shared:
        return None
    bounds = _bounds(model.values()[hole.target])
    writer = find_writer(cut, hole.value, through_relu=bounds == RECTIFIED)
    return _affordable(cut, writer, hole.target, bounds, remaining)


def _own_question(
    model: Model, cut: Model, node: ir.Node, remaining: Remaining, *, quickly: bool = False
) -> Asked | None:
    """Ask a layer for what its namesake writes in the uncut network, or where it is too large for what that reads."""
    layer, total = find_layer(node), find_written(node)
    if layer is None or total is None:
        return None
    if not is_small(cut, layer) or (quickly and not is_quick(cut, layer)):
        of_channels = _of_channels(model, cut, layer, remaining)
        if of_channels is not None or not is_small(cut, layer):
            return of_channels
    target = model.values().get(str(total.name))
    writer = find_writer(cut, str(total.name), through_relu=False)
    if target is None or writer is None or writer.node != node.name:
        return None
    return _affordable(cut, writer, str(target.name), _bounds(target), remaining)


def _of_channels(model: Model, cut: Model, layer: Writer, remaining: Remaining) -> ChannelQuestion | None:
    """Ask for channels, where whole ones went: behind a flattened map of which rows went, say, nobody can."""
    whole = find_layer(model.nodes()[layer.node])
    if whole is None or not (is_mappable(cut, layer) and is_mappable(model, whole)):
        return None
    if {whole.reads, whole.total} & remaining.untold:
        return None
    channels, lost = channels_read(model, whole), remaining.values.get(whole.reads, ())
    stay = np.unique(lost[0][1] // places_read(model, whole)) if lost else np.arange(channels)
    if len(lost) > 1 or len(stay) != channels_read(cut, layer) or places_read(cut, layer) != places_read(model, whole):
        return None
    return ChannelQuestion(layer, whole.reads, stay, remaining.values.get(whole.total, ()))


def size_of(cut: Model, question: Asked) -> tuple[int, int, int]:
    """Return in how many groups, from how many numbers and for how many others a question asks."""
    if isinstance(question, ChannelQuestion):
        channels = channels_read(cut, question.writer)
        return 1, channels, channels
    return groups_of(cut, question.writer), unknowns(cut, question.writer), output_channels(cut, question.writer)


def _affordable(
    cut: Model, writer: Writer | None, target: str, bounds: Bounds | None, remaining: Remaining
) -> Question | None:
    if writer is None or not is_small(cut, writer) or target in remaining.untold:
        return None
    return Question(writer, target, bounds, remaining.values.get(target, ()))


def _bounds(value: ir.Value) -> Bounds | None:
    """Return where everything that reads a value clips it, None where something reads it as it is."""
    readers = [use.node for use in value.uses()]
    if value.is_graph_output() or not readers:
        return None
    found = {_clip(reader) for reader in readers}
    return found.pop() if len(found) == 1 else None


def _clip(node: ir.Node) -> Bounds | None:
    if kind(node) == "Relu":
        return RECTIFIED
    if kind(node) != "Clip":
        return None
    ends = [*node.inputs[1:], None, None][:2]
    if any(end is not None and end.const_value is None for end in ends):
        return None
    low, high = (None if end is None else float(end.const_value.numpy()) for end in ends)  # type: ignore[union-attr]  # just asked
    return (-np.inf if low is None else low, np.inf if high is None else high)


def _behind(cut: Model, names: Iterable[str | None]) -> set[ir.Node]:
    """Return these nodes and all that depend on them."""
    found = {node for name, node in cut.nodes().items() if name in set(names)}
    for node in cut.graph:
        if any(value is not None and value.producer() in found for value in reads(node)):
            found.add(node)
    return found


def _before(cut: Model, wanted: Sequence[str]) -> set[ir.Node]:
    """Return all nodes that these values depend on."""
    values, found = cut.values(), set[ir.Node]()
    waiting = [values[name] for name in wanted]
    while waiting:
        node = waiting.pop().producer()
        if node is not None and node not in found:
            found.add(node)
            waiting += [value for value in reads(node) if value is not None]
    return found
