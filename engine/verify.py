"""The promise that every delivered file is held to: valid, with the upload's inputs and outputs, and finite."""

from __future__ import annotations

import numpy as np
import onnx

from engine.errors import PostconditionFailed
from engine.graph.model import Model
from engine.measure.batches import outputs_in_batches
from engine.subject import Subject


def verify(subject: Subject, network: Model, images: int = 1) -> None:
    """Run the network on so many images of the repair. Raises PostconditionFailed where the promise is broken."""
    if (network.inputs, network.outputs) != (subject.upload.inputs, subject.upload.outputs):
        raise PostconditionFailed("The network's inputs or outputs are no longer those of the upload.")
    try:
        onnx.checker.check_model(network.to_bytes())
    except onnx.checker.ValidationError as error:
        raise PostconditionFailed(f"The network is no longer valid ONNX: {error}") from error
    shown = subject.split.repair.take(np.arange(min(images, len(subject.split.repair))))
    for outputs in outputs_in_batches(network, shown, subject.compute):
        for name, output in outputs.items():
            if not np.isfinite(output).all():
                raise PostconditionFailed(f"The output '{name}' is not finite.", where=name)
