"""What peers have in common: cut until the clock says what was asked, then distil as ours are, for as long."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch

from engine.checkpoint import Checkpoint
from engine.clock import Clock
from engine.execution.cores import usable_cores
from engine.formats import save
from engine.graph.extract import extract
from engine.graph.features import Features
from engine.graph.merges import merge
from engine.graph.model import Model
from engine.measure.batches import outputs_in_batches
from engine.measure.latency import compare_latency
from engine.recipe import LatencyRatio, Recipe
from engine.recovery.distil import distil
from engine.recovery.reference import Reference
from engine.recovery.schedule import schedule_for
from engine.recovery.views import draw_views
from engine.report import Recovery
from engine.subject import Subject

TRIES = 9
WITHIN = 0.02
PART_MAX = 0.95
"""Of the channels; with all of them gone there is no network."""
TIMED_SECONDS, TIMED_WIDTH = 8.0, 0.008

Cutter = Callable[[float], Model]
Met = tuple[float, float, Model]
"""The part of the channels that went, the measured ratio, and the network."""


def closest_of(asked: float, cutters: Iterable[Cutter], ratio_of: Callable[[Model], float]) -> Met:
    """Return what comes closest of several ways to cut; those after the first that fits within 2 % are not tried."""
    tried: list[Met] = []
    for cut in cutters:
        tried.append(closest(asked, cut, ratio_of))
        if abs(tried[-1][1] / asked - 1) <= WITHIN:
            break
    return min(tried, key=lambda met: _miss(met, asked))


def closest(asked: float, cut: Cutter, ratio_of: Callable[[Model], float]) -> Met:
    """Return the part of the channels, the measured ratio and the network that comes closest to the asked ratio.

    By halving, until it fits within 2 %. The ratio need not fall evenly with the part: odd widths may be slower than
    wider ones. So all that was tried is compared, and what meets the ratio goes before what does not.
    """
    low, high = 0.0, PART_MAX
    tried: list[Met] = []
    for _ in range(TRIES):
        part = (low + high) / 2
        model = cut(part)
        ratio = ratio_of(model)
        tried.append((part, ratio, model))
        if abs(ratio / asked - 1) <= WITHIN:
            break
        low, high = (low, part) if ratio <= asked else (part, high)
    return min(tried, key=lambda met: _miss(met, asked))


def _miss(met: Met, asked: float) -> tuple[bool, float]:
    """Return what is least for the best: slower than asked goes last, and then the distance counts."""
    return met[1] > (1 + WITHIN) * asked, abs(met[1] / asked - 1)


def parser(module: str, about: str | None) -> argparse.ArgumentParser:
    """Return what a peer's program is asked: either to meet a ratio, or a fixed part of the channels and no more."""
    found = argparse.ArgumentParser(f"python -m {module}", description=about)
    found.add_argument("model", type=Path)
    found.add_argument("--calibration", type=Path)
    found.add_argument("--recipe", type=Path, help="whose latency_ratio is to be met")
    found.add_argument("--recovery-seconds", type=float, help="wall clock, for the distillation")
    found.add_argument("--sparsity", type=float, help="part of the channels that goes, in place of a recipe")
    found.add_argument("--out", type=Path, required=True, help="folder for model.onnx, untrained.onnx, report.json")
    return found


def ready(recipe: Recipe) -> float:
    """Use all cores and the recipe's seed; return the ratio that it asks for."""
    torch.set_num_threads(usable_cores())
    torch.manual_seed(recipe.seed)
    if not isinstance(recipe.target, LatencyRatio):
        raise SystemExit(f"A peer is asked for a latency_ratio; the recipe's target is {recipe.target!r}.")
    return recipe.target.latency_ratio


def timer(upload: Model, subject: Subject) -> Callable[[Model], float]:
    """Return what times a cut network in turn with the upload."""

    def ratio_of(cut: Model) -> float:
        found = compare_latency(
            upload,
            merge(cut),
            subject.recipe.deploy,
            {},
            seed=subject.recipe.seed,
            budget_seconds=TIMED_SECONDS,
            until_width=TIMED_WIDTH,
        )
        return found.ratio.value

    return ratio_of


def teach_and_save(subject: Subject, met: Met, seconds: float, out: Path) -> None:
    """Save the cut network as it is and after the distillation, and what can be said of both."""
    part, ratio, cut = met
    out.mkdir(parents=True, exist_ok=True)
    save(merge(cut), out / "untrained.onnx")
    recovery = taught(subject, cut, seconds)
    save(merge(cut), out / "model.onnx")
    report = {"sparsity": round(part, 4), "reported_ratio": round(ratio, 4), "recovery": recovery.model_dump()}
    (out / "report.json").write_text(json.dumps(report) + "\n")


def taught(subject: Subject, cut: Model, seconds: float) -> Recovery:
    """Train the cut network, in place, as ours are: towards whatever features it still has in full, or the scores."""
    features = shared_features(subject, cut)
    reference = Reference(subject.model, features, subject.split.selection, subject.compute)
    before, clock = reference.error_of(cut, features), Clock(seconds)
    views = draw_views(
        subject.model,
        features,
        subject.split.repair,
        subject.compute,
        layout=subject.recipe.preprocess.layout,
        seed=subject.recipe.seed,
        seconds=0.2 * seconds,
    )
    training = distil(
        cut,
        features,
        views,
        reference,
        schedule=schedule_for(cut),
        device=subject.device,
        seed=subject.recipe.seed,
        seconds=clock.left(),
        tell=lambda fraction, message: None,
        checkpoint=Checkpoint(None, ()),
    )
    return training.account(before, before)


def shared_features(subject: Subject, cut: Model) -> Features:
    """Return the features that the cut network has at the same size; where it has none, its class scores."""
    there = [name for name in subject.features.values if name in cut.values()]
    if there:
        one = subject.split.repair.take(np.arange(1))
        parts = [extract(model, there) for model in (subject.model, cut)]
        whole, left = (next(iter(outputs_in_batches(part, one, subject.compute))) for part in parts)
        there = [name for name in there if whole[name].shape == left[name].shape]
    return Features(tuple(there) or subject.features.logits, subject.features.logits)
