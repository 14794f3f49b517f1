"""The small edits that every change to a graph is made of. Refuses to know why anything is changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import ml_dtypes
import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes.common import RemoveUnusedNodesPass

from engine.graph.model import Model

Array = NDArray[np.floating[Any]]


def replace_value(model: Model, old: ir.Value, new: ir.Value) -> None:
    """Let every reader of `old` read `new`; a graph output keeps its name through an Identity node."""
    producer = old.producer()
    if not old.is_graph_output():
        old.replace_all_uses_with(new)
        return
    assert producer is not None
    name, place = old.name, model.graph.outputs.index(old)
    keeper = ir.node("Identity", [new], name=f"{producer.name}_output")
    keeper.outputs[0].shape, keeper.outputs[0].type = old.shape, old.type
    model.graph.insert_before(producer, keeper)
    model.graph.outputs[place] = keeper.outputs[0]
    old.replace_all_uses_with(new)
    old.name, keeper.outputs[0].name = f"{name}_removed", name


def make_instead(model: Model, old: ir.Value, nodes: Sequence[ir.Node]) -> None:
    """Let the last of these new nodes make what `old` was, under its name; `old` and what made it are left unread."""
    producer, new = old.producer(), nodes[-1].outputs[0]
    assert producer is not None
    model.graph.insert_before(producer, nodes)
    take_name(old, new)
    new.shape, new.type = old.shape, old.type


def take_name(old: ir.Value, new: ir.Value) -> None:
    """Let every reader of `old`, and the graph's outputs, have `new` under the name that `old` had."""
    old.replace_all_uses_with(new, replace_graph_outputs=True)
    name, old.name = old.name, None
    new.name = name


def remove_dead(model: Model) -> None:
    """Take out, in place, the nodes and initialisers that no output depends on."""
    RemoveUnusedNodesPass()(model.ir)


def add_initialiser(model: Model, stem: str, array: NDArray[np.generic]) -> ir.Value:
    """Add an array under a name that is free."""
    compact = np.ascontiguousarray(array).reshape(array.shape)  # a single number would come back as a row of one
    tensor = ir.tensor(compact, name=free_name(stem, model.names()))
    value = ir.Value(
        name=tensor.name, const_value=tensor, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype)
    )
    model.graph.register_initializer(value)
    return value


def set_constant(model: Model, node: ir.Node, index: int, array: Array, role: str) -> None:
    """Give a node its own array: in its initialiser where no other node reads that, in a new one otherwise."""
    value = node.inputs[index] if len(node.inputs) > index else None
    if value is not None and value.is_initializer() and len(value.uses()) == 1 and not value.is_graph_output():
        model.set_weight(str(value.name), array)
        return
    if len(node.inputs) <= index:
        node.resize_inputs(index + 1)
    node.replace_input_with(index, add_initialiser(model, f"{node.name}.{role}", array))


def free_name(stem: str, taken: set[str]) -> str:
    """Return the stem, or the stem with the first number that makes it a name of its own."""
    name, number = stem, 1
    while name in taken:
        name, number = f"{stem}_{number}", number + 1
    return name


def kind(node: ir.Node) -> str:
    """Return the type of one of ONNX's own operators, "" for any other: my::Relu may do what it likes."""
    return "" if node.domain else node.op_type


def is_constant(value: ir.Value | None) -> bool:
    """Say whether a value is a floating-point constant that is known."""
    return (
        value is not None
        and value.const_value is not None
        and value.dtype is not None
        and value.dtype.is_floating_point()
    )


def array_of(value: ir.Value | None) -> Array:
    """Return the numbers of a constant; not to be written to."""
    assert value is not None
    assert value.const_value is not None
    return cast(Array, value.const_value.numpy())


def keeps(wide: Array, dtype: np.dtype[Any], axis: int | None = None) -> bool:
    """Say whether numbers survive being rounded to an element type: none becomes infinite, and none loses more than
    a rounding of the largest beside it, along all axes but this one. 1e-6 of channel 3 is lost in half precision.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        loss = np.abs(wide - wide.astype(dtype).astype(np.float64))
    others = None if axis is None else tuple(place for place in range(wide.ndim) if place != axis)
    largest = np.abs(wide).max(axis=others, keepdims=True, initial=0.0)
    most = float(ml_dtypes.finfo(dtype).eps) * largest  # type: ignore[no-untyped-call]
    return bool((loss <= most + np.finfo(np.float32).tiny).all())


def only_reader(value: ir.Value) -> ir.Node | None:
    """Return the node that alone reads a value, once; None where there are others or the value is an output.

    A node inside of another one is no such reader: nothing is moved in there.
    """
    uses = list(value.uses())
    alone = len(uses) == 1 and not value.is_graph_output() and uses[0].node.graph is value.graph
    return uses[0].node if alone else None
