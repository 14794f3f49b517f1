"""Tiny networks, written as ONNX text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from engine.data.images import ImageSet
from engine.graph.model import Model

Parse = Callable[[str], Model]
MakeImages = Callable[..., ImageSet]


@pytest.fixture
def parse() -> Parse:
    """Read the text form of a graph, as the ONNX documentation writes it, into a model of opset 18."""

    def parse(graph: str) -> Model:
        return Model(ir.from_proto(onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 18]> {graph}')))

    return parse


@pytest.fixture
def images() -> MakeImages:
    """Draw so many images of one shape from the standard normal distribution."""

    def images(count: int, *shape: int, labels: list[int] | None = None) -> ImageSet:
        inputs = np.random.default_rng(0).standard_normal((count, *shape), dtype=np.float32)
        names = tuple(str(index) for index in range(count))
        return ImageSet(inputs, None if labels is None else np.array(labels, np.int64), names)

    return images
