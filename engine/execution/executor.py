"""The ONNX graph as a trainable PyTorch module. Resolves all it can when it is built; forward walks a flat list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir
import torch
from torch import Tensor, nn

from engine.errors import OperatorUnsupported
from engine.execution.body import Body
from engine.execution.catalogue import unsupported_message
from engine.execution.element_types import refused_type
from engine.execution.fusing import fuse
from engine.execution.node import NodeView
from engine.execution.operators import OPERATORS
from engine.execution.step import Step
from engine.execution.tensors import TORCH_TYPES, to_onnx, to_torch
from engine.execution.trainable import is_trainable, running_statistics
from engine.graph.model import Model

_FOLD_ELEMENTS = 1 << 20
"""Constants that follow from constants are worked out once, up to this many elements; larger ones at each run."""


_KERNEL_READERS = {"Conv", "ConvTranspose"}

_TYPE_ATTRIBUTES = {"to", "dtype", "output_dtype", "output_datatype", "softmax_precision"}
"""Attributes whose number names an element type."""


@dataclass(frozen=True)
class _Program:
    """What one choice of given and fetched values needs: the steps in order and, after each, the places to clear."""

    steps: tuple[tuple[Step, tuple[int, ...]], ...]
    weights: tuple[tuple[int, str], ...]
    constants: tuple[tuple[int, Tensor], ...]


class Executor(nn.Module):
    """Run a model's graph in PyTorch; starts in evaluation mode.

    Floating-point initialisers that carry weights are Parameters, one for each initialiser however many nodes read it;
    `weight_names` tells which is which. Running statistics of batch norm are buffers; scalars, bounds, shapes and
    indices are constants. Integers stay on the CPU. Images and kernels lie in memory with their channels last where
    `channels_last` says so: on the CPU unless told otherwise, where it pays (`python -m benchmarks.executor` measures
    it). Raises OperatorUnsupported.
    """

    def __init__(self, model: Model, device: str | torch.device = "cpu", *, channels_last: bool | None = None) -> None:
        super().__init__()
        self.model = model
        self._device = torch.device(device)
        self._channels_last = self._device.type == "cpu" if channels_last is None else channels_last
        values = model.values()
        self._places = {name: place for place, name in enumerate(values)}
        self._value_names = list(values)
        self._attribute_of: dict[str, str] = {}
        self._constants: dict[int, Tensor] = {}
        self._steps: list[Step] = []
        self._mode_dependent: list[Any] = []
        self._programs: dict[tuple[tuple[str, ...], tuple[str, ...]], _Program] = {}
        self._take_initialisers()
        for node in model.graph:
            self._take_node(node)
        self.eval()

    @property
    def weight_names(self) -> dict[str, str]:
        """Initialiser name -> name of the parameter or buffer that holds it."""
        return dict(self._attribute_of)

    def forward(self, inputs: Mapping[str, Tensor], fetch: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Run the graph and return the fetched values by name: the graph's outputs unless `fetch` names others.

        Any value may be given in place of the graph's inputs: only what lies between is run.
        """
        names = tuple(output.name for output in self.model.outputs) if fetch is None else tuple(fetch)
        key = (tuple(inputs), names)
        program = self._programs.get(key)
        if program is None:
            program = self._programs[key] = self._plan(*key)
        live: list[Any] = [None] * (len(self._places) + 1)  # the last place stands for absent inputs: always None
        for place, tensor in program.constants:
            live[place] = tensor
        for place, attribute in program.weights:
            live[place] = getattr(self, attribute)
        for name, tensor in inputs.items():
            live[self._places[name]] = self._laid_out(tensor)
        for step, done in program.steps:
            result = step.kernel(*[live[place] for place in step.reads])
            if len(step.writes) == 1:
                live[step.writes[0]] = result
            else:
                for place, tensor in zip(step.writes, result, strict=False):
                    live[place] = tensor
                live[-1] = None
            for place in done:
                live[place] = None
        return {name: live[self._places[name]] for name in names}

    def train(self, mode: bool = True) -> Executor:
        """Let batch norm use batch statistics, and keep running ones, or not."""
        super().train(mode)
        for kernel in self._mode_dependent:
            kernel.training = mode
        return self

    def write_back(self) -> None:
        """Put parameters and running statistics back into the model's initialisers, element types unchanged."""
        for name, attribute in self._attribute_of.items():
            value = self.model.graph.initializers[name]
            assert value.const_value is not None
            value.const_value = to_onnx(getattr(self, attribute), value.const_value)

    def _take_initialisers(self) -> None:
        statistics = running_statistics(self.model.graph)
        for index, (name, value) in enumerate(self.model.graph.initializers.items()):
            if value.const_value is None or value.const_value.dtype not in TORCH_TYPES:
                continue
            tensor = to_torch(value.const_value)
            if name in statistics:
                self._attribute_of[name] = f"statistic_{index}"
                self.register_buffer(f"statistic_{index}", tensor.to(self._device))
            elif is_trainable(value):
                self._attribute_of[name] = f"weight_{index}"
                is_kernel = any(use.node.op_type in _KERNEL_READERS for use in value.uses())
                tensor = self._laid_out(tensor) if is_kernel else tensor
                self.register_parameter(f"weight_{index}", nn.Parameter(tensor.to(self._device)))
            else:
                self._constants[self._places[name]] = self._home(tensor)

    def _laid_out(self, tensor: Tensor) -> Tensor:
        images = self._channels_last and tensor.dim() == 4
        return tensor.contiguous(memory_format=torch.channels_last) if images else tensor

    def _home(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._device) if tensor.is_floating_point() else tensor

    def _take_node(self, node: ir.Node) -> None:
        build = OPERATORS.get(node.op_type)
        if build is None:
            raise OperatorUnsupported(unsupported_message(str(node.name), node.op_type), where=node.name)
        refusal = refused_type(node)
        if refusal is not None:
            raise refusal
        view = self._view(node)
        kernel = build(view)
        step = Step(
            kernel,
            (*(-1 if v is None else self._places[str(v.name)] for v in node.inputs), *self._places_of(view.captured)),
            tuple(self._places[value.name] if value.name else -1 for value in _outputs(node)),
            view,
        )
        if hasattr(kernel, "training"):
            self._mode_dependent.append(kernel)
        if not self._fold(step):
            self._steps.append(step)

    def _view(self, node: ir.Node) -> NodeView:
        constants = tuple(None if v is None else self._constants.get(self._places[str(v.name)]) for v in node.inputs)
        attributes = {name: self._attribute(attribute) for name, attribute in node.attributes.items()}
        bodies = [attribute for attribute in attributes.values() if isinstance(attribute, Body)]
        return NodeView(
            name=str(node.name),
            op_type=node.op_type,
            opset=self.model.opset,
            attributes=attributes,
            constants=constants,
            output_count=len(_outputs(node)),
            device=self._device,
            captured=tuple(dict.fromkeys(name for body in bodies for name in body.captured)),
        )

    def _attribute(self, attribute: ir.Attr) -> Any:
        """Return an attribute as plain Python; tensors as PyTorch's, element types as dtypes, graphs ready to run."""
        if attribute.type == ir.AttributeType.GRAPH:
            return Body(attribute.as_graph(), self.model.opset, lambda model: Executor(model, self._device))
        if attribute.type == ir.AttributeType.TENSOR:
            return self._home(to_torch(attribute.as_tensor()))
        if attribute.name.startswith("value_"):
            return attribute.value
        if attribute.name in _TYPE_ATTRIBUTES:
            return TORCH_TYPES.get(ir.DataType(attribute.as_int()))
        return attribute.value

    def _places_of(self, names: Sequence[str]) -> tuple[int, ...]:
        return tuple(self._place(name) for name in names)

    def _fold(self, step: Step) -> bool:
        """Work out at once what follows from constants alone; say whether that was the case."""
        if any(place >= 0 and place not in self._constants for place in step.reads):
            return False
        result = step.kernel(*[self._constants.get(place) for place in step.reads])
        results = result if isinstance(result, tuple) else (result,)
        if sum(tensor.numel() for tensor in results) > _FOLD_ELEMENTS:
            return False
        self._constants.update(dict(zip(step.writes, results, strict=False)))
        return True

    def _plan(self, given: tuple[str, ...], fetch: tuple[str, ...]) -> _Program:
        """Choose the steps that lead from the given values to the fetched ones, and when each value was read last."""
        kept_to_the_end = {self._place(name) for name in fetch}
        available = {self._place(name) for name in given}
        needed, chosen = set(kept_to_the_end), []
        for step in reversed(self._steps):
            if any(place in needed and place not in available for place in step.writes):
                chosen.append(step)
                needed.update(step.reads)
        fused = fuse(chosen[::-1], kept_to_the_end | available)
        cleared, steps = set(kept_to_the_end) | {-1}, []
        for step in reversed(fused):  # from the last to the first: the first sight of a value is its last use
            done = {place for place in (*step.reads, *step.writes) if place not in cleared}
            cleared |= done
            steps.append((step, tuple(done)))
        attributes = {self._places[name]: attribute for name, attribute in self._attribute_of.items()}
        program = _Program(
            steps=tuple(reversed(steps)),
            weights=tuple((place, attributes[place]) for place in needed if place in attributes),
            constants=tuple((p, self._constants[p]) for p in needed if p in self._constants and p not in available),
        )
        self._require_inputs(needed - available - set(attributes) - set(self._constants) - {-1}, chosen)
        return program

    def _place(self, name: str) -> int:
        if name not in self._places:
            raise KeyError(f"The graph has no value '{name}'.")
        return self._places[name]

    def _require_inputs(self, needed: set[int], steps: Sequence[Step]) -> None:
        missing = needed - {place for step in steps for place in step.writes}
        if missing:
            names = ", ".join(self._value_names[place] for place in sorted(missing))
            raise KeyError(f"These values are needed and were not given: {names}.")


def _outputs(node: ir.Node) -> Sequence[ir.Value]:
    """Return the outputs up to the last that is asked for; those before it may be nameless."""
    named = [place for place, value in enumerate(node.outputs) if value.name]
    return node.outputs[: named[-1] + 1] if named else node.outputs[:1]
