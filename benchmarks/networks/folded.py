"""EfficientNet-lite0 from an ONNX file whose batch norm is folded, with batch norm put back so that it can be trained.

Batch norm put back normalises by statistics that are measured on images, and scales and shifts them back: the function
stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from benchmarks.networks.inverted import InvertedResidual, InvertedResiduals
from benchmarks.networks.network import ConvNorm

Weights = Mapping[str, NDArray[np.float32]]

BATCH = 16


def weights_of(path: Path) -> Weights:
    """Return the initialisers of an ONNX file by name."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}


def fill(network: InvertedResiduals, weights: Weights) -> None:
    """Give every layer its published weights; each batch norm becomes one that only adds the bias."""
    with torch.no_grad():
        for layer, name in _layers(network):
            _convolution(layer).weight.copy_(_tensor(weights, f"{name}.weight"))
            norm = _norm(layer)
            norm.running_mean = torch.zeros_like(norm.weight)
            norm.running_var = torch.ones_like(norm.weight)
            norm.weight.fill_((1 + norm.eps) ** 0.5)
            norm.bias.copy_(_tensor(weights, f"{name}.weight_bias"))
        network.linear.weight.copy_(_tensor(weights, "_fc.weight"))
        network.linear.bias.copy_(_tensor(weights, "_fc.bias"))


def measure_batch_norm(network: nn.Module, images: Tensor) -> None:
    """Set every batch norm's statistics to those of `images`, (count, 3, height, width), and keep the function."""
    layers = [layer for layer in network.modules() if isinstance(layer, ConvNorm)]
    network.eval()
    with _moments(layers) as sums, torch.no_grad():
        for batch in torch.split(images, BATCH):
            network(batch)
        for layer, (count, total, squares) in zip(layers, sums, strict=True):
            _normalise_by(_norm(layer), total / count, squares / count)


def _normalise_by(norm: nn.BatchNorm2d, mean: Tensor, mean_square: Tensor) -> None:
    """Change the statistics, and weight and bias so that the outputs stay."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    offset = norm.bias.double() - gain * norm.running_mean
    variance = (mean_square - mean**2).clamp(min=0)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_(gain * (variance + norm.eps).sqrt())
    norm.bias.copy_(offset + gain * mean)


@contextmanager
def _moments(layers: list[ConvNorm]) -> Iterator[list[list[Tensor]]]:
    """Yield for each layer the count, sum and sum of squares, by channel, of what its convolution gives meanwhile."""
    sums = [[torch.zeros((), dtype=torch.float64) for _ in range(3)] for _ in layers]

    def add(index: int, _module: nn.Module, _inputs: object, outputs: Tensor) -> None:
        values = outputs.double()
        for place, part in enumerate((torch.tensor(values[:, 0].numel()), values.sum((0, 2, 3)), _squares(values))):
            sums[index][place] = sums[index][place] + part

    hooks = [_convolution(layer).register_forward_hook(partial(add, index)) for index, layer in enumerate(layers)]
    try:
        yield sums
    finally:
        for hook in hooks:
            hook.remove()


def _squares(values: Tensor) -> Tensor:
    return values.square().sum((0, 2, 3))


def _layers(network: InvertedResiduals) -> Iterator[tuple[ConvNorm, str]]:
    """Yield every convolution with the name that its weights have in the published file."""
    yield network.stem, "_conv_stem"
    for index, block in enumerate(network.blocks):
        assert isinstance(block, InvertedResidual)
        if block.expand is not None:
            yield block.expand, f"_blocks.{index}._expand_conv"
        yield block.depthwise, f"_blocks.{index}._depthwise_conv"
        yield block.project, f"_blocks.{index}._project_conv"
    yield network.head, "_conv_head"


def _convolution(layer: ConvNorm) -> nn.Conv2d:
    convolution = layer.get_submodule("conv")
    assert isinstance(convolution, nn.Conv2d)
    return convolution


def _norm(layer: ConvNorm) -> nn.BatchNorm2d:
    norm = layer.get_submodule("norm")
    assert isinstance(norm, nn.BatchNorm2d)
    return norm


def _tensor(weights: Weights, name: str) -> Tensor:
    return torch.from_numpy(weights[name].copy())
