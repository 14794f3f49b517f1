"""What users send: a small residual network with pictures of its size, and everything that is wrong with such files."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

SIDE, WIDTH, BLOCKS = 8, 8, 3


class Draft:
    """Nodes and weights as they are written down; weights are drawn from one seed."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.generator = np.random.default_rng(0)

    def add(self, kind: str, *inputs: str, domain: str = "", **attributes: object) -> str:
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, domain=domain, **attributes))
        return name

    def conv(self, source: str, width_in: int, width: int, gain: float = 1.0) -> str:
        drawn = self.generator.standard_normal((width, width_in, 3, 3)) * gain * np.sqrt(2 / (9 * width_in))
        return self.add("Conv", source, self.weight(drawn), pads=[1, 1, 1, 1])

    def weight(self, values: NDArray[np.float64]) -> str:
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def finish(self, source: str) -> bytes:
        """Close with pooling and ten logits, and return the file."""
        pooled = self.add("Flatten", self.add("GlobalAveragePool", source))
        matrix = self.weight(self.generator.standard_normal((WIDTH, 10)))
        self.nodes.append(helper.make_node("Gemm", [pooled, matrix], ["logits"], name="head"))
        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, SIDE, SIDE])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])],
            self.weights,
        )
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid("example.custom", 1)]
        return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())


def residual_network() -> bytes:
    """Three residual branches whose voice is weak, so that the network can do without some of them."""
    draft = Draft()
    features = draft.add("Relu", draft.conv("image", 1, WIDTH))
    for _ in range(BLOCKS):
        inner = draft.add("Relu", draft.conv(features, WIDTH, WIDTH))
        features = draft.add("Relu", draft.add("Add", draft.conv(inner, WIDTH, WIDTH, gain=0.2), features))
    return draft.finish(features)


def plain_network() -> bytes:
    """One convolution and one pooling, neither of one shape before and after: nothing can be removed."""
    draft = Draft()
    return draft.finish(draft.add("MaxPool", draft.conv("image", 1, WIDTH), kernel_shape=[2, 2], strides=[2, 2]))


def network_of_a_foreign_domain() -> bytes:
    draft = Draft()
    return draft.finish(draft.add("Sparkle", draft.conv("image", 1, WIDTH), domain="example.custom"))


def pictures(count: int = 40, mode: str = "L") -> bytes:
    """A zip of drawn pictures in class folders 0 to 9."""
    generator = np.random.default_rng(1)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(count):
            coarse = generator.integers(0, 256, (4, 4) if mode == "L" else (4, 4, 3), dtype=np.uint8)
            picture = io.BytesIO()
            Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(picture, format="PNG")
            archive.writestr(f"{number % 10}/{number:03d}.png", picture.getvalue())
    return packed.getvalue()


def zip_without_images() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("notes.txt", "no pictures here")
    return packed.getvalue()


def arrays(*shape: int) -> bytes:
    packed = io.BytesIO()
    np.savez(packed, images=np.zeros(shape, np.float32))
    return packed.getvalue()
