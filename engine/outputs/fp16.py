"""Half precision by ONNX Runtime's converter: weights of 16 bits, inputs and outputs as they were."""

from __future__ import annotations

import onnx_ir as ir
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

from engine.data.images import ImageSet
from engine.graph.model import Model
from engine.outputs.converted import Converted, NotConvertible, as_delivered
from engine.recipe import Deploy

HOW = "numbers of 16 bits, but for norms and operators that know none; inputs and outputs as in model.onnx"

NORMS = ("GroupNormalization", "InstanceNormalization", "LayerNormalization", "RMSNormalization")
"""They add up squares, which halves overflow on. And ONNX Runtime 1.31 crashes on opening a trained ViT, or gives other
numbers at its second run, where layer norms are in half precision."""


def convert(source: Model, _images: ImageSet, _deploy: Deploy) -> Converted:
    """Return the network in half precision. A weight of 1e-9 becomes 6e-8, the least that there is; one of 1e6, 65504.

    Raises NotConvertible where no weight is of 32 bits.
    """
    if not any(value.dtype == ir.DataType.FLOAT for value in source.graph.initializers.values()):
        raise NotConvertible("No weight of the network is a number of 32 bits.")
    in_32_bits = [*DEFAULT_OP_BLOCK_LIST, *NORMS]
    proto = convert_float_to_float16(ir.to_proto(source.ir), keep_io_types=True, op_block_list=in_32_bits)
    return Converted(as_delivered(proto, source), HOW)
