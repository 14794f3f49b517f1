"""A network's outputs over a set of images, batch by batch: what is not kept by the reader is gone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from engine.data.images import ImageSet
from engine.errors import CalibrationMismatch
from engine.execution.runtime import open_session, run
from engine.graph.model import Model, TensorInfo
from engine.measure.feeds import Feed, cannot_run
from engine.recipe import Deploy

Outputs = dict[str, npt.NDArray[Any]]

BATCH = 32  # where the network leaves it open: results do not depend on it, memory does


def outputs_in_batches(model: Model, images: ImageSet, deploy: Deploy, batch: int = BATCH) -> Iterator[Outputs]:
    """Yield the outputs of successive batches, in the images' order; the last may be smaller.

    A network of fixed batch gets its own; what fills up its last one is dropped from every output that has a batch.
    Raises ModelError where the runtime cannot run it.
    """
    info = _only_input(model)
    size = info.shape[0] if info.shape and isinstance(info.shape[0], int) else batch
    session = open_session(model, provider=deploy.provider, threads=deploy.threads)
    for start in range(0, len(images), size):
        inputs = images.inputs[start : start + size].astype(info.dtype)
        used = len(inputs)
        if size != batch and used < size:
            inputs = np.concatenate([inputs, np.repeat(inputs[-1:], size - used, axis=0)])
        outputs = _run(session, {info.name: inputs})
        yield {name: _drop_filling(output, len(inputs), used) for name, output in outputs.items()}


def _only_input(model: Model) -> TensorInfo:
    if len(model.inputs) != 1:
        names = ", ".join(info.name for info in model.inputs)
        raise CalibrationMismatch(f"The network takes the inputs {names or 'none'}; images can feed exactly one.")
    return model.inputs[0]


def _run(session: onnxruntime.InferenceSession, feed: Feed) -> Outputs:
    try:
        return run(session, feed)
    except Exception as error:  # the runtime's errors share no public base class
        raise cannot_run(feed, error) from error


def _drop_filling(output: npt.NDArray[Any], fed: int, used: int) -> npt.NDArray[Any]:
    return output[:used] if output.ndim and output.shape[0] == fed else output
