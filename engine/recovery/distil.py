"""Feature distillation: the cut network learns the uncut one's features; held-out images say when to stop."""

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
from engine.execution.executor import Executor
from engine.graph.features import Features
from engine.graph.model import Model
from engine.measure.batches import Outputs, fixed_batch, input_batches, without_filling
from engine.recovery.adamw import AdamW
from engine.recovery.reference import Reference
from engine.recovery.schedule import Pace, Schedule, portion, rows
from engine.recovery.views import Views
from engine.report import StoppedBy

LOGITS_WEIGHT = 0.1
SAVE_EVERY_SECONDS = 20.0


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

    `features` are the student's, in the order of the reference's. Batch-norm statistics stay as they are: a handful of
    images, or foreign ones, would move them. The learning rate falls along a cosine over the steps or the seconds,
    whichever end sooner.
    """
    student_learns = _Student(student, features, views, reference, schedule, device, seed)
    student_learns.resume(checkpoint.read_tensors("training"))
    stopped_by = _train(student_learns, schedule, Pace(schedule, seconds), tell, checkpoint)
    return student_learns.finish(stopped_by)


def _train(
    student: _Student, schedule: Schedule, pace: Pace, tell: Callable[[float, str], None], checkpoint: Checkpoint
) -> StoppedBy:
    """Take steps until the schedule, the patience or the time ends; say which."""
    saved = time.monotonic()
    while student.step < schedule.steps:
        if student.looks_in_vain >= schedule.patience:
            return "early_stop"
        done = pace.done(student.step)
        if done >= 1:
            return "budget"
        student.take_step(schedule.rate(done))
        if student.step % schedule.evaluate_every == 0:
            student.look()
        if time.monotonic() - saved > SAVE_EVERY_SECONDS:
            checkpoint.write_tensors("training", student.state())
            saved = time.monotonic()
        tell(done, f"step {student.step}, {schedule.steps} at most, held-out error {student.error:.4f} at best")
    return "schedule"


class _Student:
    """The network that learns, what it learns from, and the best weights so far; the start counts as step 0."""

    def __init__(
        self,
        model: Model,
        features: Features,
        views: Views,
        reference: Reference,
        schedule: Schedule,
        device: str,
        seed: int,
    ) -> None:
        self._network, self._device = Executor(model, device), torch.device(device)
        self._input = model.inputs[0].name
        self._features, self._views, self._reference = features, views, reference
        teacher = reference.features
        self._asked = dict(zip((*features.values, *features.logits), (*teacher.values, *teacher.logits), strict=True))
        self._optimiser = AdamW(self._network.parameters(), schedule.weight_decay)
        self._portion = portion(model, schedule.batch)
        self._rows = rows(len(views), schedule.batch, fixed_batch(model) or 1, seed)
        self.step, self.best_step, self.error, self.looks_in_vain = 0, 0, math.inf, 0
        self.look()

    def take_step(self, learning_rate: float) -> None:
        self._optimiser.forget_gradients()
        batch = next(self._rows)
        for part in torch.split(batch, self._portion):
            inputs, answers = self._views.take(part, self._device)
            said = self._network({self._input: inputs}, fetch=list(self._asked))
            right = {mine: answers[theirs] for mine, theirs in self._asked.items()}
            (loss(self._features, said, right) * (len(part) / len(batch))).backward()  # type: ignore[no-untyped-call]  # torch ships no types here
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), 1.0)
        self._optimiser.step(learning_rate)
        self.step += 1

    def look(self) -> None:
        """Judge the present weights on held-out images, and keep them if none were better."""
        error = self._reference.error(self._answers(), self._features)
        self._looked_at = self.step
        self.looks_in_vain += 1
        if error < self.error:
            self.best_step, self.error, self.looks_in_vain = self.step, error, 0
            self._best = copy.deepcopy(self._network.state_dict())

    def finish(self, stopped_by: StoppedBy) -> Training:
        """Put the best weights into the model."""
        if self._looked_at != self.step:
            self.look()
        self._network.load_state_dict(self._best)
        self._network.write_back()
        return Training(self.error, self.step, self.best_step, stopped_by)

    def state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "network": self._network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "best": {"step": self.best_step, "error": self.error, "vain": self.looks_in_vain, "weights": self._best},
        }

    def resume(self, state: dict[str, Any] | None) -> None:
        """Take up what a killed attempt left, if it left anything."""
        if state is None:
            return
        self._network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        keys = ("step", "error", "vain", "weights")
        self.best_step, self.error, self.looks_in_vain, self._best = (state["best"][key] for key in keys)
        while self.step < state["step"]:
            next(self._rows)
            self.step += 1

    def _answers(self) -> Iterator[Outputs]:
        names = list(self._features.values)
        for inputs, used in input_batches(self._network.model, self._reference.images):
            with torch.no_grad():
                said = self._network({self._input: torch.from_numpy(inputs).to(self._device)}, fetch=names)
            yield {name: without_filling(t.float().cpu().numpy(), len(inputs), used) for name, t in said.items()}


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
