"""The network that learns: its steps, its looks at held-out images, and the best weights so far."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from engine.execution.executor import Executor
from engine.graph.extract import extract
from engine.graph.features import Features
from engine.graph.model import Model
from engine.measure.batches import Outputs, fixed_batch, input_batches, outputs_in_batches, without_filling
from engine.recovery.optimisers import OPTIMISERS
from engine.recovery.precision import trains_in_halves
from engine.recovery.reference import Reference
from engine.recovery.schedule import Schedule, portion, rows
from engine.recovery.views import Rows, Views

LOGITS_WEIGHT = 0.1
SLACK_MAX = 0.02
SLACK_OF_FOLDS = 0.1
"""Where folds have said when to stop, the few held-out images only guard against a disaster."""


class Student:
    """A cut network in training; the start counts as step 0. Weights in `frozen` stay as they are.

    Batch-norm statistics stay as they are, too: a handful of images, or foreign ones, would move them.
    """

    def __init__(
        self,
        model: Model,
        features: Features,
        views: Views,
        reference: Reference,
        *,
        schedule: Schedule,
        frozen: Iterable[str],
        device: str,
        seed: int,
    ) -> None:
        self._network, self._device = Executor(model, device), torch.device(device)
        self._features, self._views, self._reference = features, views, reference
        teacher = reference.features
        self._asked = dict(zip((*features.values, *features.logits), (*teacher.values, *teacher.logits), strict=True))
        self._freeze(frozen)
        self._learning = [parameter for parameter in self._network.parameters() if parameter.requires_grad]
        self._optimiser = OPTIMISERS[schedule.optimiser](self._learning)
        self._portion = portion(model, schedule.batch)
        self._rows = rows(len(views), schedule.batch, fixed_batch(model) or 1, seed)
        self._held_out = list(_held_out(model, tuple(views.given), reference))
        self._slack = slack(len(reference.images)) if schedule.until is None else SLACK_OF_FOLDS
        self.step, self.best_step, self.error, self._least_ever = 0, 0, math.inf, math.inf
        self._least, self.looks_in_vain, self._start_error = math.inf, 0, math.inf
        self.looks: list[tuple[int, float]] = []
        self.look()
        self._start_error = self.error
        self._halves = trains_in_halves(model, views.given.keys(), list(self._asked), device, self.error)

    def take_step(self, learning_rate: float) -> None:
        self._optimiser.forget_gradients()
        batch = next(self._rows)
        for part in torch.split(batch, self._portion):
            given, answers = self._views.take(part, self._device)
            with self._products():
                said = self._network(given, fetch=list(self._asked))
            right = {mine: answers[theirs] for mine, theirs in self._asked.items()}
            (loss(self._features, said, right) * (len(part) / len(batch))).backward()  # type: ignore[no-untyped-call]  # torch ships no types here
        torch.nn.utils.clip_grad_norm_(self._learning, 1.0)
        self._optimiser.step(learning_rate)
        self.step += 1

    def look(self) -> None:
        """Judge the present weights on held-out images, and keep them if none were clearly better."""
        error = self._reference.error(self._answers(), self._features)
        self._looked_at = self.step
        self.looks.append((self.step, error))
        self.looks_in_vain = 0 if error < self._least else self.looks_in_vain + 1
        self._least = min(self._least, error)
        self._least_ever = min(self._least_ever, error)
        if error < self._start_error and error <= self._least_ever * (1 + self._slack):
            self.best_step, self.error = self.step, error
            self._best = copy.deepcopy(self._network.state_dict())

    def expect_more(self) -> None:
        """Count looks in vain anew: from here on the error should fall, wherever it is now."""
        self._least, self.looks_in_vain = math.inf, 0

    def finish(self) -> None:
        """Put the best weights into the model."""
        if self._looked_at != self.step:
            self.look()
        self._network.load_state_dict(self._best)
        self._network.write_back()

    def state(self) -> dict[str, Any]:
        """Return all that `resume` needs, as tensors and plain numbers."""
        return {
            "step": self.step,
            "network": self._network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "looks": {"least": self._least, "least_ever": self._least_ever, "vain": self.looks_in_vain},
            "best": {"step": self.best_step, "error": self.error, "weights": self._best},
        }

    def resume(self, state: dict[str, Any] | None) -> None:
        """Take up what a killed attempt left, if it left anything."""
        if state is None:
            return
        self._network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        keys = ("least", "least_ever", "vain")
        self._least, self._least_ever, self.looks_in_vain = (state["looks"][key] for key in keys)
        self.best_step, self.error, self._best = (state["best"][key] for key in ("step", "error", "weights"))
        while self.step < state["step"]:
            next(self._rows)
            self.step += 1

    def _freeze(self, frozen: Iterable[str]) -> None:
        parameters, names = dict(self._network.named_parameters()), self._network.weight_names
        for name in frozen:
            if names.get(name) in parameters:
                parameters[names[name]].requires_grad_(False)

    def _products(self) -> AbstractContextManager[object]:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._halves)

    def _answers(self) -> Iterator[Outputs]:
        names = list(self._features.values)
        for given, fed, used in self._held_out:
            with torch.no_grad():
                said = self._network({name: row.to(self._device) for name, row in given.items()}, fetch=names)
            yield {name: without_filling(t.float().cpu().numpy(), fed, used) for name, t in said.items()}


def slack(images: int) -> float:
    """Return by what part a later step may look worse than the best and be taken all the same.

    The fewer images look, the less their small differences mean, and the longer a falling rate has fallen the better:
    2 % for five images, 0.2 % for fifty.
    """
    return min(SLACK_MAX, 0.1 / max(images, 1))


def loss(features: Features, said: Rows, right: Rows) -> Tensor:
    """Return the relative squared error of the features plus a tenth of the logits' KL divergence."""
    total = torch.zeros((), device=next(iter(said.values())).device)
    for name in features.values:
        power = right[name].square().mean().clamp_min(1e-12)
        total = total + functional.mse_loss(said[name].float(), right[name]) / power
    for name in features.logits:
        log_said, log_right = (functional.log_softmax(each[name].float(), 1) for each in (said, right))
        total = total + LOGITS_WEIGHT * functional.kl_div(log_said, log_right, log_target=True, reduction="batchmean")
    return total


def _held_out(model: Model, start: tuple[str, ...], reference: Reference) -> Iterator[tuple[Rows, int, int]]:
    """Yield held-out batches: what the network starts from, how many rows that is, how many of them are images."""
    fed = input_batches(model, reference.images)
    if start == (model.inputs[0].name,):
        yield from (({start[0]: torch.from_numpy(inputs)}, len(inputs), used) for inputs, used in fed)
        return
    ends = outputs_in_batches(extract(model, start), reference.images, reference.compute)
    for (inputs, used), values in zip(fed, ends, strict=True):
        given = {name: torch.from_numpy(array) for name, array in values.items()}
        filled = torch.arange(len(inputs)).clamp_max(used - 1)  # a fixed batch is filled up with its last image
        yield {name: tensor[filled] for name, tensor in given.items()}, len(inputs), used
