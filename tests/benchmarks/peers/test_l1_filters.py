"""The filter peer: the smallest filters go, the same part of each layer, and no more than the ratio asks for."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers import l1_filters
from benchmarks.peers.l1_filters import best, meet, norms_of_filters, smallest
from engine.formats import load, save
from engine.graph.channels.groups import find_groups
from engine.graph.channels.remove import remove_channels
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.recipe import Recipe
from tests.networks import plain, residual


def test_a_channels_norm_is_that_of_the_filters_that_write_it() -> None:
    """In a residual network, several convolutions write the channels of one group."""
    model = normalise(residual())
    groups = find_groups(model).groups
    norms = norms_of_filters(model, groups)
    written = {str(node.inputs[1].name): node for node in model.graph if node.op_type == "Conv"}

    found = sum(float(norm.sum()) for norm in norms.values())

    inside = [
        model.weight(place.value) for g in groups for place in g.places if place.axis == 0 and place.value in written
    ]
    assert found == pytest.approx(sum(float(np.abs(weight).sum()) for weight in inside), rel=1e-5)
    assert {len(norm) for norm in norms.values()} == {8}


def test_a_channel_whose_filter_is_zero_goes_first() -> None:
    model = normalise(plain())
    for group in find_groups(model).groups:
        weights = [place.value for place in group.places if place.axis == 0 and model.weight(place.value).ndim == 4]
        for channel in range(group.size if weights else 0):
            changed = model.copy()
            for name in weights:
                weight = changed.weight(name).copy()
                weight[channel] = 0
                changed.set_weight(name, weight)
            norm = norms_of_filters(changed, find_groups(changed).groups)[group.name]
            assert norm.argmin() == channel


@pytest.mark.parametrize("step", [8, 16])
def test_every_layer_loses_the_same_part_and_keeps_a_multiple_of_the_step(step: int) -> None:
    sizes = [8, 16, 64, 64, 64, 100, 512]
    norms = {f"layer {n}": np.random.default_rng(n).random(size) for n, size in enumerate(sizes)}
    before = dict.fromkeys(norms, 0)
    for part in np.linspace(0, 1, 41):
        cuts = smallest(norms, float(part), step)
        for name, norm in norms.items():
            gone = cuts.get(name, [])
            kept = np.setdiff1d(np.arange(len(norm)), gone)
            assert len(kept) >= min(step, len(norm))
            assert len(kept) % step == 0 or not gone
            assert abs(len(gone) - part * len(norm)) <= step + 1e-9
            assert not gone or norm[gone].max() <= norm[kept].min()
            assert len(gone) >= before[name]
            before[name] = len(gone)


def test_layers_of_one_width_shrink_one_after_the_other() -> None:
    """A step of all at once would jump over the ratio that is asked for."""
    norms = {f"layer {n}": np.random.default_rng(n).random(32) for n in range(8)}

    totals = [sum(map(len, smallest(norms, part, 8).values())) for part in np.linspace(0, 0.75, 193)]

    assert totals[0] == 0
    assert totals[-1] == 8 * 24
    assert max(np.diff(totals)) == 8


@pytest.mark.parametrize("asked", [0.2, 0.5, 0.77, 0.95])
def test_no_more_goes_than_the_ratio_asks_for(asked: float) -> None:
    part, ratio, cut = meet(asked, lambda part: part, lambda part: 1 - 0.9 * float(part))  # type: ignore[arg-type,return-value]  # the part stands for the network

    assert ratio <= asked
    assert cut == part
    assert part - (1 - asked) / 0.9 == pytest.approx(0, abs=2**-l1_filters.TRIES)


def test_a_ratio_out_of_reach_gets_all_there_is() -> None:
    part, ratio, _ = meet(0.05, lambda part: part, lambda part: 1 - 0.9 * float(part))  # type: ignore[arg-type,return-value]  # the part stands for the network

    assert (part, ratio) == (1.0, pytest.approx(0.1))


def test_the_program_delivers_a_narrower_network_and_an_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: Model = plain()
    save(model, tmp_path / "net.onnx")
    np.save(tmp_path / "images.npy", np.random.default_rng(0).standard_normal((20, 3, 16, 16)).astype(np.float32))
    recipe = Recipe.model_validate({"target": {"latency_ratio": 0.9}, "deploy": {"batch": 2}})
    (tmp_path / "recipe.json").write_text(recipe.model_dump_json())
    arguments = ["net.onnx", "--calibration", "images.npy", "--recipe", "recipe.json", "--out", "out"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["l1_filters", *arguments, "--recovery-seconds", "1"])
    monkeypatch.setattr(l1_filters, "WIDTH_STEPS", (2,))
    monkeypatch.setattr(l1_filters, "_timer", lambda subject: lambda cut: parameters(cut) / parameters(model))

    l1_filters.main()

    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["outcome"] == "target_met"
    assert 0.6 <= report["reported_ratio"] <= 0.9
    assert report["recovery"]["error_final"] <= report["recovery"]["error_plain"]
    assert parameters(load(tmp_path / "out" / "model.onnx")) < parameters(model)


def test_of_what_meets_the_ratio_the_largest_is_taken_and_else_the_fastest() -> None:
    model = normalise(plain())
    norms = norms_of_filters(model, find_groups(model).groups)
    large, small = (remove_channels(model, smallest(norms, part, 2)) for part in (0.3, 0.6))

    assert best([(0.6, 0.5, small), (0.3, 0.69, large)], 0.7)[2] is large
    assert best([(0.6, 0.5, small), (0.3, 0.71, large)], 0.7)[2] is small
    assert best([(0.6, 0.8, small), (0.3, 0.9, large)], 0.7)[2] is small


def parameters(model: Model) -> int:
    return sum(model.weight(name).size for name in model.graph.initializers)


def test_nothing_is_removed_where_no_part_is_asked() -> None:
    model = normalise(plain())

    assert smallest(norms_of_filters(model, find_groups(model).groups), 0.0, 8) == {}
    assert remove_channels(model, {}).to_bytes()
