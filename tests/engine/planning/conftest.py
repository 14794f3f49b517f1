"""Units and ledgers that no network stands behind."""

from __future__ import annotations

import numpy as np

from engine.graph.units import Unit
from engine.planning import Ledger
from engine.report import Interval


def unit(name: str) -> Unit:
    return Unit(name=name, source="s", target=f"{name}_sum", nodes=(f"{name}_conv",), join=name, branch=f"{name}_out")


def made_up_ledger(count: int, seed: int, most_harm: float = 0.05) -> Ledger:
    """Return so many units that save 2 to 6 % each."""
    random = np.random.default_rng(seed)
    units = tuple(unit(f"u{row}") for row in range(count))
    savings = {one.name: float(random.uniform(0.02, 0.06)) for one in units}
    shares = {name: Interval(value=saving, low=saving / 2, high=saving * 2) for name, saving in savings.items()}
    harm = {one.name: float(random.uniform(0.002, most_harm)) for one in units}
    return Ledger(units, harm, shares, savings, needed=0.0)
