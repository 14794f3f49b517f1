"""Tiny networks with one difficulty each, drawn with fixed seeds; NETWORKS names them with their number of units."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from engine.graph.model import Model

CHANNELS = 8
Shape = tuple[int | str, ...]
Outputs = dict[str, tuple[int, Shape]]
IMAGE: Shape = ("batch", 3, 16, 16)
ONE_IMAGE: Shape = (1, 3, 16, 16)


class Draft:
    """An ONNX graph in the making: `node` and `weight` return the names of the values that they add."""

    def __init__(self, opset: int = 18, seed: int = 0) -> None:
        self.opset = opset
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def node(self, op_type: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        index = len(self.nodes)
        names = [f"{op_type.lower()}_{index}" if i == 0 else f"{op_type.lower()}_{index}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op_type, inputs, names, name=f"node_{index}_{op_type}", **attributes))
        return names[0]

    def constant(self, values: Any, dtype: type = np.float32) -> str:
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def weight(self, *shape: int, scale: float | None = None) -> str:
        spread = scale if scale is not None else float(np.prod(shape[1:])) ** -0.5 if len(shape) > 1 else 0.1
        return self.constant(self.random.standard_normal(shape) * spread)

    def conv(self, x: str, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, group: int = 1) -> str:
        weight, bias = self.weight(outputs, inputs // group, kernel, kernel), self.weight(outputs)
        sizes = {"kernel_shape": [kernel, kernel], "strides": [stride, stride], "pads": [kernel // 2] * 4}
        return self.node("Conv", x, weight, bias, group=group, **sizes)

    def batch_norm(self, x: str, channels: int) -> str:
        scale = self.constant(self.random.uniform(0.5, 1.5, channels))
        bias, mean = self.weight(channels), self.weight(channels)
        return self.node(
            "BatchNormalization", x, scale, bias, mean, self.constant(self.random.uniform(0.5, 1.5, channels))
        )

    def classify(self, x: str, channels: int = CHANNELS, classes: int = 5) -> str:
        pooled = self.node("Flatten", self.node("GlobalAveragePool", x))
        return self.node("Gemm", pooled, self.weight(classes, channels), self.weight(classes), transB=1)

    def model(
        self, output: str, input_shape: Shape = IMAGE, output_shape: Shape | None = None, also: Outputs | None = None
    ) -> Model:
        """Finish the network: one output, of five scores unless told otherwise, and `also` these."""
        outputs: Outputs = {output: (TensorProto.FLOAT, output_shape or (input_shape[0], 5)), **(also or {})}
        graph = helper.make_graph(
            self.nodes,
            "tiny",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, input_shape)],
            [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in outputs.items()],
            self.weights,
        )
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        return Model(ir.from_proto(proto))


def stem(draft: Draft, image: str = "image", inputs: int = 3) -> str:
    return draft.node("Relu", draft.conv(image, inputs, CHANNELS))


def basic_branch(draft: Draft, x: str) -> str:
    return draft.conv(draft.node("Relu", draft.conv(x, CHANNELS, CHANNELS)), CHANNELS, CHANNELS)


def blocks(draft: Draft, x: str, count: int) -> str:
    for _ in range(count):
        x = draft.node("Relu", draft.node("Add", x, basic_branch(draft, x)))
    return x


def residual(input_shape: Shape = IMAGE) -> Model:
    """Three blocks with a Relu after each sum, as in ResNet."""
    draft = Draft()
    return draft.model(draft.classify(blocks(draft, stem(draft), 3)), input_shape)


def residual_of_one() -> Model:
    """A batch of one, as many exporters fix it."""
    return residual(ONE_IMAGE)


def channels_last() -> Model:
    """Images whose channels come last, turned at the door."""
    draft = Draft()
    x = stem(draft, draft.node("Transpose", "image", perm=[0, 3, 1, 2]))
    return draft.model(draft.classify(blocks(draft, x, 2)), ("batch", 16, 16, 3))


def grey() -> Model:
    """Images of one channel."""
    draft = Draft()
    return draft.model(draft.classify(blocks(draft, stem(draft, inputs=1), 2)), ("batch", 1, 16, 16))


def scores_and_map() -> Model:
    """Two outputs: class scores, and the feature map that they are read from."""
    draft = Draft()
    x = blocks(draft, stem(draft), 2)
    return draft.model(draft.classify(x), also={x: (TensorProto.FLOAT, ("batch", CHANNELS, 16, 16))})


def scores_and_class() -> Model:
    """Two outputs: class scores, and the best one's index, which has no gradient."""
    draft = Draft()
    scores = draft.classify(blocks(draft, stem(draft), 2))
    best = draft.node("ArgMax", scores, axis=1, keepdims=0)
    return draft.model(scores, also={best: (TensorProto.INT64, ("batch",))})


