"""Plain-torch definitions of the networks that depth pruning is tried on: what peers need that take modules only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.networks.folded import fill, measure_batch_norm, weights_of
from benchmarks.networks.inverted import LITE0, MOBILENET_LIKE, InvertedResiduals
from benchmarks.networks.network import Network
from benchmarks.networks.resnet import ResNet
from benchmarks.networks.train import Training
from benchmarks.networks.vgg import Vgg


@dataclass(frozen=True)
class Definition:
    """`build` gives random weights; images are `side` x `side`. The weights are NAME.pth, or an ONNX file to read."""

    build: Callable[[], Network]
    side: int = 32
    is_folded: bool = False


NETWORKS: dict[str, Definition] = {
    "cifar10-resnet20": Definition(partial(ResNet, 3)),
    "cifar10-resnet56": Definition(partial(ResNet, 9)),
    "vgg-like": Definition(Vgg),
    "mobilenet-like": Definition(partial(InvertedResiduals, MOBILENET_LIKE)),
    "imagenet-efficientnet-lite0": Definition(partial(InvertedResiduals, LITE0), side=224, is_folded=True),
}

TRAINED = {"mobilenet-like": Training(epochs=5, rate=0.3, small_share=0.5), "vgg-like": Training(epochs=6)}
"""The networks that `python -m benchmarks.networks` trains, and how."""


def build(name: str) -> Network:
    """Return one of NETWORKS with random weights."""
    return NETWORKS[name].build()


def load_network(name: str, folder: Path, images: Tensor) -> Network:
    """Return one of NETWORKS with its trained weights, in evaluation mode.

    Where batch norm is folded in the file, it is put back with statistics of `images`, (count, 3, side, side).
    """
    network = build(name)
    if NETWORKS[name].is_folded:
        assert isinstance(network, InvertedResiduals)
        fill(network, weights_of(folder / f"{name}.onnx"))
        measure_batch_norm(network, images)
    else:
        network.load_state_dict(torch.load(folder / f"{name}.pth", weights_only=True))
    return network.eval()
