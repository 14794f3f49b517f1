"""Whole numbers of 8 bits by ONNX Runtime's static quantiser, with ranges from the images of the repair."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
import onnx_ir as ir
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from engine.data.images import ImageSet
from engine.graph.edits import kind
from engine.graph.image_input import require_image_input
from engine.graph.model import Model
from engine.measure.batches import input_batches
from engine.measure.feeds import Feed
from engine.outputs.converted import Converted, NotConvertible, as_delivered
from engine.outputs.integers import integers_here
from engine.recipe import Deploy

QUANTISED = {"QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"}


def convert(source: Model, images: ImageSet, deploy: Deploy) -> Converted:
    """Return the network with pairs that quantise before, and dequantise behind, what the runtime then does in 8 bits.

    With a range of 0 to 6 an activation of 1.49 becomes 63, which stands for 1.482. Raises NotConvertible where the
    network is quantised already, or nothing in it can be.
    """
    if QUANTISED & {kind(node) for node in source.graph}:
        raise NotConvertible("The network is quantised already.")
    numbers = integers_here(deploy)
    proto = ir.to_proto(source.ir)
    add_pre_process_metadata(proto)  # its own preparation is what we did on loading, and it would warn of the lack
    with tempfile.TemporaryDirectory() as folder, _silence():
        path = Path(folder) / "int8.onnx"
        quantize_static(
            proto,
            path,
            _Ranges(source, images),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=numbers.reduced,
            activation_type=QuantType.QInt8 if numbers.signed else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={"ActivationSymmetric": numbers.signed},
        )
        network = as_delivered(onnx.load(path), source)
    if not QUANTISED & {kind(node) for node in network.graph}:
        raise NotConvertible("The network has no operator that ONNX Runtime can quantise.")
    return Converted(network, str(numbers))


@contextmanager
def _silence() -> Iterator[None]:
    """Keep the quantiser's warnings out of the job's log: it warns of each norm whose scale has no second axis."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


class _Ranges:
    """Feeds the quantiser, batch by batch, with what shows it how large each activation gets."""

    def __init__(self, source: Model, images: ImageSet) -> None:
        name = require_image_input(source).name
        self._feeds: Iterator[Feed] = ({name: inputs} for inputs, _ in input_batches(source, images))

    def get_next(self) -> Feed | None:
        return next(self._feeds, None)
