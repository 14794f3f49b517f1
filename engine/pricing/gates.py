"""Gates: a factor for each channel of a group and for each block, trained until those that nothing needs are zero."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.func import functional_call

from engine.execution.executor import Executor
from engine.graph.channels.groups import find_groups
from engine.graph.channels.readings import find_readings
from engine.graph.edits import kind
from engine.graph.model import Model
from engine.graph.units import Unit
from engine.graph.writers import find_writer, is_transposed
from engine.measure.batches import fixed_batch
from engine.recovery.schedule import rows

Array = npt.NDArray[np.float64]
Said = dict[str, Tensor]
Say = Callable[[Tensor | None], Said]
Answer = Callable[[Tensor, Say, Tensor], Tensor]
"""The loss of a batch, from its rows' numbers, what the network says of it with gates or without, and the gates."""

MOMENTUM = 0.9
SHRINKS_TO = -0.5
"""Where a gate that nothing holds would be after the last step if it could fall below zero: it is zero before."""


SHARE = 0.5
"""Of an even share of the loss: at a whole one, nothing of a network that can spare much stays open."""
STRIDE = 0.05
"""The most that a gradient may move a gate in one step: the loss of a network with many gates half shut is steep."""


@dataclass(frozen=True)
class Gate:
    """`weights`: initialiser -> the channel whose factor each of its elements has, in its shape; -1 where it has none.

    `is_block` of one that is a whole block's. A gate of a group stands where its readers read it, so zero is what a cut
    channel is; one of a block stands where it is written into the skip.
    """

    name: str
    size: int
    is_block: bool
    weights: dict[str, npt.NDArray[np.intp]]


def find_gates(model: Model, units: Sequence[Unit]) -> list[Gate]:
    """Return a gate for each group that linear layers alone read, and for each residual branch that one layer ends."""
    return [*_of_groups(model), *_of_branches(model, units)]


def _of_groups(model: Model) -> Iterator[Gate]:
    for group in find_groups(model).groups:
        weights = {}
        for reading in find_readings(model, group)[0]:
            shape = model.weight(reading.layer.weight).shape
            node = model.nodes()[reading.layer.node]
            axis = 1 if kind(node) == "Conv" or is_transposed(node) else 0
            along = np.full(shape[axis], -1)
            along[reading.positions] = np.arange(group.size)[:, None]
            around = [-1 if place == axis else 1 for place in range(len(shape))]
            weights[reading.layer.weight] = np.broadcast_to(along.reshape(around), shape).copy()
        if weights:
            yield Gate(group.name, group.size, False, weights)


def _of_branches(model: Model, units: Sequence[Unit]) -> Iterator[Gate]:
    for unit in units:
        writer = find_writer(model, unit.target, through_relu=False) if unit.kind == "branch" else None
        if writer is not None and writer.node in unit.nodes:
            own = [writer.weight, *([writer.bias] if writer.bias is not None else [])]
            yield Gate(unit.name, 1, True, {name: np.zeros(model.weight(name).shape, np.intp) for name in own})


