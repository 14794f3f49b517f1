"""A network's outputs over a set of images, batch by batch: what is not kept by the reader is gone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from engine.data.images import ImageSet, Inputs
from engine.execution.runtime import open_session, run
from engine.graph.image_input import require_image_input
from engine.graph.model import Model
from engine.measure.feeds import Feed, cannot_run
from engine.recipe import Deploy

Outputs = dict[str, npt.NDArray[Any]]

BATCH = 32  # where the network leaves it open: results do not depend on it, memory does


def fixed_batch(model: Model) -> int | None:
    """Return the batch that the network was exported for, None where it takes any."""
    shape = require_image_input(model).shape
    return shape[0] if shape and isinstance(shape[0], int) else None


def input_batches(model: Model, images: ImageSet, batch: int = BATCH) -> Iterator[tuple[Inputs, int]]:
    """Yield inputs in the images' order and how many of them are images; the last batch may be smaller.

    A network of fixed batch gets its own: the last one is filled up with copies of its last image.
    """
    fixed = fixed_batch(model)
    size = fixed or batch
    for start in range(0, len(images), size):
        inputs = images.inputs[start : start + size]
        used = len(inputs)
        if fixed is not None and used < fixed:
            inputs = np.concatenate([inputs, np.repeat(inputs[-1:], fixed - used, axis=0)])
        yield inputs, used


def outputs_in_batches(model: Model, images: ImageSet, deploy: Deploy, batch: int = BATCH) -> Iterator[Outputs]:
    """Yield the outputs of successive batches, in the images' order, without what filled a fixed batch up.

    Raises ModelError where the runtime cannot run it.
    """
    name = require_image_input(model).name
    session = open_session(model, provider=deploy.provider, threads=deploy.threads, spinning=False)
    for inputs, used in input_batches(model, images, batch):
        outputs = _run(session, {name: inputs})
        yield {output: without_filling(array, len(inputs), used) for output, array in outputs.items()}


def without_filling(output: npt.NDArray[Any], fed: int, used: int) -> npt.NDArray[Any]:
    """Return an output's rows of real images; an output without a batch comes back whole."""
    return output[:used] if output.ndim and output.shape[0] == fed else output


def _run(session: onnxruntime.InferenceSession, feed: Feed) -> Outputs:
    try:
        return run(session, feed)
    except Exception as error:  # the runtime's errors share no public base class
        raise cannot_run(feed, error) from error
