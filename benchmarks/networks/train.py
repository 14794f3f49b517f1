"""Ordinary training of a classifier from nothing, as short as a CPU asks: one cycle of the learning rate, small first.

Smith and Topin, "Super-Convergence", 2018. The first part of the steps sees smaller images, at half of the cost.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.networks.network import Network
from benchmarks.networks.pictures import Pictures, normalise, vary
from engine.recovery.precision import has_matrix_tiles

TOLD_EVERY = 100


@dataclass(frozen=True)
class Training:
    epochs: float
    batch: int = 128
    rate: float = 0.4
    weight_decay: float = 5e-4
    smoothing: float = 0.05
    shift: int = 2
    small_side: int = 24
    small_share: float = 0.4


def train(network: Network, pictures: Pictures, how: Training, seed: int) -> None:
    """Train in place, in half precision where the processor is faster at it; the weights stay in single precision."""
    generator = torch.Generator().manual_seed(seed)
    network.to(memory_format=torch.channels_last).train()
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.groups > 1 and module.stride != (1, 1):
            _keep_single(module)
    steps = int(how.epochs * len(pictures.labels) / how.batch)
    optimiser = torch.optim.SGD(
        network.parameters(), how.rate, momentum=0.9, nesterov=True, weight_decay=how.weight_decay
    )
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, how.rate, steps, pct_start=0.2, final_div_factor=1e3)
    order = torch.empty(0, dtype=torch.int64)
    for step in range(steps):
        if len(order) < how.batch:
            order = torch.randperm(len(pictures.labels), generator=generator)
        chosen, order = order[: how.batch], order[how.batch :]
        images = vary(normalise(pictures.pixels[chosen]), how.shift, generator)
        if step < how.small_share * steps:
            images = _smaller(images, how.small_side)
        optimiser.zero_grad()
        loss = _loss(network, images, pictures.labels[chosen], how.smoothing)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own lacks types
        optimiser.step()
        cycle.step()
        if (step + 1) % TOLD_EVERY == 0:
            print(f"step {step + 1} of {steps}: loss {loss.item():.3f}", file=sys.stderr, flush=True)


def accuracy(network: Network, pictures: Pictures, count: int, batch: int = 250) -> float:
    """Return top-1, 0 to 1, on `count` pictures evenly spaced over the set."""
    chosen = torch.linspace(0, len(pictures.labels) - 1, count).long()
    hits = 0
    network.eval()
    with torch.inference_mode():
        for part in torch.split(chosen, batch):
            logits = network(normalise(pictures.pixels[part]))
            hits += int((logits.argmax(1) == pictures.labels[part]).sum())
    return hits / count


def _smaller(images: Tensor, side: int) -> Tensor:
    return functional.interpolate(images, size=(side, side), mode="bilinear", antialias=True)


def _loss(network: Network, images: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16, enabled=has_matrix_tiles()):
        logits = network(images.contiguous(memory_format=torch.channels_last))
    return functional.cross_entropy(logits.float(), labels, label_smoothing=smoothing)


def _keep_single(convolution: nn.Conv2d) -> None:
    """Run it in single precision: the gradient of a strided depthwise convolution is thirty times slower in half."""
    plain = convolution.forward

    def forward(inputs: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return plain(inputs.float())

    convolution.forward = forward  # type: ignore[assignment,method-assign]  # of this instance alone