def learn_gates(
    model: Model,
    gates: Sequence[Gate],
    images: npt.NDArray[np.float32],
    answer: Answer,
    *,
    fetch: Sequence[str],
    device: str,
    steps: int,
    batch: int,
    gamma: float | None,
    seed: int,
    seconds: float,
) -> dict[str, Array]:
    """Return what each gate is after so many steps on the loss that `answer` gives, plus `gamma` times all of them.

    All begin at one; the weights stay as they are. `gamma` None: half of an even share, among channels and among
    blocks, of the loss that the network has with all gates at zero. The rate is such that a gate which the loss does
    not hold is at zero after two thirds of the steps, which are as many as the seconds allow.
    Huang and Wang, "Data-Driven Sparse Structure Selection for Deep Neural Networks", ECCV 2018. arXiv:1707.01213
    """
    network = Gated(model, gates, device, fetch)
    order = rows(len(images), batch, fixed_batch(model) or 1, seed)
    inputs = torch.from_numpy(images)

    def loss_at(values: Tensor) -> Tensor:
        taken = next(order)
        seen = inputs[taken].to(device)
        return answer(taken, lambda gated: network(seen, gated), values)

    values = torch.ones(sum(gate.size for gate in gates), device=device)
    started = time.monotonic()
    with torch.no_grad():
        empty = float(loss_at(torch.zeros_like(values)))
    prices = torch.cat([_prices(gates, is_block, empty, gamma) for is_block in (False, True)]).to(device)
    a_step = 4 * (time.monotonic() - started)  # the way back takes twice as long as the way there, and more
    steps = max(1, min(steps, int(seconds / max(a_step, 1e-6))))
    step = Descent(values, (1 - SHRINKS_TO) * (1 - MOMENTUM) / (prices * steps), prices)
    for _ in range(steps):
        values.requires_grad_(True)
        (gradient,) = torch.autograd.grad(loss_at(values), values)
        values = step.take(gradient)
    parts = torch.split(step.stands.cpu(), [gate.size for gate in gates])
    return {gate.name: part.double().numpy() for gate, part in zip(gates, parts, strict=True)}


def _prices(gates: Sequence[Gate], is_block: bool, empty: float, gamma: float | None) -> Tensor:
    """Return what the gates of channels, or those of blocks, pay for each unit of theirs; channels' come first."""
    count = sum(gate.size for gate in gates if gate.is_block == is_block)
    return torch.full((count,), gamma or max(SHARE * empty / max(count, 1), 1e-12))


class Descent:
    """Accelerated proximal gradient, as the paper writes it down for one gradient a step.

    `stands` is where the gates are, exactly zero where they were drawn there, and never below: momentum would carry an
    idle gate through zero and back. The gradient is asked for a little ahead.
    """

    def __init__(self, start: Tensor, rates: Tensor, prices: Tensor) -> None:
        self.stands, self._ahead = start.detach().clone(), start.detach().clone()
        self._speed = torch.zeros_like(self.stands)
        self._rates, self._shrinks_by = rates, rates * prices

    def take(self, gradient: Tensor) -> Tensor:
        """Go one step by the gradient at the point that was returned last, and return the next such point."""
        wished = self._ahead - (self._rates * gradient).nan_to_num(0.0).clamp(-STRIDE, STRIDE)
        self.stands = (wished - self._shrinks_by).clamp_min(0)
        self._speed = self.stands - self._ahead + MOMENTUM * self._speed
        self._ahead = self.stands + MOMENTUM * self._speed
        return self._ahead.clone()


class Gated:
    """A network whose weights are multiplied by gates on the way."""

    def __init__(self, model: Model, gates: Sequence[Gate], device: str, fetch: Sequence[str]) -> None:
        self._fetch = list(fetch)
        self._network = Executor(model, device).requires_grad_(False)
        self._image = model.inputs[0].name
        self._factors: dict[str, list[Tensor]] = {}
        first, ungated = 0, sum(gate.size for gate in gates)
        for gate in gates:
            for name, index in gate.weights.items():
                places = torch.from_numpy(np.where(index < 0, ungated, index + first)).to(device)
                self._factors.setdefault(self._network.weight_names[name], []).append(places)
            first += gate.size

    def __call__(self, seen: Tensor, values: Tensor | None) -> Said:
        """Return what the network says of images, or without values what it says ungated."""
        given = {self._image: seen}
        if values is None:
            with torch.no_grad():
                return self._network(given, self._fetch)  # type: ignore[no-any-return]  # a module's call
        values = torch.cat([values, values.new_ones(1)])
        parameters = dict(self._network.named_parameters())
        gated: dict[str, Tensor] = {}
        for name, places in self._factors.items():
            weight: Tensor = parameters[name]
            for place in places:
                weight = weight * values[place]
            gated[name] = weight
        said: Said = functional_call(self._network, gated, (given, self._fetch))
        return said
