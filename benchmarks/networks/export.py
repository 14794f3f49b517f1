"""A network as the ONNX file that a user would send: today's exporter, batch norm folded, any batch."""

from __future__ import annotations

import copy
import os
import warnings
from pathlib import Path

import torch
from torch import nn

OPSET = 18


def export(network: nn.Module, image_size: int, path: Path) -> None:
    """Write the network in evaluation mode: input `image` (batch, 3, size, size), output `logits`.

    The file is there whole or not at all.
    """
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    images = torch.zeros(2, 3, image_size, image_size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter speaks of its own internals
        torch.onnx.export(
            copy.deepcopy(network).eval().requires_grad_(False).to(memory_format=torch.contiguous_format),
            (images,),
            unfinished,
            dynamo=True,
            opset_version=OPSET,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            input_names=["image"],
            output_names=["logits"],
            external_data=False,
            verbose=False,
        )
    unfinished.rename(path)
