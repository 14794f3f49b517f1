"""Blocks taken out of a network, and the 1x1 convolutions that PRACTISE puts around the gap and folds away again."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from benchmarks.networks.network import Droppable, Network


def without(network: Network, blocks: Iterable[str]) -> Network:
    """Return a copy in which these blocks pass on what comes to them."""
    cut = copy.deepcopy(network)
    for block in blocks:
        cut.set_submodule(block, nn.Identity(), strict=True)
    return cut


def insert_adapters(network: Network, around: Droppable) -> list[nn.Parameter]:
    """Put an identity after each writer, before its batch norm, and before each reader; return their weights.

    Adapters have no bias, so that zeros at a border stay zeros, and none stands on the stream itself.
    """
    adapters = []
    for path in around.writers:
        convolution = _convolution(network, path)
        adapters.append(_identity(convolution.out_channels))
        network.set_submodule(path, nn.Sequential(convolution, adapters[-1]), strict=True)
    for path in around.readers:
        convolution = _convolution(network, path)
        adapters.append(_identity(convolution.in_channels))
        network.set_submodule(path, nn.Sequential(adapters[-1], convolution), strict=True)
    return [weight for adapter in adapters for weight in adapter.parameters()]


def absorb_adapters(network: Network, around: Droppable) -> None:
    """Fold what `insert_adapters` put there into its convolution, by a product in double precision."""
    for path in around.writers:
        convolution, adapter = _pair(network, path)
        mixing = _matrix(adapter)
        _replace(network, path, convolution, torch.einsum("po,oikl->pikl", mixing, convolution.weight.double()))
    for path in around.readers:
        adapter, convolution = _pair(network, path)
        mixing = _matrix(adapter)
        _replace(network, path, convolution, torch.einsum("oikl,ij->ojkl", convolution.weight.double(), mixing))


def _identity(channels: int) -> nn.Conv2d:
    adapter = nn.Conv2d(channels, channels, 1, bias=False)
    with torch.no_grad():
        adapter.weight.copy_(torch.eye(channels).reshape(channels, channels, 1, 1))
    return adapter


def _convolution(network: Network, path: str) -> nn.Conv2d:
    convolution = network.get_submodule(path)
    assert isinstance(convolution, nn.Conv2d)
    assert convolution.groups == 1
    return convolution


def _pair(network: Network, path: str) -> tuple[nn.Conv2d, nn.Conv2d]:
    first, second = network.get_submodule(path).children()
    assert isinstance(first, nn.Conv2d)
    assert isinstance(second, nn.Conv2d)
    return first, second


def _matrix(adapter: nn.Conv2d) -> Tensor:
    """Return (to, from)."""
    return adapter.weight.detach().double().flatten(1)


def _replace(network: Network, path: str, convolution: nn.Conv2d, weight: Tensor) -> None:
    with torch.no_grad():
        convolution.weight.copy_(weight)
    network.set_submodule(path, convolution, strict=True)
