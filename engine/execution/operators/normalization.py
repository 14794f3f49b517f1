"""Normalisations: over the batch, the channels of one position, one image's channel or a group of channels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from engine.execution.node import Kernel, NodeView


class BatchNormalization:
    """Batch norm with running statistics; with batch statistics, which it also keeps, while `training` is set."""

    def __init__(self, node: NodeView) -> None:
        if node.get("training_mode", 0) or node.output_count > 1:
            raise node.refuse("training_mode = 1 or more than one output")
        if not node.get("spatial", 1):
            raise node.refuse("spatial = 0")
        self.training = False
        self.epsilon = float(node.get("epsilon", 1e-5))
        self.momentum = 1 - float(node.get("momentum", 0.9))  # ONNX weighs the old value, PyTorch the new one

    def __call__(self, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        return F.batch_norm(x, mean, variance, scale, bias, self.training, self.momentum, self.epsilon)


def layer_normalization(node: NodeView) -> Kernel:
    """The optional outputs are the mean and the inverse of the standard deviation."""
    axis, epsilon = int(node.get("axis", -1)), float(node.get("epsilon", 1e-5))

    def run(x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
        shape = x.shape[axis:]
        if scale.shape == shape and (bias is None or bias.shape == shape):
            return F.layer_norm(x, shape, scale, bias, epsilon)
        y = F.layer_norm(x, shape, None, None, epsilon) * scale
        return y if bias is None else y + bias

    def run_with_statistics(x: Tensor, scale: Tensor, bias: Tensor | None = None) -> tuple[Tensor, ...]:
        dims = tuple(range(axis % x.dim(), x.dim()))
        mean = x.mean(dim=dims, keepdim=True)
        inverse = torch.rsqrt((x - mean).square().mean(dim=dims, keepdim=True) + epsilon)
        return run(x, scale, bias), mean, inverse

    return run if node.output_count == 1 else run_with_statistics


def rms_normalization(node: NodeView) -> Kernel:
    axis, epsilon = int(node.get("axis", -1)), float(node.get("epsilon", 1e-5))

    def run(x: Tensor, scale: Tensor) -> Tensor:
        dims = tuple(range(axis % x.dim(), x.dim()))
        return x * torch.rsqrt(x.square().mean(dim=dims, keepdim=True) + epsilon) * scale

    return run


def instance_normalization(node: NodeView) -> Kernel:
    epsilon = float(node.get("epsilon", 1e-5))

    def run(x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
        return torch.instance_norm(x, scale, bias, None, None, True, 0.0, epsilon, False)

    return run


def group_normalization(node: NodeView) -> Kernel:
    """Opset 18 has one scale and bias a group, opset 21 one a channel."""
    groups, epsilon = int(node.get("num_groups")), float(node.get("epsilon", 1e-5))

    def run(x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
        channels = x.shape[1]
        if scale.numel() != channels:
            scale = scale.repeat_interleave(channels // groups)
            bias = bias.repeat_interleave(channels // groups)
        return torch.group_norm(x, groups, scale, bias, epsilon)

    return run


def lrn(node: NodeView) -> Kernel:
    size, bias = int(node.get("size")), float(node.get("bias", 1.0))
    alpha, beta = float(node.get("alpha", 1e-4)), float(node.get("beta", 0.75))

    def run(x: Tensor) -> Tensor:
        squares = x.square().flatten(2).unsqueeze(1)  # (batch, channels, ...) -> (batch, 1, channels, positions)
        squares = F.pad(squares, (0, 0, (size - 1) // 2, size // 2))
        mean = F.avg_pool2d(squares, (size, 1), stride=1).squeeze(1).reshape(x.shape)
        return x / (bias + alpha * mean).pow(beta)

    return run


def lp_normalization(node: NodeView) -> Kernel:
    axis, power = int(node.get("axis", -1)), int(node.get("p", 2))
    return lambda x: F.normalize(x, p=power, dim=axis, eps=torch.finfo(x.dtype).tiny)


def mean_variance_normalization(node: NodeView) -> Kernel:
    axes = tuple(node.get("axes", (0, 2, 3)))

    def run(x: Tensor) -> Tensor:
        centred = x - x.mean(dim=axes, keepdim=True)
        return centred / (centred.square().mean(dim=axes, keepdim=True).sqrt() + 1e-9)  # the standard's own constant

    return run