def rectified_scores() -> Model:
    """A Relu behind the class scores."""
    draft = Draft()
    return draft.model(draft.node("Relu", draft.classify(blocks(draft, stem(draft), 2))))


def half_weights() -> Model:
    """Weights kept in half precision and widened where they are read."""
    draft = Draft()
    x = stem(draft)
    kernels = [draft.constant(draft.random.standard_normal((CHANNELS, CHANNELS, 3, 3)) / 8, np.float16) for _ in "ab"]
    for kernel in kernels:
        branch = draft.node("Conv", x, draft.node("Cast", kernel, to=TensorProto.FLOAT), pads=[1, 1, 1, 1])
        x = draft.node("Relu", draft.node("Add", x, branch))
    return draft.model(draft.classify(x))


def half_precision() -> Model:
    """All in half precision but the image and the scores. Not among NETWORKS: rounding is larger than their laws."""
    draft = Draft()
    x = draft.node("Cast", "image", to=TensorProto.FLOAT16)
    x = draft.node("Cast", draft.classify(blocks(draft, stem(draft, x), 2)), to=TensorProto.FLOAT)
    for weight in draft.weights:
        weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), weight.name))
    return draft.model(x)


def branch_first() -> Model:
    """The sum names its branch before its source."""
    draft = Draft()
    x = stem(draft)
    for _ in range(2):
        x = draft.node("Add", basic_branch(draft, x), x)
    return draft.model(draft.classify(x))


def residual_with_batch_norm() -> Model:
    """Batch norm after each convolution, not folded."""
    draft = Draft()
    x = draft.node("Relu", draft.batch_norm(draft.conv("image", 3, CHANNELS), CHANNELS))
    for _ in range(2):
        y = draft.node("Relu", draft.batch_norm(draft.conv(x, CHANNELS, CHANNELS), CHANNELS))
        y = draft.batch_norm(draft.conv(y, CHANNELS, CHANNELS), CHANNELS)
        x = draft.node("Relu", draft.node("Add", y, x))
    return draft.model(draft.classify(x))


def inverted_residual() -> Model:
    """Depthwise convolutions between Clips, and a linear sum that is read twice: by the next block and by its skip."""
    draft = Draft()
    x, low, high = stem(draft), draft.constant(0.0), draft.constant(6.0)
    for _ in range(2):
        y = draft.node("Clip", draft.conv(x, CHANNELS, 2 * CHANNELS, kernel=1), low, high)
        y = draft.node("Clip", draft.conv(y, 2 * CHANNELS, 2 * CHANNELS, group=2 * CHANNELS), low, high)
        x = draft.node("Add", x, draft.conv(y, 2 * CHANNELS, CHANNELS, kernel=1))
    return draft.model(draft.classify(x))


def squeeze_excite() -> Model:
    """A gate inside the branch: a value that is read twice there, and by nobody outside."""
    draft = Draft()
    x = stem(draft)
    y = draft.conv(x, CHANNELS, CHANNELS)
    gate = draft.node("GlobalAveragePool", y)
    gate = draft.node("Relu", draft.conv(gate, CHANNELS, 4, kernel=1))
    gate = draft.node("HardSigmoid", draft.conv(gate, 4, CHANNELS, kernel=1))
    x = draft.node("Add", x, draft.node("Mul", gate, y))
    return draft.model(draft.classify(x))


