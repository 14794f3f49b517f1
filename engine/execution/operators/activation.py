"""Activations, gates and softmaxes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from engine.execution.node import Kernel, NodeView


def relu(_: NodeView) -> Kernel:
    return torch.relu


def leaky_relu(node: NodeView) -> Kernel:
    slope = float(node.get("alpha", 0.01))
    return lambda x: F.leaky_relu(x, slope)


def prelu(_: NodeView) -> Kernel:
    return lambda x, slope: torch.where(x >= 0, x, x * slope)


def thresholded_relu(node: NodeView) -> Kernel:
    threshold = float(node.get("alpha", 1.0))
    return lambda x: torch.where(x > threshold, x, torch.zeros_like(x))


def elu(node: NodeView) -> Kernel:
    alpha = float(node.get("alpha", 1.0))
    return lambda x: F.elu(x, alpha)


def selu(node: NodeView) -> Kernel:
    alpha = float(node.get("alpha", 1.67326319217681884765625))
    gamma = float(node.get("gamma", 1.05070102214813232421875))
    return lambda x: gamma * F.elu(x, alpha)


def celu(node: NodeView) -> Kernel:
    alpha = float(node.get("alpha", 1.0))
    return lambda x: F.celu(x, alpha)


def sigmoid(_: NodeView) -> Kernel:
    return torch.sigmoid


def hard_sigmoid(node: NodeView) -> Kernel:
    alpha, beta = float(node.get("alpha", 0.2)), float(node.get("beta", 0.5))
    return lambda x: torch.clamp(x * alpha + beta, 0, 1)


def hard_swish(_: NodeView) -> Kernel:
    return F.hardswish


def swish(node: NodeView) -> Kernel:
    alpha = float(node.get("alpha", 1.0))
    return lambda x: x * torch.sigmoid(x * alpha)


def tanh(_: NodeView) -> Kernel:
    return torch.tanh


def softplus(_: NodeView) -> Kernel:
    return lambda x: torch.logaddexp(x, torch.zeros_like(x))  # exact for large x, where softplus has a threshold


def softsign(_: NodeView) -> Kernel:
    return F.softsign


def mish(_: NodeView) -> Kernel:
    return F.mish


def gelu(node: NodeView) -> Kernel:
    approximate = str(node.get("approximate", "none"))
    return lambda x: F.gelu(x, approximate=approximate)


def shrink(node: NodeView) -> Kernel:
    bias, threshold = float(node.get("bias", 0.0)), float(node.get("lambd", 0.5))

    def run(x: Tensor) -> Tensor:
        return torch.where(x < -threshold, x + bias, torch.where(x > threshold, x - bias, torch.zeros_like(x)))

    return run


def clip(node: NodeView) -> Kernel:
    """Opset 11 moved the bounds from attributes to inputs, each of which may be absent."""
    low: Any = node.get("min")
    high: Any = node.get("max")
    low = _scalar(node, 1) if low is None else low
    high = _scalar(node, 2) if high is None else high
    fixed = low is not None and high is not None and low <= high

    def run(x: Tensor, minimum: Tensor | None = None, maximum: Tensor | None = None) -> Tensor:
        bottom = low if low is not None or minimum is None else minimum.to(x.device)
        top = high if high is not None or maximum is None else maximum.to(x.device)
        if fixed and x.is_floating_point():
            return F.hardtanh(x, low, high)  # the same, and its gradient takes a quarter of the time of a clamp's
        return x if bottom is None and top is None else torch.clamp(x, bottom, top)

    return run


def _scalar(node: NodeView, index: int) -> float | int | None:
    constant = node.constants[index] if index < len(node.constants) else None
    return None if constant is None else constant.item()


def softmax(node: NodeView) -> Kernel:
    return _along_axis(node, torch.softmax)


def log_softmax(node: NodeView) -> Kernel:
    return _along_axis(node, torch.log_softmax)


def _along_axis(node: NodeView, function: Callable[..., Tensor]) -> Kernel:
    """Before opset 13 the default axis is 1 and all axes from it on are taken as one; since then one axis, the last."""
    if node.opset >= 13:
        axis = int(node.get("axis", -1))
        return lambda x: function(x, dim=axis)
    start = int(node.get("axis", 1))

    def run(x: Tensor) -> Tensor:
        axis = start % x.dim()
        return function(x.flatten(axis), dim=axis).reshape(x.shape)

    return run


def hardmax(node: NodeView) -> Kernel:
    def one_hot(x: Tensor, dim: int) -> Tensor:
        return torch.zeros_like(x).scatter(dim, x.argmax(dim, keepdim=True), 1)

    return _along_axis(node, one_hot)
