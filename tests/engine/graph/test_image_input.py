"""What counts as an image input, and what the others are told."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from engine.errors import ModelError
from engine.graph.image_input import require_image_input
from engine.graph.model import Model
from tests.networks import NETWORKS, residual


@pytest.mark.parametrize("name", NETWORKS)
def test_one_float32_input_is_an_image_input(name: str) -> None:
    model = NETWORKS[name][0]()

    assert require_image_input(model) == model.inputs[0]


@pytest.mark.parametrize("dtype", [ir.DataType.FLOAT16, ir.DataType.UINT8, ir.DataType.INT64])
def test_another_element_type_is_named(dtype: ir.DataType) -> None:
    model = residual()
    model.graph.inputs[0].dtype = dtype

    with pytest.raises(ModelError, match=f"'image' of {dtype.numpy()}.*one float32 image input"):
        require_image_input(model)


def test_more_or_fewer_inputs_are_counted_and_named() -> None:
    two = residual()
    two.graph.inputs.append(ir.Value(name="mask", type=ir.TensorType(ir.DataType.BOOL), shape=ir.Shape([1])))
    none = Model(ir.Model(ir.Graph([], [], nodes=[], opset_imports={"": 18}), ir_version=8))

    with pytest.raises(ModelError, match="2 inputs: 'image' of float32, 'mask' of bool"):
        require_image_input(two)
    with pytest.raises(ModelError, match="0 inputs: none"):
        require_image_input(none)