def transformer(input_shape: Shape = IMAGE) -> Model:
    """One attention and one MLP, whose shapes are worked out from the input's while the network runs."""
    draft = Draft(opset=17)
    width, heads, tokens = 12, 3, 16
    patches = draft.node("Conv", "image", draft.weight(width, 3, 4, 4), kernel_shape=[4, 4], strides=[4, 4])
    batch = draft.node("Gather", draft.node("Shape", "image"), draft.constant([0], np.int64), axis=0)
    flat = draft.node("Concat", batch, draft.constant([width, tokens], np.int64), axis=0)
    x = draft.node("Transpose", draft.node("Reshape", patches, flat), perm=[0, 2, 1])
    x = draft.node("Add", x, draft.weight(1, tokens, width))

    normed = layer_norm(draft, x, width)
    split = draft.node("Concat", batch, draft.constant([tokens, heads, width // heads], np.int64), axis=0)
    queries, keys, values = (
        draft.node("Reshape", draft.node("MatMul", normed, draft.weight(width, width)), split) for _ in range(3)
    )
    scores = draft.node(
        "MatMul", draft.node("Transpose", queries, perm=[0, 2, 1, 3]), draft.node("Transpose", keys, perm=[0, 2, 3, 1])
    )
    weights = draft.node("Softmax", draft.node("Mul", scores, draft.constant(0.5)), axis=-1)
    mixed = draft.node("MatMul", weights, draft.node("Transpose", values, perm=[0, 2, 1, 3]))
    joined = draft.node("Concat", batch, draft.constant([tokens, width], np.int64), axis=0)
    mixed = draft.node("Reshape", draft.node("Transpose", mixed, perm=[0, 2, 1, 3]), joined)
    x = draft.node("Add", x, draft.node("MatMul", mixed, draft.weight(width, width)))

    hidden = draft.node("MatMul", layer_norm(draft, x, width), draft.weight(width, 2 * width))
    x = draft.node("Add", x, draft.node("MatMul", tanh_gelu(draft, hidden), draft.weight(2 * width, width)))
    mean = draft.node("ReduceMean", x, axes=[1], keepdims=0)
    return draft.model(draft.node("Gemm", mean, draft.weight(5, width), draft.weight(5), transB=1), input_shape)


def transformer_of_one() -> Model:
    """A batch of one, so that the arithmetic of shapes folds away."""
    return transformer(ONE_IMAGE)


def layer_norm(draft: Draft, x: str, width: int) -> str:
    return draft.node("LayerNormalization", x, draft.constant(np.ones(width)), draft.weight(width), axis=-1)


def tanh_gelu(draft: Draft, x: str) -> str:
    """Spell out 0.5 x (1 + tanh(0.8 (x + 0.045 x³))): a sum with a skip that is no block."""
    cube = draft.node("Pow", x, draft.constant(3.0))
    inner = draft.node("Add", x, draft.node("Mul", cube, draft.constant(0.044715)))
    inner = draft.node("Tanh", draft.node("Mul", inner, draft.constant(0.7978845)))
    half = draft.node("Mul", x, draft.constant(0.5))
    return draft.node("Mul", half, draft.node("Add", inner, draft.constant(1.0)))


def nested() -> Model:
    """A residual block inside the branch of another."""
    draft = Draft()
    x = stem(draft)
    y = draft.node("Relu", draft.conv(x, CHANNELS, CHANNELS))
    y = draft.node("Add", y, basic_branch(draft, y))
    x = draft.node("Add", x, draft.conv(y, CHANNELS, CHANNELS))
    return draft.model(draft.classify(x))


def nested_last(branch_first: bool = True) -> Model:
    """The outer branch ends in the inner sum: once the inner one is gone, the outer sum reads another value."""
    draft = Draft()
    x = stem(draft)
    y = draft.node("Relu", draft.conv(x, CHANNELS, CHANNELS))
    y = draft.node("Add", y, basic_branch(draft, y))
    x = draft.node("Add", y, x) if branch_first else draft.node("Add", x, y)
    return draft.model(draft.classify(x))


def shared_weights() -> Model:
    """Two blocks that read the same kernel."""
    draft = Draft()
    x, kernel = stem(draft), draft.weight(CHANNELS, CHANNELS, 3, 3)
    for _ in range(2):
        x = draft.node("Relu", draft.node("Add", x, draft.node("Conv", x, kernel, pads=[1, 1, 1, 1])))
    return draft.model(draft.classify(x))


def sum_is_output() -> Model:
    """The last sum is the network's own output, whose name must stay."""
    draft = Draft()
    x = stem(draft)
    y = draft.node("Relu", draft.node("Add", x, basic_branch(draft, x)))
    total = draft.node("Add", y, basic_branch(draft, y))
    return draft.model(total, output_shape=("batch", CHANNELS, 16, 16))


def source_is_input() -> Model:
    """The skip starts at the network's input."""
    draft = Draft()
    y = draft.conv(draft.node("Relu", draft.conv("image", 3, CHANNELS)), CHANNELS, 3)
    x = draft.node("Relu", draft.node("Add", "image", y))
    return draft.model(draft.classify(x, channels=3))


def clutter() -> Model:
    """What exporters leave: constants as nodes, Identity, Dropout, shape arithmetic that always says the same."""
    draft = Draft()
    x = draft.node("Identity", stem(draft))
    half = draft.node("Constant", value=numpy_helper.from_array(np.float32(0.5)))
    y = draft.node("Dropout", draft.node("Mul", basic_branch(draft, x), half), outputs=2)
    x = draft.node("Relu", draft.node("Add", x, y))
    tail = draft.node("Slice", draft.node("Shape", x), *(draft.constant([at], np.int64) for at in (1, 4, 0)))
    whole = draft.node("Concat", draft.constant([-1], np.int64), tail, axis=0)
    return draft.model(draft.classify(draft.node("Reshape", x, whole)))


def windows() -> Model:
    """The branch is cut into windows by division of sizes, which inference alone cannot follow."""
    draft = Draft(opset=17)
    x = stem(draft)
    batch = draft.node("Gather", draft.node("Shape", x), draft.constant([0], np.int64), axis=0)
    height = draft.node("Gather", draft.node("Shape", x), draft.constant([2], np.int64), axis=0)
    halves = draft.node("Div", height, draft.constant([2], np.int64))
    two, channels = draft.constant([2], np.int64), draft.constant([CHANNELS], np.int64)
    cut = draft.node("Concat", draft.node("Mul", batch, two), channels, halves, height, axis=0)
    whole = draft.node("Concat", batch, channels, draft.node("Mul", halves, two), height, axis=0)
    inside = draft.conv(draft.node("Reshape", x, cut), CHANNELS, CHANNELS)
    x = draft.node("Add", x, draft.node("Reshape", inside, whole))
    return draft.model(draft.classify(x))


def old_opset() -> Model:
    """Opset 11: axes and sizes in attributes, a Softmax that flattens."""
    draft = Draft(opset=11)
    x = stem(draft)
    x = draft.node("Relu", draft.node("Add", x, basic_branch(draft, x)))
    x = draft.node("Squeeze", draft.node("ReduceMean", x, axes=[2, 3], keepdims=1), axes=[2, 3])
    logits = draft.node("Gemm", x, draft.weight(5, CHANNELS), draft.weight(5), transB=1)
    return draft.model(draft.node("Softmax", logits))


def projected_skip() -> Model:
    """A convolution on the skip: no identity."""
    draft = Draft()
    x = stem(draft)
    x = draft.node("Add", draft.conv(x, CHANNELS, CHANNELS, kernel=1), basic_branch(draft, x))
    return draft.model(draft.classify(x))


def leaking_branch() -> Model:
    """The inside of the branch is read further on, so that it cannot go."""
    draft = Draft()
    x = stem(draft)
    inside = draft.node("Relu", draft.conv(x, CHANNELS, CHANNELS))
    x = draft.node("Add", x, draft.conv(inside, CHANNELS, CHANNELS))
    return draft.model(draft.classify(draft.node("Mul", x, inside)))


def broadcast_branch() -> Model:
    """The branch is one number a channel: equal rank, unequal shape."""
    draft = Draft()
    x = stem(draft)
    x = draft.node("Add", x, draft.conv(draft.node("GlobalAveragePool", x), CHANNELS, CHANNELS, kernel=1))
    return draft.model(draft.classify(x))


def path_round_the_source() -> Model:
    """The branch also reads the image, past the source."""
    draft = Draft()
    x = stem(draft)
    y = draft.node("Mul", draft.conv(x, CHANNELS, CHANNELS), draft.conv("image", 3, CHANNELS))
    return draft.model(draft.classify(draft.node("Add", x, y)))


def dense() -> Model:
    """Concatenation in place of sums, as in DenseNet, and no layer that gives back the shape that it takes."""
    draft = Draft()
    x = stem(draft)
    x = draft.node("Concat", x, draft.conv(x, CHANNELS, CHANNELS // 2), axis=1)
    return draft.model(draft.classify(draft.conv(x, 12, 6), channels=6))


def plain() -> Model:
    """Convolutions and Relus one behind the other, as in VGG: no sum, but three layers that keep their shape."""
    draft = Draft()
    x = stem(draft)
    for _ in range(3):
        x = draft.node("Relu", draft.conv(x, CHANNELS, CHANNELS))
    x = draft.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = draft.node("Relu", draft.conv(x, CHANNELS, 2 * CHANNELS))
    return draft.model(draft.classify(x, channels=2 * CHANNELS))


NETWORKS: dict[str, tuple[Callable[[], Model], int]] = {
    "residual": (residual, 3),
    "residual_of_one": (residual_of_one, 3),
    "channels_last": (channels_last, 2),
    "grey": (grey, 2),
    "scores_and_map": (scores_and_map, 2),
    "scores_and_class": (scores_and_class, 2),
    "rectified_scores": (rectified_scores, 2),
    "half_weights": (half_weights, 2),
    "branch_first": (branch_first, 2),
    "residual_with_batch_norm": (residual_with_batch_norm, 2),
    "inverted_residual": (inverted_residual, 2),
    "squeeze_excite": (squeeze_excite, 1),
    "transformer": (transformer, 2),
    "transformer_of_one": (transformer_of_one, 2),
    "nested": (nested, 2),
    "nested_last": (nested_last, 2),
    "shared_weights": (shared_weights, 2),
    "sum_is_output": (sum_is_output, 2),
    "source_is_input": (source_is_input, 1),
    "clutter": (clutter, 1),
    "windows": (windows, 1),
    "old_opset": (old_opset, 1),
    "projected_skip": (projected_skip, 0),
    "leaking_branch": (leaking_branch, 0),
    "broadcast_branch": (broadcast_branch, 0),
    "path_round_the_source": (path_round_the_source, 0),
    "dense": (dense, 0),
    "plain": (plain, 0),
}
WITH_UNITS = [name for name, (_, units) in NETWORKS.items() if units]


def images(model: Model, batch: int | None = None, seed: int = 1) -> dict[str, NDArray[np.float32]]:
    """Draw images for the network's only input: its own batch, else two, unless told how many."""
    (info,) = model.inputs
    batch = batch or (info.shape[0] if isinstance(info.shape[0], int) else 2)
    shape = (batch, *(size for size in info.shape[1:] if isinstance(size, int)))
    return {info.name: np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)}
