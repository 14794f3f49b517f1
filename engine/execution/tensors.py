"""ONNX tensors and element types to PyTorch's and back, bit for bit."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor

TORCH_TYPES = {
    ir.DataType.FLOAT: torch.float32,
    ir.DataType.UINT8: torch.uint8,
    ir.DataType.INT8: torch.int8,
    ir.DataType.UINT16: torch.uint16,
    ir.DataType.INT16: torch.int16,
    ir.DataType.INT32: torch.int32,
    ir.DataType.INT64: torch.int64,
    ir.DataType.BOOL: torch.bool,
    ir.DataType.FLOAT16: torch.float16,
    ir.DataType.DOUBLE: torch.float64,
    ir.DataType.UINT32: torch.uint32,
    ir.DataType.UINT64: torch.uint64,
    ir.DataType.BFLOAT16: torch.bfloat16,
}


def to_torch(tensor: ir.TensorProtocol) -> Tensor:
    """Copy an ONNX tensor into a CPU tensor of the same element type."""
    array = np.array(tensor.numpy(), order="C")
    if tensor.dtype == ir.DataType.BFLOAT16:  # NumPy has no such type of its own
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def to_onnx(tensor: Tensor, like: ir.TensorProtocol) -> ir.TensorProtocol:
    """Copy a tensor into an ONNX tensor that takes the name and element type of `like`."""
    values = tensor.detach().cpu().contiguous().to(TORCH_TYPES[like.dtype])
    if like.dtype == ir.DataType.BFLOAT16:
        return ir.Tensor(values.view(torch.int16).numpy().view(like.dtype.numpy()), dtype=like.dtype, name=like.name)
    return ir.Tensor(values.numpy().copy(), dtype=like.dtype, name=like.name)
