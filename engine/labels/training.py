"""Training with labels: cross-entropy on images that are seen a little otherwise each time, within a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.checkpoint import Checkpoint
from engine.data.images import ImageSet
from engine.execution.executor import Executor
from engine.graph.model import Model
from engine.labels.views import seen_otherwise
from engine.measure.batches import fixed_batch
from engine.progress import Tell
from engine.recovery.optimisers import Optimiser
from engine.recovery.optimisers.adamw import AdamW
from engine.recovery.optimisers.sgd import Sgd
from engine.recovery.schedule import Pace, Schedule, portion, rows
from engine.report import StoppedBy

GRADIENT_MOST = 5.0
SAVE_EVERY_SECONDS = 20.0

FROM_NOTHING: dict[str, Callable[[Iterable[nn.Parameter]], Optimiser]] = {
    "sgd": Sgd,
    "adamw": partial(AdamW, weight_decay=0.05),
}
"""Optimisers that forget: what starts from random weights needs more decay than what was trained before."""


@dataclass(frozen=True)
class Lessons:
    """What is taught: labelled images, whether their mirror images mean the same, and the value that scores classes."""

    images: ImageSet
    scores: str
    mirrored: bool
    layout: str

    @property
    def labels(self) -> Tensor:
        assert self.images.labels is not None
        return torch.from_numpy(self.images.labels)


@dataclass(frozen=True)
class Pull:
    """What pulls weights, named as in the graph, towards zero: `strength` times the sum of their absolute values."""

    names: Collection[str]
    strength: float


@dataclass(frozen=True)
class Trained:
    """How far it came; `is_finite` is False where the weights ran away."""

    steps: int
    seconds: float
    stopped_by: StoppedBy
    is_finite: bool


def train(
    model: Model,
    lessons: Lessons,
    schedule: Schedule,
    *,
    device: str,
    seed: int,
    seconds: float,
    tell: Tell,
    checkpoint: Checkpoint,
    pull: Pull | None = None,
) -> Trained:
    """Train a model's weights in place, batch norms with the statistics of each batch, and leave them at the last step.

    The learning rate falls along a cosine over the steps or the seconds, whichever end sooner.
    """
    learner, pace = Learner(model, lessons, schedule, device, seed, pull), Pace(schedule, seconds)
    learner.resume(checkpoint.read_tensors("training"))
    started = saved = time.monotonic()
    stopped_by: StoppedBy = "schedule"
    while learner.step < schedule.steps:
        if not pace.has_time():
            stopped_by = "budget"
            break
        done = pace.done(learner.step)
        loss = learner.take_step(schedule.rate(done))
        tell(done, f"step {learner.step} of {schedule.steps}, loss {loss:.3f}, {pace.left(learner.step):.0f} s left")
        if time.monotonic() - saved > SAVE_EVERY_SECONDS:
            checkpoint.write_tensors("training", learner.state())
            saved = time.monotonic()
    checkpoint.forget_tensors("training")
    return Trained(learner.step, time.monotonic() - started, stopped_by, learner.finish())


class Learner:
    """A network in training with labels."""

    def __init__(
        self,
        model: Model,
        lessons: Lessons,
        schedule: Schedule,
        device: str,
        seed: int,
        pull: Pull | None = None,
    ) -> None:
        self._network, self._device = Executor(model, device).train(), torch.device(device)
        self._lessons, self._labels, self._seed = lessons, lessons.labels, seed
        self._image, self._inputs = model.inputs[0].name, torch.from_numpy(lessons.images.inputs)
        self._learning: list[nn.Parameter] = list(self._network.parameters())
        self._optimiser = FROM_NOTHING[schedule.optimiser](self._learning)
        names, parameters = self._network.weight_names, dict(self._network.named_parameters())
        self._pulled = [parameters[names[name]] for name in pull.names] if pull is not None else []
        self._strength = 0.0 if pull is None else pull.strength
        self._portion = portion(model, schedule.batch)
        self._rows = rows(len(lessons.images), schedule.batch, fixed_batch(model) or 1, seed)
        self.step = 0

    def take_step(self, learning_rate: float) -> float:
        """Take one step and return the loss before it."""
        self._optimiser.forget_gradients()
        batch, total = next(self._rows), 0.0
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + self.step)  # so that a second attempt agrees
        for part in torch.split(batch, self._portion):
            seen = seen_otherwise(self._inputs[part], generator, self._lessons.layout, self._lessons.mirrored)
            loss = self._loss(seen, self._labels[part]) * (len(part) / len(batch))
            loss.backward()  # type: ignore[no-untyped-call]  # torch ships no types here
            total += float(loss.detach())
        nn.utils.clip_grad_norm_(self._learning, GRADIENT_MOST)
        for parameter in self._pulled:
            assert parameter.grad is not None
            parameter.grad.add_(parameter.detach().sign(), alpha=self._strength)
        self._optimiser.step(learning_rate)
        self.step += 1
        return total

    def finish(self) -> bool:
        """Put the weights into the model; say whether all of them are numbers."""
        self._network.eval()
        self._network.write_back()
        return all(bool(torch.isfinite(tensor).all()) for tensor in self._network.state_dict().values())

    def state(self) -> dict[str, object]:
        """Return what another attempt goes on from."""
        return {
            "step": self.step,
            "network": self._network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }

    def resume(self, state: dict[str, object] | None) -> None:
        """Take up what a killed attempt left, if it left anything."""
        if state is None:
            return
        self._network.load_state_dict(state["network"])  # type: ignore[arg-type]  # as state() wrote it
        self._optimiser.load_state_dict(state["optimiser"])  # type: ignore[arg-type]
        while self.step < state["step"]:  # type: ignore[operator]
            next(self._rows)
            self.step += 1

    def _loss(self, seen: Tensor, labels: Tensor) -> Tensor:
        name = self._lessons.scores
        said = self._network({self._image: seen.to(self._device)}, fetch=[name])[name]
        return functional.cross_entropy(said.float(), labels.to(self._device))
