"""A job whose cuts are given: all of the engine's work but the choice, on other images or none. A program.

So that recovery without images can be held against recovery with them at the very same cuts.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch

from engine.candidates import make_candidates
from engine.checkpoint import Checkpoint
from engine.clock import Clock
from engine.execution.cores import usable_cores
from engine.formats import save
from engine.graph.units import Unit, find_units
from engine.planning import Plan
from engine.progress import Progress
from engine.recipe import Recipe
from engine.recovery.reference import Reference
from engine.subject import Subject, prepare
from engine.teaching import Workbench


def main() -> None:
    options = _parser().parse_args()
    recipe = Recipe.model_validate_json(options.recipe.read_text())
    torch.set_num_threads(usable_cores())
    torch.manual_seed(recipe.seed)
    clock, progress = Clock(recipe.budget_seconds), Progress()
    subject = prepare(options.model, options.calibration, recipe, progress)
    reference = Reference(subject.model, subject.features, subject.split.selection, subject.compute)
    plan = Plan(units_called(subject, options.units), predicted_latency_ratio=1.0, harm=0.0)
    (made,) = make_candidates(Workbench(subject, reference, clock), [plan], progress, Checkpoint(None, ()))
    options.out.mkdir(parents=True, exist_ok=True)
    save(made.model, options.out / "model.onnx")
    report = {
        "outcome": "same_cuts",
        "reported_ratio": round(made.latency.ratio.value, 4),
        "units_cut": len(plan.units),
        "recovery": made.recovery.model_dump(),
        "data": subject.data.model_dump(),
        "stages": {stage.name: stage.seconds for stage in progress.stages},
    }
    (options.out / "report.json").write_text(json.dumps(report) + "\n")


def units_called(subject: Subject, names: Sequence[str]) -> tuple[Unit, ...]:
    """Return the units of these names, all of them; raises SystemExit where one is not there."""
    found = {unit.name: unit for unit in find_units(subject.model)}
    missing = [name for name in names if name not in found]
    if missing:
        raise SystemExit(f"The network has no units {', '.join(missing)}.")
    return tuple(found[name] for name in names)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.depth.same_cuts", description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--calibration", type=Path, help="absent: no images")
    parser.add_argument("--recipe", type=Path, required=True, help="of which the target is not used")
    parser.add_argument("--units", nargs="+", required=True, help="names of the units that go")
    parser.add_argument("--out", type=Path, required=True, help="folder for model.onnx and report.json")
    return parser


if __name__ == "__main__":
    main()
