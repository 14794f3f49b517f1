"""Filter pruning by L1 norm, for networks without skips, with the distillation of ours: a program for one network.

Every layer loses the same part of its filters, those of smallest L1 norm; the part is the smallest whose measured
latency meets the target. Widths stay multiples of 8 or of 16, whichever meets it with more of the network left: the
runtime computes in such blocks, and an odd width, or 24 of 32 where blocks are of 16, saves nothing.
Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017. arXiv:1608.08710
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.peers.equal_latency import taught
from engine.execution.cores import usable_cores
from engine.formats import save
from engine.graph.channels.groups import Group, find_groups
from engine.graph.channels.remove import remove_channels
from engine.graph.merges import merge
from engine.graph.model import Model
from engine.measure.cost import count
from engine.planning.times import measure_against_upload
from engine.progress import Progress
from engine.recipe import LatencyRatio, Recipe
from engine.subject import Subject, prepare

WIDTH_STEPS = (8, 16)
TRIES = 7
"""Halvings of the part that goes: the last one is a hundredth of the filters."""

Norms = Mapping[str, NDArray[np.float64]]  # group -> (channels,)
Cuts = dict[str, list[int]]
Met = tuple[float, float, Model]
"""The part of the filters that went, the measured ratio, and the network."""


def main() -> None:
    options = _parser().parse_args()
    recipe = Recipe.model_validate_json(options.recipe.read_text())
    torch.set_num_threads(usable_cores())
    torch.manual_seed(recipe.seed)
    subject = prepare(options.model, options.calibration, recipe, Progress())
    tried = [meet(_ratio_asked(recipe), _cutter(subject, step), _timer(subject)) for step in WIDTH_STEPS]
    part, ratio, cut = best(tried, _ratio_asked(recipe))
    recovery = taught(subject, cut, options.recovery_seconds)
    options.out.mkdir(parents=True, exist_ok=True)
    save(merge(cut), options.out / "model.onnx")
    report = {
        "outcome": "target_met" if ratio <= _ratio_asked(recipe) else "target_missed_best_effort",
        "part_of_filters": round(part, 4),
        "reported_ratio": round(ratio, 4),
        "recovery": recovery.model_dump(),
    }
    (options.out / "report.json").write_text(json.dumps(report) + "\n")


def meet(asked: float, cut: Callable[[float], Model], ratio_of: Callable[[Model], float]) -> Met:
    """Return the smallest part of the filters whose loss meets the asked ratio, what it measured, and the network.

    By halving between no filter and all but a few; where even these do not meet it, those.
    """
    low, high = 0.0, 1.0
    shortest = cut(high)
    ratio = ratio_of(shortest)
    for _ in range(TRIES if ratio <= asked else 0):
        middle = (low + high) / 2
        tried = cut(middle)
        found = ratio_of(tried)
        if found <= asked:
            high, ratio, shortest = middle, found, tried
        else:
            low = middle
    return high, ratio, shortest


def best(tried: Sequence[Met], asked: float) -> Met:
    """Return what meets the ratio with most of the network left, else what is fastest."""
    met = [each for each in tried if each[1] <= asked]
    return max(met, key=lambda each: count(each[2], {}).macs) if met else min(tried, key=lambda each: each[1])


def norms_of_filters(model: Model, groups: Sequence[Group]) -> Norms:
    """Return for each channel of a group the summed L1 norms of the filters that write it.

    Groups that no convolution writes have none and are left as they are.
    """
    writing = {
        str(node.inputs[1].name) for node in model.graph if node.op_type == "Conv" and node.inputs[1] is not None
    }
    norms: dict[str, NDArray[np.float64]] = {}
    for group in groups:
        places = [place for place in group.places if place.axis == 0 and place.value in writing]
        if places:
            norms[group.name] = sum(
                (_filter_norms(model.weight(place.value))[place.positions].sum(axis=1) for place in places),
                start=np.zeros(group.size),
            )
    return norms


def smallest(norms: Norms, part: float, step: int) -> Cuts:
    """Return the channels of least norm, the same part (0 to 1) of each group, to within a step of channels.

    Widths that stay are multiples of the step, or whole. Groups are rounded at different points, so that the network
    shrinks by one of them at a time: of two of 64 channels, a part of 0.3 and a step of 8, 24 of the first go and 16
    of the second.
    """
    cuts: Cuts = {}
    for place, (name, norm) in enumerate(norms.items()):
        wanted = len(norm) * (1 - part) + step * place / len(norms)
        kept = min(max(int(wanted) // step * step, step), len(norm))
        cuts[name] = sorted(int(channel) for channel in np.argsort(norm, kind="stable")[: len(norm) - kept])
    return {name: channels for name, channels in cuts.items() if channels}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.peers.l1_filters", description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--calibration", type=Path)
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--recovery-seconds", type=float, required=True, help="wall clock, for the distillation")
    parser.add_argument("--out", type=Path, required=True, help="folder for model.onnx and report.json")
    return parser


def _ratio_asked(recipe: Recipe) -> float:
    if not isinstance(recipe.target, LatencyRatio):
        raise SystemExit(f"This peer is asked for a latency_ratio; the recipe's target is {recipe.target!r}.")
    return recipe.target.latency_ratio


def _cutter(subject: Subject, step: int) -> Callable[[float], Model]:
    """Return what makes the network without a part of its filters; what the features are made of keeps its width."""
    held = set(subject.features.values)
    groups = [g for g in find_groups(subject.model).groups if not any(place.value in held for place in g.places)]
    norms = norms_of_filters(subject.model, groups)
    return lambda part: remove_channels(subject.model, smallest(norms, part, step))


def _timer(subject: Subject) -> Callable[[Model], float]:
    def ratio_of(cut: Model) -> float:
        return measure_against_upload(subject, merge(cut), seconds=10, until_width=0.008).ratio.value

    return ratio_of


def _filter_norms(weight: NDArray[Any]) -> NDArray[np.float64]:
    # (filters, channels, kernel height, kernel width) -> (filters,)
    return np.asarray(np.abs(weight.astype(np.float64)).reshape(len(weight), -1).sum(axis=1))


if __name__ == "__main__":
    main()
