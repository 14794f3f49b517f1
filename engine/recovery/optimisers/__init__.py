"""The table of optimisers: each changes parameters in place, at a learning rate in a measure of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from torch import nn

from engine.recovery.optimisers.adamw import AdamW
from engine.recovery.optimisers.muon import Muon
from engine.recovery.optimisers.sgd import Sgd


class Optimiser(Protocol):
    """What training asks of an optimiser; one that was killed goes on from its state."""

    def forget_gradients(self) -> None: ...

    def step(self, learning_rate: float) -> None: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


OPTIMISERS: dict[str, Callable[[Iterable[nn.Parameter]], Optimiser]] = {"muon": Muon, "adamw": AdamW, "sgd": Sgd}
