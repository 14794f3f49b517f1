"""The engine's work at given cuts: these units go, and no others."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.depth import same_cuts
from engine.clock import Clock
from engine.formats import load, save
from engine.graph.folds import fold
from engine.graph.merges import merge
from engine.graph.normalise import normalise
from engine.graph.units import blocks, find_units
from engine.recipe import Recipe
from tests.networks import residual


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a network, images and a recipe, to stand in; a job has two seconds."""
    save(residual(), tmp_path / "net.onnx")
    np.save(tmp_path / "images.npy", np.random.default_rng(0).standard_normal((20, 3, 16, 16)).astype(np.float32))
    (tmp_path / "recipe.json").write_text(Recipe().model_dump_json())
    monkeypatch.setattr(same_cuts, "Clock", lambda seconds: Clock(2))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_units_that_were_named_are_gone_and_no_others(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = [unit.name for unit in blocks(find_units(merge(fold(normalise(residual())))))]
    arguments = ["net.onnx", "--calibration", "images.npy", "--recipe", "recipe.json", "--out", "out", "--units"]
    monkeypatch.setattr(sys, "argv", ["same_cuts", *arguments, before[1]])

    same_cuts.main()

    report = json.loads((folder / "out" / "report.json").read_text())
    after = [unit.name for unit in blocks(find_units(load(folder / "out" / "model.onnx")))]
    assert after == [before[0], before[2]]
    assert report["units_cut"] == 1
    assert report["recovery"]["error_final"] < report["recovery"]["error_plain"]
    assert report["data"]["repair_images"] == 16


def test_a_unit_that_is_not_there_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["net.onnx", "--calibration", "images.npy", "--recipe", "recipe.json", "--out", "out", "--units"]
    monkeypatch.setattr(sys, "argv", ["same_cuts", *arguments, "stranger"])

    with pytest.raises(SystemExit, match="stranger"):
        same_cuts.main()
