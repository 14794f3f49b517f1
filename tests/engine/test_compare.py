"""Two files side by side, as anyone can do it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from engine.compare import compare
from engine.errors import CalibrationMismatch
from engine.recipe import Deploy, Preprocess


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "a.onnx", tmp_path / "b.onnx"]
    for path, name in zip(paths, ("image", "picture"), strict=True):
        graph = f"agraph (float[n, 3, 4, 4] {name}) => (float[n, 48] y) {{ y = Flatten({name}) }}"
        onnx.save(onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 18]> {graph}'), path)
    return paths


def test_a_comparison_with_images(files: list[Path], tmp_path: Path) -> None:
    np.savez(tmp_path / "images.npz", images=np.zeros((3, 4, 4, 3), np.uint8), labels=np.arange(3))

    found = compare(*files, tmp_path / "images.npz", Preprocess(), Deploy(batch=2), seed=0, budget_seconds=0.1)

    assert found.fidelity is not None
    assert found.fidelity.agreement is not None
    assert found.fidelity.agreement.value == 1
    assert found.fidelity.accuracy is not None
    assert found.latency.original.samples == found.latency.delivered.samples
    assert found.original.macs == found.delivered.macs == 0
    assert found.environment.batch == 2


def test_networks_that_take_different_images_are_refused(files: list[Path]) -> None:
    graph = "agraph (float[n, 3, 5, 5] image) => (float[n, 75] y) { y = Flatten(image) }"
    onnx.save(onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 18]> {graph}'), files[1])

    with pytest.raises(CalibrationMismatch, match=r"3 x 4 x 4; the network's input 'image' takes 3 x 5 x 5"):
        compare(*files, None, Preprocess(), Deploy(), seed=0, budget_seconds=1e9)


def test_a_comparison_without_images_tells_no_likeness(files: list[Path]) -> None:
    assert compare(*files, None, Preprocess(), Deploy(), seed=0, budget_seconds=0.1).fidelity is None


def test_images_that_do_not_fit_are_refused_before_anything_is_timed(files: list[Path], tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((3, 5, 5, 3), np.uint8))

    with pytest.raises(CalibrationMismatch):
        compare(*files, tmp_path / "images.npy", Preprocess(), Deploy(), seed=0, budget_seconds=1e9)
