"""The same cuts without any repair: what recovery starts from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.trained.judge import images_to_test_on, top1_hits
from engine.formats import load
from engine.graph.folds import fold
from engine.graph.merges import merge
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.surgery import remove_units
from engine.graph.units import find_units


def top1_of_plain_drop(name: str, network: Path, data: Path, units: Sequence[str]) -> float:
    """Return top-1 in per cent after these units are left out and nothing else is done."""
    hits = top1_hits(plain_drop(load(network), units), images_to_test_on(name, network, data))
    return round(100 * float(hits.mean()), 2)


def plain_drop(upload: Model, units: Sequence[str]) -> Model:
    """Return the network without the units of these names, which are those of its plain form."""
    model = merge(fold(normalise(upload)))
    found = [unit for unit in find_units(model) if unit.name in units]
    if len(found) != len(units):
        raise ValueError(f"Of the units {', '.join(units)} only {len(found)} were found again.")
    return remove_units(model, found)
