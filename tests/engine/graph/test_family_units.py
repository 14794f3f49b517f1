"""Runs and activations of torchvision's families, against lists made by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.formats.onnx import load
from engine.graph.folds import fold
from engine.graph.merges import merge
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.units import Unit, find_units
from tests.families import export, make

RUNS: dict[str, tuple[list[int], int]] = {
    "vgg": ([1, 1], 0),  # the second layer between two poolings
    "shufflenet": ([1] * 15, 0),  # of five blocks 1x1, 3x3, 1x1; where the 3x3 shrinks the map, the shortcut's 1x1
    "densenet": ([5], 4),  # the second block gives back the 32 channels of the pooling; behind each bottleneck
    "mobilenet_v2": ([1, 1, 1], 1),  # depthwise layers of stride 1; between the last 1x1 and the pooling
    "convnext": ([1, 2] * 3, 3),  # of each block the depthwise layer and the two linear ones; between these
    "vit": ([1, 1], 2),  # the projection that closes each attention; within each MLP
}
"""How many layers each run has, in the graph's order, and the number of activations."""


@pytest.mark.parametrize("family", RUNS)
def test_runs_and_activations_of_a_family(family: str, tmp_path: Path) -> None:
    export(make(family), tmp_path / "network.onnx", 17, traced=True)
    model = merge(fold(normalise(load(tmp_path / "network.onnx"))))

    units = find_units(model)

    layers = [layer_count(model, unit) for unit in units if unit.kind == "run"]
    assert (layers, sum(unit.kind == "activation" for unit in units)) == RUNS[family]


def layer_count(model: Model, unit: Unit) -> int:
    return sum(model.nodes()[name].op_type in ("Conv", "Gemm", "MatMul") for name in (*unit.nodes, unit.join))
