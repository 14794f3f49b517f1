"""A job that asks for zeros gets them, refitted, with the plain truth about what they are good for."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import compress as story
from engine.compress import compress
from engine.errors import RecipeInvalid
from engine.progress import Progress
from engine.recipe import Recipe
from engine.report import Outcome
from tests.engine.test_compress import HurriedClock
from tests.networks import NETWORKS, images

THIN: dict[str, Any] = {"budget_seconds": 10, "method": {"name": "magnitude"}, "target": {"parameters_ratio": 0.6}}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    monkeypatch.setattr(story, "Clock", HurriedClock)
    network = NETWORKS["residual"][0]()
    (tmp_path / "model.onnx").write_bytes(network.to_bytes())
    np.save(tmp_path / "images.npy", next(iter(images(network, batch=24).values())))
    return tmp_path / "model.onnx", tmp_path / "images.npy"


def test_the_report_says_what_zeros_are_good_for(files: tuple[Path, Path]) -> None:
    model, report, *_ = compress(*files, Recipe.model_validate(THIN | {"outputs": ["fp32", "int8"]}), Progress())

    zeros, recovery = report.zeros, report.recovery
    assert zeros is not None
    assert recovery is not None
    assert zeros.zeros == round(0.5 * zeros.weights)
    assert recovery.error_final == min(recovery.error_plain, recovery.error_closed_form) < recovery.error_plain
    assert zeros.delivered_compressed_bytes < 0.9 * zeros.original_compressed_bytes
    assert zeros.delivered_compressed_bytes == pytest.approx(len(gzip.compress(model.to_bytes(), 6)), abs=64)
    assert "Zeros make nothing faster" in zeros.meaning
    assert zeros.meaning in report.warnings
    assert any("further outputs were not made" in warning for warning in report.warnings)
    assert report.delivered.macs == report.original.macs
    if report.outcome is not Outcome.NO_GAIN:  # a busy machine may find the network slower
        assert sum(int((model.weight(name) == 0).sum()) for name in model.graph.initializers) >= zeros.zeros
        assert report.outcome is Outcome.TARGET_MET


def test_no_front_is_made_of_zeros(files: tuple[Path, Path]) -> None:
    with pytest.raises(RecipeInvalid, match="parameters_ratio"):
        compress(*files, Recipe.model_validate(THIN | {"target": {"pareto": 3}}), Progress())
