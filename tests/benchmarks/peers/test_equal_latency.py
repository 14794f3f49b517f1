"""Peers are cut until the clock says what was asked, and learn from whatever they have in common with the original."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from benchmarks.networks import build
from benchmarks.peers.equal_latency import TRIES, WITHIN, closest, closest_of, shared_features, teach_and_save
from benchmarks.peers.onnxsim_pruning import batches, pruned, repaired
from benchmarks.peers.torch_pruning import IMPORTANCE
from benchmarks.peers.torch_pruning import pruned as pruned_module
from engine.formats import load, save
from engine.graph.channels.groups import find_groups
from engine.graph.channels.remove import remove_channels
from engine.measure.cost import count
from engine.progress import Progress
from engine.recipe import Recipe
from engine.subject import Subject, prepare
from tests.networks import residual


def a_subject(folder: Path) -> Subject:
    save(residual(), folder / "net.onnx")
    images = np.random.default_rng(0).standard_normal((12, 3, 16, 16)).astype(np.float32)
    np.save(folder / "images.npy", images)
    return prepare(folder / "net.onnx", folder / "images.npy", Recipe(budget_seconds=20), Progress())


def fake(part: float) -> Any:
    return SimpleNamespace(part=part)


def part_of(model: Any) -> float:
    return float(model.part)


@pytest.mark.parametrize("asked", [0.3, 0.5, 0.67, 0.9])
def test_a_ratio_that_falls_with_the_part_is_met_within_two_per_cent(asked: float) -> None:
    part, ratio, model = closest(asked, fake, lambda model: 1 - 0.8 * part_of(model))

    assert abs(ratio / asked - 1) <= WITHIN
    assert (ratio, part_of(model)) == (pytest.approx(1 - 0.8 * part), part)


def test_where_nothing_fits_the_nearest_that_is_fast_enough_is_taken() -> None:
    """The ratio jumps from 0.9 to 0.4: what is slower than asked is no answer."""
    _, ratio, _ = closest(0.7, fake, lambda model: 0.9 if part_of(model) < 0.5 else 0.4)

    assert ratio == 0.4


def test_what_never_gets_there_is_as_fast_as_it_gets() -> None:
    tried: list[float] = []

    def ratio_of(model: Any) -> float:
        tried.append(model.part)
        return float(1 - 0.1 * model.part)

    _, ratio, _ = closest(0.5, fake, ratio_of)

    assert len(tried) == TRIES
    assert ratio == pytest.approx(1 - 0.1 * max(tried))


def test_of_two_ways_to_cut_the_first_that_fits_is_taken() -> None:
    tried: list[str] = []

    def way(name: str, least: float) -> Any:
        def cut(part: float) -> Any:
            tried.append(name)
            return SimpleNamespace(part=part, name=name, least=least)

        return cut

    def ratio_of(model: Any) -> float:
        return float(max(1 - 0.8 * model.part, model.least))

    ways = [way("coarse", 0.8), way("fine", 0.2), way("finer", 0.1)]
    found: Any = closest_of(0.6, ways, ratio_of)
    _, ratio, model = found

    assert (model.name, abs(ratio / 0.6 - 1) <= WITHIN) == ("fine", True)
    assert set(tried) == {"coarse", "fine"}


def test_features_of_another_width_are_not_compared(tmp_path: Path) -> None:
    subject = a_subject(tmp_path)
    groups = find_groups(subject.model).groups
    held = set(subject.features.values)
    wide = [group for group in groups if any(place.value in held for place in group.places)]
    others = [group for group in groups if group not in wide]

    narrow_inside = remove_channels(subject.model, {group.name: [0] for group in others})
    narrow_all = remove_channels(subject.model, {group.name: [0] for group in groups})

    assert wide
    assert shared_features(subject, narrow_inside) == subject.features
    assert shared_features(subject, narrow_all).values == subject.features.logits


def test_onnxsim_prunes_repairs_and_learns(tmp_path: Path) -> None:
    subject = a_subject(tmp_path)
    whole = onnx.load_model_from_string(subject.model.to_bytes())

    cut = repaired(whole, pruned(whole, 0.5), batches(subject))
    teach_and_save(subject, (0.5, 0.7, cut), 1.0, tmp_path / "out")

    macs = [count(load(path), {}).macs for path in (tmp_path / "net.onnx", tmp_path / "out" / "untrained.onnx")]
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert 0 < macs[1] < macs[0]
    assert report["recovery"]["error_final"] <= report["recovery"]["error_plain"]


@pytest.mark.parametrize("importance", IMPORTANCE)
def test_torch_pruning_keeps_the_classes_and_widths_of_sixteen(importance: str) -> None:
    torch.manual_seed(0)
    network, batch = build("vgg-like").eval(), torch.randn(2, 3, 32, 32)

    smaller = pruned_module(network, batch, 0.5, importance, 16)

    widths = [module.out_channels for module in smaller.modules() if isinstance(module, torch.nn.Conv2d)]
    before = [module.out_channels for module in network.modules() if isinstance(module, torch.nn.Conv2d)]
    with torch.inference_mode():
        assert smaller(batch).shape == network(batch).shape
    assert sum(widths) < sum(before)
    assert {width % 16 for width in widths} == {0}
