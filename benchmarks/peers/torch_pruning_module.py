"""Torch-Pruning on one family of the zoo, as the live module that it takes; it reads no ONNX. `... FAMILY`"""

from __future__ import annotations

import sys
import time

import torch
import torch_pruning
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.peers import SPARSITY, Answer, tell
from benchmarks.zoo.families import build, images


def main() -> None:
    (family,) = sys.argv[1:]
    network, batch = build(family), images(family, 1)
    before, classes = _flops(network, batch), _classes(network, batch)
    started = time.process_time()
    pruner = torch_pruning.pruner.BasePruner(
        network,
        batch,
        importance=torch_pruning.importance.MagnitudeImportance(p=1),
        pruning_ratio=SPARSITY,
        ignored_layers=heads(network, classes),
        num_heads=attention_heads(network),
        round_to=8,
    )
    pruner.step()
    seconds = time.process_time() - started
    share = 1 - _flops(network, batch) / before
    valid = _classes(network, batch) == classes
    tell(Answer(share if valid else None, "" if valid else "other outputs than before", round(seconds, 2)))


def _flops(network: nn.Module, batch: Tensor) -> int:
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(batch)
    return counter.get_total_flops()


def _classes(network: nn.Module, batch: Tensor) -> int:
    with torch.inference_mode():
        return int(network(batch).shape[1])


def heads(network: nn.Module, classes: int) -> list[nn.Module]:
    """Name the layers that make the scores, as the package's manual asks."""
    return [
        module
        for module in network.modules()
        if getattr(module, "out_features", getattr(module, "out_channels", None)) == classes
    ]


def attention_heads(network: nn.Module) -> dict[nn.Module, int]:
    """Tell the number of heads of each packed projection, which the package does not find out."""
    heads: dict[nn.Module, int] = {}
    for module in network.modules():
        if hasattr(module, "num_heads") and isinstance(getattr(module, "qkv", None), nn.Linear):
            heads[module.qkv] = module.num_heads
        elif isinstance(module, nn.MultiheadAttention):
            heads[module] = module.num_heads
    return heads


if __name__ == "__main__":
    main()
