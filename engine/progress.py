"""How far a job is: stages with weights make one fraction that never falls, and an estimate of the time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from engine.report import Stage

STAGES = {
    "load": 1,
    "normalise": 1,
    "measure": 2,
    "units": 1,
    "score": 12,
    "search": 12,
    "cut": 6,
    "recover": 55,
    "merge": 1,
    "verify": 2,
    "report": 7,
}
"""Stage -> its usual part of a job's time, in per cent; printed order is the order of the work."""


@dataclass(frozen=True)
class Update:
    """One line for whoever waits: `fraction` of the whole job, 0 to 1; `eta_seconds` None until there is a basis."""

    stage: str
    fraction: float
    eta_seconds: float | None
    message: str


Listener = Callable[[Update], None]
Tell = Callable[[float, str], None]  # fraction of the stage, message


class Progress:
    """Tells a listener how far the job is, and keeps the seconds that each stage took."""

    def __init__(self, listener: Listener = lambda update: None) -> None:
        self.stages: list[Stage] = []
        self._listener = listener
        self._started = time.monotonic()
        self._fraction = 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[Tell]:
        """Run one stage of STAGES; the body may call the yielded function with its own fraction and a message."""
        names = list(STAGES)
        before = sum(STAGES[earlier] for earlier in names[: names.index(name)])
        started = time.monotonic()

        def tell(fraction: float, message: str) -> None:
            part = before + STAGES[name] * min(max(fraction, 0.0), 1.0)
            self._publish(name, part / sum(STAGES.values()), message)

        tell(0.0, name)
        yield tell
        tell(1.0, name)
        self.stages.append(Stage(name=name, seconds=round(time.monotonic() - started, 3)))

    def _publish(self, stage: str, fraction: float, message: str) -> None:
        self._fraction = max(self._fraction, fraction)
        elapsed = time.monotonic() - self._started
        eta = elapsed / self._fraction * (1 - self._fraction) if self._fraction >= 0.05 else None
        self._listener(Update(stage, self._fraction, eta, message))
