"""What an operator is told about its node when the executor is built, so that nothing is looked up while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.errors import OperatorUnsupported

Kernel = Callable[..., Any]
"""Takes a node's inputs in order (None for an absent one) and returns a tensor, or a tuple of them."""


@dataclass(frozen=True)
class NodeView:
    """One node, resolved: plain attributes, the opset, and those inputs whose value never changes.

    `captured` names what graphs within the node read from outside: the kernel is given it behind the inputs.
    """

    name: str
    op_type: str
    opset: int
    attributes: Mapping[str, Any]
    constants: tuple[Tensor | None, ...]
    output_count: int
    device: torch.device
    captured: tuple[str, ...] = ()

    def get(self, name: str, default: Any = None) -> Any:
        return self.attributes.get(name, default)

    def integers(self, index: int) -> tuple[int, ...] | None:
        """Return input `index` as Python integers where it is a constant, otherwise None."""
        constant = self.constants[index] if index < len(self.constants) else None
        return None if constant is None else tuple(int(number) for number in constant.flatten().tolist())

    def refuse(self, what: str) -> OperatorUnsupported:
        """Make the error for a form of this operator that the executor does not run."""
        return OperatorUnsupported(f"Node '{self.name}': {self.op_type} with {what} is not supported.", where=self.name)


def as_integers(tensor: Tensor) -> tuple[int, ...]:
    """Turn a shape-like tensor into Python integers; shape arithmetic lives on the CPU, where this is cheap."""
    return tuple(int(number) for number in tensor.flatten().tolist())


def integers_of(node: NodeView, index: int, attribute: str | None = None) -> Callable[[Sequence[Any]], Any]:
    """Return a reader of shape-like numbers that older opsets keep in an attribute and newer ones in input `index`.

    The reader takes the node's inputs and gives a tuple of integers, or None where there is neither.
    """
    fixed = node.get(attribute) if attribute is not None else None
    if fixed is None:
        fixed = node.integers(index)
    if fixed is not None:
        known = tuple(fixed)
        return lambda _: known

    def read(inputs: Sequence[Any]) -> Any:
        tensor = inputs[index] if index < len(inputs) else None
        return None if tensor is None else as_integers(tensor)

    return read
