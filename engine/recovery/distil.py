"""Feature distillation: the cut network learns to give the uncut one's features; images it does not learn from say when
to stop."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from engine.checkpoint import Checkpoint
from engine.data.images import ImageSet
from engine.execution.executor import Executor
from engine.graph.features import Features
from engine.graph.model import Model
from engine.measure.batches import BATCH, Outputs
from engine.recovery.reference import Reference
from engine.recovery.views import Views
from engine.report import StoppedBy

LOGITS_WEIGHT = 0.1


@dataclass(frozen=True)
class Schedule:
    """How long and how fast. Without batch norm, which exporters fold away, Adam holds where plain SGD diverges."""

    steps: int = 400
    batch: int = 64
    learning_rate: float = 2e-4
    warm_up: float = 0.1  # part of the schedule
    weight_decay: float = 1e-4
    evaluate_every: int = 25
    patience: int = 6  # evaluations without a better one


@dataclass(frozen=True)
class Training:
    """What came of it: `best_step` is the one delivered, 0 where no step was better than the start."""

    error: float
    steps: int
    best_step: int
    stopped_by: StoppedBy


def distil(
    student: Model,
    features: Features,
    views: Views,
    reference: Reference,
    *,
    schedule: Schedule,
    device: str,
    seed: int,
    seconds: float,
    tell: Callable[[float, str], None],
    checkpoint: Checkpoint,
) -> Training:
    """Train the student's weights in place and leave them at the step with the least held-out feature error.

    `features` are the student's, in the order of the reference's and the views'.

    Batch-norm statistics stay as they are: a handful of images, or foreign ones, would move them. The learning rate
    falls along a cosine over the steps or the seconds, whichever end sooner.
    """
    network = Executor(student, device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.0, weight_decay=schedule.weight_decay)
    best = _Best(network, reference, features)
    asked = dict(zip((*features.values, *features.logits), views.answers, strict=True))
    clock, rows = _Clock(seconds), _batches(len(views), schedule.batch, seed)
    step = _resume(checkpoint.read_tensors("training"), network, optimiser, best)
    for _ in range(step):
        next(rows)
    stopped_by: StoppedBy = "schedule"
    while step < schedule.steps:
        done = max(step / schedule.steps, clock.part())
        if done >= 1:
            stopped_by = "budget"
            break
        _set_rate(optimiser, schedule, done)
        inputs, answers = views.take(next(rows), torch.device(device))
        _take_step(network, optimiser, features, inputs, {mine: answers[theirs] for mine, theirs in asked.items()})
        step += 1
        if step % schedule.evaluate_every == 0:
            best.look(step)
            checkpoint.write_tensors("training", _state(step, network, optimiser, best))
            tell(done, f"step {step} of {schedule.steps}, held-out error {best.latest:.4f}, best {best.error:.4f}")
            if (step - best.step) // schedule.evaluate_every >= schedule.patience:
                stopped_by = "early_stop"
                break
    if step % schedule.evaluate_every:
        best.look(step)
    best.restore()
    network.write_back()
    return Training(best.error, step, best.step, stopped_by)


def _state(step: int, network: Executor, optimiser: torch.optim.Optimizer, best: _Best) -> dict[str, Any]:
    return {
        "step": step,
        "network": network.state_dict(),
        "optimiser": optimiser.state_dict(),
        "best": {"step": best.step, "error": best.error, "weights": best.weights},
    }


def _resume(state: dict[str, Any] | None, network: Executor, optimiser: torch.optim.Optimizer, best: _Best) -> int:
    """Take up what a killed attempt left, if it did; return the step to go on from."""
    if state is None:
        return 0
    network.load_state_dict(state["network"])
    optimiser.load_state_dict(state["optimiser"])
    best.step, best.error, best.weights = (state["best"][key] for key in ("step", "error", "weights"))
    return int(state["step"])


def loss(features: Features, said: dict[str, Tensor], right: dict[str, Tensor]) -> Tensor:
    """Return the relative squared error of the features plus a tenth of the logits' KL divergence."""
    total = torch.zeros((), device=next(iter(said.values())).device)
    for name in features.values:
        power = right[name].square().mean().clamp_min(1e-12)
        total = total + functional.mse_loss(said[name], right[name]) / power
    for name in features.logits:
        log_said, log_right = functional.log_softmax(said[name], 1), functional.log_softmax(right[name], 1)
        total = total + LOGITS_WEIGHT * functional.kl_div(log_said, log_right, log_target=True, reduction="batchmean")
    return total


def _take_step(
    network: Executor, optimiser: torch.optim.Optimizer, features: Features, inputs: Tensor, right: dict[str, Tensor]
) -> None:
    said = network({network.model.inputs[0].name: inputs}, fetch=list(right))
    optimiser.zero_grad(set_to_none=True)
    loss(features, said, right).backward()  # type: ignore[no-untyped-call]  # torch ships no types here
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()


def _set_rate(optimiser: torch.optim.Optimizer, schedule: Schedule, done: float) -> None:
    """Rise to the learning rate, then fall along a cosine to a hundredth of it; `done` is 0 to 1."""
    if done < schedule.warm_up:
        factor = 0.1 + 0.9 * done / schedule.warm_up
    else:
        along = (done - schedule.warm_up) / (1 - schedule.warm_up)
        factor = 0.01 + 0.99 * (1 + math.cos(math.pi * along)) / 2
    for group in optimiser.param_groups:
        group["lr"] = schedule.learning_rate * factor


def _batches(count: int, batch: int, seed: int) -> Iterator[Tensor]:
    """Yield rows without end, each once a round; what is left of a round is dropped."""
    generator = torch.Generator().manual_seed(seed)
    size = min(batch, count)
    while True:
        order = torch.randperm(count, generator=generator)
        yield from (order[start : start + size] for start in range(0, count - size + 1, size))


class _Clock:
    def __init__(self, seconds: float) -> None:
        self._started, self._seconds = time.monotonic(), seconds

    def part(self) -> float:
        """Return the part of the time that is gone, 0 to 1 and beyond."""
        return (time.monotonic() - self._started) / self._seconds if self._seconds > 0 else 1.0


class _Best:
    """The weights with the least held-out error so far; the start counts as step 0."""

    def __init__(self, network: Executor, reference: Reference, features: Features) -> None:
        self._network, self._reference, self._features = network, reference, features
        self.step, self.error = 0, math.inf
        self.look(0)

    def look(self, step: int) -> None:
        self.latest = self._reference.error(self._answers(self._reference.images), self._features)
        if self.latest < self.error:
            self.step, self.error = step, self.latest
            self.weights = copy.deepcopy(self._network.state_dict())

    def restore(self) -> None:
        self._network.load_state_dict(self.weights)

    def _answers(self, images: ImageSet) -> Iterator[Outputs]:
        names = list(self._features.values)
        device = next(self._network.parameters()).device
        for start in range(0, len(images), BATCH):
            inputs = torch.from_numpy(images.inputs[start : start + BATCH]).to(device)
            with torch.no_grad():
                said = self._network({self._network.model.inputs[0].name: inputs}, fetch=names)
            yield {name: tensor.float().cpu().numpy() for name, tensor in said.items()}
