"""Mean and variance of each channel inside a network: those it was trained with, or measured ones in their place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor

from engine.data.images import ImageSet
from engine.execution.executor import Executor
from engine.graph.model import Model

MEASURED_IMAGES = 64
LEAST_VARIANCE = 1e-3  # of a layer's mean variance: a dead channel would outweigh all others


@dataclass(frozen=True)
class ChannelStatistics:
    """`targets` maps a value (count, channels, …) to the mean and the variance of its channels."""

    targets: dict[str, tuple[Tensor, Tensor]]
    note: str

    def distance(self, values: dict[str, Tensor]) -> Tensor:
        """Return how far a batch is from the targets, averaged over layers: 0 is equal, 1 about a deviation off."""
        total = torch.zeros(())
        for name, (mean, variance) in self.targets.items():
            found_mean, found_variance = moments(values[name])
            floor = variance + LEAST_VARIANCE * variance.mean()
            spread = (found_variance + 1e-12).sqrt() - variance.sqrt()
            off = (found_mean - mean).square() / floor + spread.square() / floor
            total = total.to(off.device) + off.mean()
        return total / max(len(self.targets), 1)


def find_statistics(network: Executor, images: ImageSet, batch: int, device: torch.device) -> ChannelStatistics:
    """Read the batch norms' running statistics; measure behind each convolution where no batch norm is left.

    What was exported without them has them in its weights, four unknowns in two numbers: they cannot be read back.
    """
    real = _of_batch_norms(network, device)
    if real:
        return ChannelStatistics(real, f"towards the statistics of {len(real)} batch norms")
    values = convolutions(network.model)
    measured = _measured(network, values, images, batch, device)
    return ChannelStatistics(measured, f"towards the statistics behind {len(measured)} convolutions, measured")


def convolutions(model: Model) -> list[str]:
    """Return what the convolutions over channels write."""
    return [str(node.outputs[0].name) for node in model.graph if node.op_type == "Conv"]


def batch_norms(model: Model) -> list[ir.Node]:
    return [node for node in model.graph if node.op_type == "BatchNormalization"]


def moments(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of each channel over images and places."""
    axes = [axis for axis in range(values.ndim) if axis != 1]
    return values.mean(dim=axes), values.var(dim=axes, unbiased=False)


def _of_batch_norms(network: Executor, device: torch.device) -> dict[str, tuple[Tensor, Tensor]]:
    found: dict[str, tuple[Tensor, Tensor]] = {}
    for node in batch_norms(network.model):
        reads, _scale, _bias, mean, variance = (str(value.name) for value in node.inputs if value is not None)
        if {mean, variance} <= network.model.graph.initializers.keys():
            pair = (torch.from_numpy(network.model.weight(name).copy()).float().to(device) for name in (mean, variance))
            found[reads] = (next(pair), next(pair))
    return found


def _measured(
    network: Executor, names: list[str], images: ImageSet, batch: int, device: torch.device
) -> dict[str, tuple[Tensor, Tensor]]:
    """Average over batches the means, and the mean squares."""
    found: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in names}
    for start in range(0, max(min(len(images), MEASURED_IMAGES) // batch, 1) * batch, batch):
        rows = np.arange(start, start + batch) % len(images)
        inputs = torch.from_numpy(images.inputs[rows]).to(device)
        with torch.no_grad():
            values = network({network.model.inputs[0].name: inputs}, fetch=names)
        for name in names:
            mean, variance = moments(values[name])
            found[name].append((mean, variance + mean.square()))
    return {name: _combined(pairs) for name, pairs in found.items()}


def _combined(pairs: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    mean = torch.stack([pair[0] for pair in pairs]).mean(dim=0)
    square = torch.stack([pair[1] for pair in pairs]).mean(dim=0)
    return mean, (square - mean.square()).clamp_min(0)
