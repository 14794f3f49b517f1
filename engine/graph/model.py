"""The one in-memory form of a network: an ONNX graph. Says what it takes and gives; refuses to know how it is run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from engine.graph.bodies import bodies, every_node

WEIGHT_TYPES = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16})
"""Types of numbers that are calculated with, and that numpy has."""


@dataclass(frozen=True)
class TensorInfo:
    """One input or output: `shape` holds sizes, names of dynamic axes, and None where nothing is known."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]


class Model:
    """An ONNX model whose nodes all have unique names, those inside of nodes too.

    `ir` is the live graph. Tensors are shared between copies and never changed in place: `set_weight` puts a new one.
    """

    def __init__(self, ir_model: ir.Model) -> None:
        self.ir = ir_model
        _name_default_domain(ir_model.graph.opset_imports)
        outside = list(ir_model.graph)
        _name_nodes([*outside, *(node for node in every_node(outside) if node.graph is not ir_model.graph)])

    @property
    def graph(self) -> ir.Graph:
        return self.ir.graph

    @property
    def opset(self) -> int:
        return self.graph.opset_imports.get("", 1)

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """What must be given at each run; initialisers that double as inputs are not among them."""
        return tuple(describe(value) for value in self.graph.inputs if not value.is_initializer())

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        return tuple(describe(value) for value in self.graph.outputs)

    def copy(self) -> Model:
        """Return a model that can be edited without touching this one."""
        return Model(self.ir.clone(deep_copy=True))

    def to_bytes(self) -> bytes:
        """Return the ONNX file's bytes, the same for the same graph."""
        data: bytes = ir.to_proto(self.ir).SerializeToString(deterministic=True)
        return data

    def values(self) -> dict[str, ir.Value]:
        """Return every value of the graph by name: inputs, initialisers and node outputs."""
        found = {value.name: value for value in (*self.graph.inputs, *self.graph.initializers.values())}
        found.update({value.name: value for node in self.graph for value in node.outputs})
        return {name: value for name, value in found.items() if name}

    def names(self) -> set[str]:
        """Return the names that values bear, inside of nodes too: a new value needs another one."""
        found = set(self.values())
        for body in (body for node in every_node(self.graph) for body in bodies(node)):
            made = (value for node in body for value in node.outputs)
            found.update(str(value.name) for value in (*body.inputs, *body.initializers.values(), *made))
        return found

    def nodes(self) -> dict[str, ir.Node]:
        """Return every node by name, in the graph's order."""
        return {str(node.name): node for node in self.graph}

    def weight(self, name: str) -> NDArray[np.generic]:
        """Return the array of one initialiser; not to be written to."""
        tensor = self.graph.initializers[name].const_value
        assert tensor is not None
        return tensor.numpy()

    def set_weight(self, name: str, array: NDArray[np.generic]) -> None:
        """Give one initialiser a new array, which may have another shape."""
        value = self.graph.initializers[name]
        compact = np.ascontiguousarray(array).reshape(array.shape)  # a single number would come back as a row of one
        value.const_value = ir.tensor(compact, name=name)
        value.shape = ir.Shape(array.shape)
        value.dtype = value.const_value.dtype


def describe(value: ir.Value) -> TensorInfo:
    """Return the name, element type and shape of a value, as far as the graph knows them."""
    shape = () if value.shape is None else value.shape
    sizes = tuple(size if isinstance(size, int) else size.value for size in shape)
    return TensorInfo(str(value.name), "unknown" if value.dtype is None else str(value.dtype.numpy()), sizes)


def _name_default_domain(opset_imports: dict[str, int]) -> None:
    """Keep the opset of ONNX's own operators under "", in place: a file may as well write "ai.onnx"."""
    if "ai.onnx" in opset_imports:
        opset_imports.setdefault("", opset_imports.pop("ai.onnx"))


def _name_nodes(nodes: Iterable[ir.Node]) -> None:
    """Give a name to each node that has none or shares one; the first to bear a name keeps it."""
    nodes = list(nodes)
    taken = {node.name for node in nodes if node.name}
    seen: set[str] = set()
    for node in nodes:
        if not node.name or node.name in seen:
            node.name = _free_name(node.name or node.op_type, taken)
            taken.add(node.name)
        seen.add(node.name)


def _free_name(stem: str, taken: set[str]) -> str:
    number = 1
    while f"{stem}_{number}" in taken:
        number += 1
    return f"{stem}_{number}"
