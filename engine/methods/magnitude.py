"""Magnitude: the smallest weights become zero, one by one or two of every four. No layer gets smaller.

Han et al., "Learning both Weights and Connections for Efficient Neural Networks", NeurIPS 2015. arXiv:1506.02626
Mishra et al., "Accelerating Sparse Deep Neural Networks", 2021, arXiv:2104.08378, for two of every four.
The papers retrain what is left; here each layer's remaining weights are refitted by least squares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from engine.errors import NothingToCut
from engine.graph.channels.readings import keeps_apart
from engine.graph.edits import kind
from engine.graph.model import Model
from engine.graph.writers import Writer, find_layer, is_transposed
from engine.pricing.method import Method
from engine.recipe import Pattern

Array = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]

FOUR, TWO = 4, 2


def thin(model: Model, sparsity: float, pattern: Pattern) -> Model:
    """Return a new model with zeros in its layers' weights; `sparsity`, 0 to 1, is their part where one by one.

    Two of every four are taken along the channels that a layer reads, at each tap; a layer whose channels are no
    multiple of four stays as it is. Depthwise layers and biases stay in any case. Raises NothingToCut where nothing is
    left to thin.
    """
    layers = {layer.weight: layer for layer in thinnable(model)}
    weights = {name: np.asarray(model.weight(name), np.float32) for name in layers}
    masks: Mapping[str, Mask | None] = one_by_one(weights, sparsity) if layers else {}
    if pattern == "2:4":
        masks = {name: two_of_four(weights[name], _input_axis(model, layer)) for name, layer in layers.items()}
    thinned = model.copy()
    for name, mask in masks.items():
        if mask is not None:
            thinned.set_weight(name, np.where(mask, model.weight(name), 0).astype(model.weight(name).dtype))
    if all(mask is None or mask.all() for mask in masks.values()):
        raise NothingToCut(
            "The network has no layer whose weights can be zeroed in this pattern: no plain convolution "
            "or product with a constant, or none that reads a multiple of four channels."
        )
    return thinned


def thinnable(model: Model) -> list[Writer]:
    """Return the layers whose weights may become zero: those that mix channels by weights of their own."""
    found = [find_layer(node) for node in model.graph]
    return [layer for layer in found if layer is not None and not keeps_apart(model, layer)]


def one_by_one(weights: Mapping[str, Array], sparsity: float) -> dict[str, Mask]:
    """Return for each layer which weights stay: all but the smallest, measured in their layer's own deviation.

    So it is in the paper, and a layer is measured alike whatever a norm that was folded into it multiplied it by.
    """
    sizes = [np.abs(array).reshape(-1) / max(float(array.std()), 1e-30) for array in weights.values()]
    together = np.concatenate(sizes)
    gone = round(sparsity * len(together))
    stays = np.ones(len(together), np.bool_)
    stays[np.argpartition(together, max(gone - 1, 0))[:gone]] = False
    parts = np.split(stays, np.cumsum([len(size) for size in sizes])[:-1])
    return {name: part.reshape(array.shape) for (name, array), part in zip(weights.items(), parts, strict=True)}


def two_of_four(weight: Array, axis: int) -> Mask | None:
    """Return which weights stay, the two largest of every four along an axis, None where its size is no multiple."""
    if weight.shape[axis] % FOUR:
        return None
    last = np.moveaxis(np.abs(weight), axis, -1)
    fours = last.reshape(-1, FOUR)
    order = np.argsort(-fours, axis=1, kind="stable")
    stays = np.zeros(fours.shape, np.bool_)
    np.put_along_axis(stays, order[:, :TWO], values=True, axis=1)
    return np.moveaxis(stays.reshape(last.shape), -1, axis)


def zeros_in(model: Model, layers: Sequence[Writer]) -> tuple[int, int]:
    """Return how many of these layers' weights are zero, and how many there are."""
    arrays = [model.weight(layer.weight) for layer in layers]
    return sum(int((array == 0).sum()) for array in arrays), sum(array.size for array in arrays)


def _input_axis(model: Model, layer: Writer) -> int:
    node = model.nodes()[layer.node]
    return 1 if kind(node) == "Conv" or is_transposed(node) else 0


METHOD = Method()
