"""A graph in the making whose every shape is known: what the steps of a random graph build with."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from engine.graph.model import Model

Size = int | str
Shape = tuple[Size, ...]

BATCH = 2
WIDTHS = (4, 6, 8, 12)
SIDE = 4
_IR_VERSION = 10
_ASKING = {"Greater"}


class Draft:
    """Values are named by strings; `shapes` has the shape of each, the batch as a number or a name.

    `random` is set anew for every step, so that leaving out one step changes nothing in the others. `made` holds what
    the steps before have made.
    """

    def __init__(self, seed: int, opset: int, open_batch: bool) -> None:
        self.random = random.Random(seed)
        self._noise = np.random.default_rng(seed)
        self.opset = opset
        self.batch: Size = "batch" if open_batch else BATCH
        self.shapes: dict[str, Shape] = {"image": (self.batch, 3, SIDE, SIDE)}
        self.nodes: list[Any] = []
        self.weights: dict[str, NDArray[Any]] = {}
        self.made: list[str] = []
        self.scope = "stem"
        self._shared: dict[tuple[Any, ...], str] = {}

    def fork(self, seed: int, scope: str) -> None:
        """Begin a step: its own random numbers, and its name in the names of its nodes."""
        self.random, self._noise, self.scope = random.Random(seed), np.random.default_rng(seed), scope

    def coin(self) -> bool:
        return self.random.random() < 0.5

    def width(self, multiple_of: int = 1) -> int:
        """Draw a number of channels."""
        return self.random.choice([width for width in WIDTHS if width % multiple_of == 0])

    def channels(self, value: str, axis: int = 1) -> int:
        size = self.shapes[value][axis]
        assert isinstance(size, int)
        return size

    def node(self, op_type: str, *inputs: str, shape: Iterable[Size], **attributes: Any) -> str:
        """Add a node of one output and return that."""
        (output,) = self.nodes_of(op_type, *inputs, shapes=[shape], **attributes)
        return output

    def nodes_of(self, op_type: str, *inputs: str, shapes: Sequence[Iterable[Size]], **attributes: Any) -> list[str]:
        """Add a node and return its outputs."""
        index = len(self.nodes)
        names = [f"{op_type}_{index}_{place}" for place in range(len(shapes))]
        self.nodes.append(helper.make_node(op_type, inputs, names, name=f"{self.scope}/{index}", **attributes))
        self.shapes.update({name: tuple(shape) for name, shape in zip(names, shapes, strict=True)})
        return names

    def like(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """Add a node whose output has the shape of its first input."""
        return self.node(op_type, *inputs, shape=self.shapes[inputs[0]], **attributes)

    def constant(self, values: Any, dtype: type = np.float32) -> str:
        name = f"constant_{len(self.weights)}"
        array = np.asarray(values, dtype)
        self.weights[name], self.shapes[name] = array, array.shape
        return name

    def numbers(self, *values: int) -> str:
        """Return a vector of integers; equal ones are one initialiser, as exporters write them."""
        return self._once(("numbers", *values), lambda: self.constant(values, np.int64))

    def zeros(self, size: int) -> str:
        """Return a bias of zeros; equal ones are one initialiser, though nothing else ties their readers."""
        return self._once(("zeros", size), lambda: self.constant(np.zeros(size)))

    def weight(self, *shape: int, fan_in: int) -> str:
        return self.constant(self._normal(shape) / math.sqrt(fan_in))

    def bias(self, size: int) -> str:
        return self.zeros(size) if self.random.random() < 0.3 else self.constant(self._normal((size,)) * 0.3)

    def scale(self, *shape: int) -> str:
        return self.constant(1 + 0.3 * self._normal(shape))

    def reshape(self, value: str, *sizes: Size) -> str:
        """Reshape to these sizes; the target says them as numbers, as 0 for a kept one, or as -1 for the rest."""
        before, target = self.shapes[value], list(sizes)
        for axis, size in enumerate(sizes):
            if axis < len(before) and before[axis] == size and (isinstance(size, str) or self.coin()):
                target[axis] = 0
        free = [axis for axis, size in enumerate(target) if size != 0]
        named = [axis for axis in free if isinstance(target[axis], str)]
        if named or (free and self.coin()):
            target[(named or [self.random.choice(free)])[0]] = -1
        return self.node("Reshape", value, self.numbers(*(int(size) for size in target)), shape=sizes)

    def transpose(self, value: str, *order: int) -> str:
        return self.node("Transpose", value, shape=[self.shapes[value][axis] for axis in order], perm=order)

    def concat(self, *values: str, axis: int = 1) -> str:
        shape = list(self.shapes[values[0]])
        shape[axis] = sum(self.channels(value, axis) for value in values)
        return self.node("Concat", *values, shape=shape, axis=axis if self.coin() else axis - len(shape))

    def split(self, value: str, *sizes: int, axis: int = 1) -> list[str]:
        before = self.shapes[value]
        shapes = [(*before[:axis], size, *before[axis + 1 :]) for size in sizes]
        if len(set(sizes)) == 1 and self.coin():
            return self.nodes_of("Split", value, shapes=shapes, axis=axis, num_outputs=len(sizes))
        return self.nodes_of("Split", value, self.numbers(*sizes), shapes=shapes, axis=axis)

    def cut_out(self, value: str, start: int, end: int, axis: int, step: int = 1) -> str:
        shape = list(self.shapes[value])
        shape[axis] = len(range(start, end, step))
        places = [self.numbers(number) for number in (start, end, axis, step)]
        return self.node("Slice", value, *places, shape=shape)

    def conv(self, value: str, width: int, kernel: int = 1, stride: int = 1, group: int = 1) -> str:
        """Convolve with padding that keeps the size, but for the stride."""
        channels, side = self.channels(value), self.channels(value, 2)
        inner = channels // group
        weight = self.weight(width, inner, kernel, kernel, fan_in=inner * kernel**2)
        side = (side - 1) // stride + 1
        return self.node(
            "Conv",
            value,
            weight,
            *([self.bias(width)] if self.random.random() < 0.8 else []),
            shape=(self.batch, width, side, side),
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[kernel // 2] * 4,
            group=group,
        )

    def linear(self, value: str, width: int) -> str:
        """Multiply the last axis with a matrix and, mostly, add a bias."""
        *outer, channels = self.shapes[value]
        assert isinstance(channels, int)
        weight = self.weight(channels, width, fan_in=channels)
        product = self.node("MatMul", value, weight, shape=(*outer, width))
        return product if self.random.random() < 0.2 else self.like("Add", product, self.bias(width))

    def activation(self, value: str) -> str:
        name = self.random.choice(["Relu", "Sigmoid", "HardSwish", "LeakyRelu", "Tanh", "Elu", "Softplus", "Mish"])
        return self.like(name, value)

    def normed(self, value: str) -> str:
        """Return the value itself or its layer norm, which ties all channels to each other."""
        return value if self.coin() else self.layer_norm(value)

    def layer_norm(self, value: str) -> str:
        channels = self.channels(value, -1)
        return self.like("LayerNormalization", value, self.scale(channels), self.bias(channels), axis=-1)

    def of_multiple(self, value: str, number: int) -> str:
        """Return the map itself where its channels divide so, else one through a 1 x 1 convolution."""
        if self.channels(value) % number == 0:
            return value
        return self.conv(value, self.width(number))

    def model(self, outputs: Sequence[str]) -> Model:
        """Finish the graph; every value says its shape."""
        graph = helper.make_graph(
            self.nodes,
            "random",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, self.shapes["image"])],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, self.shapes[name]) for name in outputs],
            [numpy_helper.from_array(array, name) for name, array in self.weights.items()],
            value_info=[
                helper.make_tensor_value_info(name, kind, self.shapes[name]) for name, kind in self._kinds(outputs)
            ],
        )
        opset = helper.make_opsetid("", self.opset)
        return Model(ir.from_proto(helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)))

    def _kinds(self, outputs: Sequence[str]) -> list[tuple[str, int]]:
        """Return the element type of each value between the nodes."""
        made = [(name, node.op_type) for node in self.nodes for name in node.output if name not in outputs]
        return [(name, TensorProto.BOOL if op_type in _ASKING else TensorProto.FLOAT) for name, op_type in made]

    def _normal(self, shape: Sequence[int]) -> NDArray[Any]:
        return self._noise.standard_normal(shape)

    def _once(self, key: tuple[Any, ...], make: Any) -> str:
        if key not in self._shared:
            self._shared[key] = make()
        return self._shared[key]
