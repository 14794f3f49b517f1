"""How far a job is: stages with weights make one fraction that never falls, and an estimate of the time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from engine.memory import give_back
from engine.report import Stage

STAGES = {
    "load": 1,
    "normalise": 1,
    "images": 2,
    "measure": 2,
    "units": 1,
    "score": 12,
    "search": 12,
    "cut": 6,
    "recover": 53,
    "merge": 1,
    "verify": 2,
    "report": 7,
}
"""Stage -> its usual part of a job's time, in per cent; printed order is the order of the work."""

OUTPUTS_WEIGHT = 6
"""What further files take, in per cent of a job without them."""

AFTERWARDS = ("outputs", "controls")
"""What a recipe may ask for beside the network itself, in the order in which it is made."""

OF_A_CANDIDATE = ("cut", "recover", "merge", "verify", "report")
"""The stages that each candidate of a front goes through."""

ENOUGH_TO_JUDGE = 0.1
"""The part of a stage after which its own pace tells more of its end than the weights do."""


@dataclass(frozen=True)
class Update:
    """One line for whoever waits: `fraction` of the whole job, 0 to 1; `eta_seconds` None until there is a basis.

    `stage_fraction` is how far the stage itself is, 0 to 1.
    """

    stage: str
    fraction: float
    eta_seconds: float | None
    message: str
    stage_fraction: float = 0.0


Listener = Callable[[Update], None]
Tell = Callable[[float, str], None]  # fraction of the stage, message


class Progress:
    """Tells a listener how far the job is, and keeps the seconds that each stage took.

    `budget_seconds` bounds the estimate; None where no budget is known.
    """

    def __init__(self, listener: Listener = lambda update: None, budget_seconds: float | None = None) -> None:
        self.stages: list[Stage] = []
        self._listener = listener
        self._budget_seconds = budget_seconds
        self._agenda: dict[str, float] = dict(STAGES)
        self._started = time.monotonic()
        self._fraction = 0.0

    def expect_candidates(self, count: int) -> None:
        """Put so many candidates in the place of one: from here on each is a stage, called `candidate(number)`."""
        each = sum(self._agenda.pop(name) for name in OF_A_CANDIDATE) / count
        last = {name: self._agenda.pop(name) for name in AFTERWARDS if name in self._agenda}
        self._agenda |= {candidate(number): each for number in range(1, count + 1)} | last

    def expect_outputs(self) -> None:
        """Put the making of further files at the end of the agenda."""
        self._agenda["outputs"] = OUTPUTS_WEIGHT

    def expect_sparsity(self, share: float) -> None:
        """Put training for sparsity before anything is measured; `share`, 0 to 1, is its part of the whole time."""
        later = list(self._agenda)[list(self._agenda).index("measure") :]
        weight = sum(self._agenda.values()) * share / (1 - share)
        self._agenda |= {"sparsify": weight} | {name: self._agenda.pop(name) for name in later}

    def expect_controls(self, share: float) -> None:
        """Put the training of controls at the end of the agenda; `share`, 0 to 1, is its part of the whole time."""
        self._agenda["controls"] = sum(self._agenda.values()) * share / (1 - share)

    @contextmanager
    def stage(self, name: str) -> Iterator[Tell]:
        """Run one stage of the agenda; the body may call the yielded function with its own fraction and a message.

        What the stage has freed goes back to the system.
        """
        names = list(self._agenda)
        before = sum(self._agenda[earlier] for earlier in names[: names.index(name)])
        started = time.monotonic()

        def tell(fraction: float, message: str) -> None:
            share = min(max(fraction, 0.0), 1.0)
            done = (before + self._agenda[name] * share) / sum(self._agenda.values())
            self._publish(name, done, share, time.monotonic() - started, message)

        tell(0.0, name)
        yield tell
        tell(1.0, name)
        self.stages.append(Stage(name=name, seconds=round(time.monotonic() - started, 3)))
        give_back()

    def _publish(self, stage: str, done: float, share: float, stage_seconds: float, message: str) -> None:
        self._fraction = max(self._fraction, done)
        eta_seconds = self._eta_seconds(self._agenda[stage] / sum(self._agenda.values()), share, stage_seconds)
        self._listener(Update(stage, self._fraction, eta_seconds, message, share))

    def _eta_seconds(self, weight: float, share: float, stage_seconds: float) -> float | None:
        """Return the seconds left: this stage at its own pace, the others at the job's, and all within the budget.

        A stage of 55 % of the job, half done in 30 s, takes 30 s more, whatever the stages before it took.
        """
        if self._fraction < 0.05:
            return None
        elapsed = time.monotonic() - self._started
        rest = max(1 - self._fraction, 0.0)
        seconds = elapsed / self._fraction * rest
        if share >= ENOUGH_TO_JUDGE:
            rest_of_stage = min(weight * (1 - share), rest)
            seconds = stage_seconds / share * (1 - share) + elapsed / self._fraction * (rest - rest_of_stage)
        left = None if self._budget_seconds is None else self._budget_seconds - elapsed
        return seconds if left is None or left <= 0 else min(seconds, left)


class CandidateStages:
    """The stages of one candidate, told of as parts of the one stage that it is in the whole job."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    @contextmanager
    def stage(self, name: str) -> Iterator[Tell]:
        """Run one stage of OF_A_CANDIDATE; what it has freed goes back to the system."""
        weights = [STAGES[each] for each in OF_A_CANDIDATE]
        place = OF_A_CANDIDATE.index(name)

        def tell(fraction: float, message: str) -> None:
            share = min(max(fraction, 0.0), 1.0)
            done = (sum(weights[:place]) + weights[place] * share) / sum(weights)
            self._tell(done, message if message == name else f"{name}: {message}")

        tell(0.0, name)
        yield tell
        give_back()


def candidate(number: int) -> str:
    """Return the name of a candidate's stage; the first is 1."""
    return f"candidate {number}"
