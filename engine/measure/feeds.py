"""What a network is fed when only its speed matters: random numbers of the deployed batch and shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import ModelError, RecipeInvalid
from engine.graph.model import Model, TensorInfo
from engine.recipe import Deploy

Feed = dict[str, npt.NDArray[Any]]
Shapes = Mapping[str, Sequence[int]]


def random_feed(model: Model, deploy: Deploy, image_shapes: Shapes, seed: int) -> Feed:
    """Return one batch for every input; `image_shapes` gives sizes, without the batch, that the network leaves open.

    Raises RecipeInvalid where the network fixes another batch, or a size is known to nobody.
    """
    generator = np.random.default_rng(seed)
    feed: Feed = {}
    for info in model.inputs:
        shape = feed_shape(info, deploy.batch, image_shapes)
        feed[info.name] = generator.standard_normal(shape, dtype=np.float32).astype(info.dtype)
    return feed


def feed_shape(info: TensorInfo, batch: int, image_shapes: Shapes) -> tuple[int, ...]:
    """Return the whole shape of one input at this batch."""
    if not info.shape:
        return ()
    if isinstance(info.shape[0], int) and info.shape[0] != batch:
        raise RecipeInvalid(
            f"The network's input '{info.name}' has a fixed batch of {info.shape[0]}, the recipe's is {batch}. "
            f'Set "deploy": {{"batch": {info.shape[0]}}}, or export the network with a dynamic batch.',
            where="deploy.batch",
        )
    given = image_shapes.get(info.name, info.shape[1:])
    sizes = tuple(size for size in given if isinstance(size, int))
    if len(sizes) < len(info.shape) - 1:
        raise RecipeInvalid(
            f"The network's input '{info.name}' leaves sizes open: {info.shape}. "
            'Set "preprocess": {"crop": 224}, or another side, in the recipe.',
            where="preprocess.crop",
        )
    return batch, *sizes


def cannot_run(feed: Feed, error: Exception) -> ModelError:
    """Return what to raise when the runtime opens a network and then fails to run it."""
    shapes = ", ".join(f"'{name}' of {' x '.join(map(str, array.shape))}" for name, array in feed.items())
    reason = str(error).strip().splitlines()[0][:300]
    return ModelError(
        f"ONNX Runtime cannot run the network on {shapes}: {reason}. "
        "If a batch or size is fixed inside the graph, export the network with a dynamic batch."
    )
