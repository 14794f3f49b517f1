"""Repair without a gradient: refit the last layer before each hole so that the uncut network's sum is met again.

Nothing is inserted, so nothing needs folding; the shapes, the file size and the latency stay as the cut left them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from engine.data.images import ImageSet
from engine.graph.holes import Hole, find_holes
from engine.graph.model import Model
from engine.graph.surgery import remove_units
from engine.graph.units import Unit
from engine.graph.writers import Writer, find_writer, has_bias, is_transposed, output_channels
from engine.recipe import Deploy
from engine.recovery.moments import Moments, Question, gather

UNKNOWNS_MAX = 4608
MOMENTS_BYTES_MAX = 512 * 2**20
RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
Weights = npt.NDArray[np.float64]  # (unknowns, channels); the last row is the bias, where there is one


def cut_and_repair(
    model: Model,
    units: Collection[Unit],
    repair: ImageSet,
    selection: ImageSet,
    compute: Deploy,
    *,
    seed: int,
    on_hole: Callable[[int, int], None] = lambda done, total: None,
    start: Model | None = None,
    gone: Collection[Unit] = (),
) -> Model:
    """Return a new model without `units`, the layer before each hole refitted, from the input to the output.

    Each refit sees what the holes before it have done: inputs from the cut network, targets from the uncut one.
    He et al., "Channel Pruning for Accelerating Very Deep Neural Networks", 2017, arXiv:1707.06168, for this asymmetry.

    `start` is a network that lacks the units `gone`, all of them among `units`, and has been trained since: its weights
    are gone on from, and only holes that it has not are refitted.
    """
    cut = remove_units(model, units)
    if start is not None:
        take_weights(cut, start)
    holes = [hole for hole in find_holes(model, units) if hole not in find_holes(model, gone)]
    for done, hole in enumerate(holes):
        on_hole(done, len(holes))
        question = ask(model, cut, hole)
        if question is not None:
            (fit,) = gather(cut, model, [question], repair, compute, seed)
            check = gather(cut, model, [question], selection, compute, seed)[0] if len(selection) else fit
            refit(cut, question.writer, fit, check)
    return cut


def take_weights(model: Model, trained: Model) -> None:
    """Give each weight of `model`, in place, the numbers that its namesake has in `trained`."""
    for name in model.graph.initializers.keys() & trained.graph.initializers.keys():
        model.set_weight(name, trained.weight(name))


def repair_each(
    model: Model, units: Collection[Unit], repair: ImageSet, selection: ImageSet, compute: Deploy, *, seed: int
) -> Callable[[Unit], Model]:
    """Return a function from a unit to the model that lacks it alone, repaired; one pass serves many units."""
    questions = {unit.name: ask(model, remove_units(model, [unit]), find_holes(model, [unit])[0]) for unit in units}
    asked = {name: question for name, question in questions.items() if question is not None}
    answers: dict[str, Weights] = {}
    for names in _chunks(model, asked):
        together = [asked[name] for name in names]
        fits = gather(model, model, together, repair, compute, seed)
        checks = gather(model, model, together, selection, compute, seed) if len(selection) else fits
        for name, fit, check in zip(names, fits, checks, strict=True):
            answers[name] = best_weights(model, asked[name].writer, fit, check)

    def without(unit: Unit) -> Model:
        cut = remove_units(model, [unit])
        if unit.name in answers:
            _set_weights(cut, asked[unit.name].writer, answers[unit.name])
        return cut

    return without


def _chunks(model: Model, asked: Mapping[str, Question]) -> Iterator[list[str]]:
    """Yield names of questions whose moments, of repair and selection images, fit the memory together."""
    chunk: list[str] = []
    room = MOMENTS_BYTES_MAX
    for name, question in asked.items():
        unknowns = _unknowns(model, question.writer)
        size_bytes = 2 * 8 * unknowns * (unknowns + output_channels(model, question.writer))
        if chunk and size_bytes > room:
            yield chunk
            chunk, room = [], MOMENTS_BYTES_MAX
        chunk.append(name)
        room -= size_bytes
    if chunk:
        yield chunk


def ask(model: Model, cut: Model, hole: Hole) -> Question | None:
    """Return what least squares shall answer for a hole, or None where no affordable layer writes for it alone."""
    if hole.is_shared:
        return None
    target = model.values()[hole.target]
    into_relu = not target.is_graph_output() and all(use.node.op_type == "Relu" for use in target.uses())
    writer = find_writer(cut, hole.value, through_relu=into_relu)
    if writer is None:
        return None
    return Question(writer, hole.target, into_relu) if _unknowns(cut, writer) <= UNKNOWNS_MAX else None


def _unknowns(model: Model, writer: Writer) -> int:
    return model.weight(writer.weight).size // output_channels(model, writer)


def refit(cut: Model, writer: Writer, fit: Moments, check: Moments) -> None:
    """Give a writer, in place, the weights that fit best."""
    _set_weights(cut, writer, best_weights(cut, writer, fit, check))


def best_weights(model: Model, writer: Writer, fit: Moments, check: Moments) -> Weights:
    """Return the weights that answer best on `check`: least squares on `fit` at several ridges, or those there are."""
    start = _weights(model, writer)
    answers = [ridge_regression(fit, start, ridge) for ridge in RIDGES]
    return min([*answers, start], key=check.residual)


def ridge_regression(moments: Moments, start: Weights, ridge: float) -> Weights:
    """Return the weights of least squares, drawn towards `start` by `ridge` times the mean power of an input."""
    strength = ridge * float(np.diag(moments.gram).mean())
    system = moments.gram + strength * np.eye(len(moments.gram))
    return np.asarray(np.linalg.solve(system, moments.cross + strength * start))


def _weights(model: Model, writer: Writer) -> Weights:
    weight, node = model.weight(writer.weight).astype(np.float64), model.nodes()[writer.node]
    if node.op_type == "Conv":
        weight = weight.reshape(len(weight), -1).T  # (out, in, kh, kw) -> (in*kh*kw, out)
    elif is_transposed(node):
        weight = weight.T
    if has_bias(model, writer):
        assert writer.bias is not None
        weight = np.concatenate([weight, model.weight(writer.bias).astype(np.float64).reshape(1, -1)])
    return weight


def _set_weights(model: Model, writer: Writer, weights: Weights) -> None:
    old, node = model.weight(writer.weight), model.nodes()[writer.node]
    if has_bias(model, writer):
        assert writer.bias is not None
        old_bias = model.weight(writer.bias)
        model.set_weight(writer.bias, weights[-1].reshape(old_bias.shape).astype(old_bias.dtype))
        weights = weights[:-1]
    if node.op_type == "Conv" or is_transposed(node):
        weights = weights.T
    model.set_weight(writer.weight, weights.reshape(old.shape).astype(old.dtype))
