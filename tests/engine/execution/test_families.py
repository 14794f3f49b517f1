"""Small members of torchvision's families, over exporters and opsets: parity, branches, and the round trip of a cut."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from engine.check import random_inputs, relative_error
from engine.execution.executor import Executor
from engine.execution.runtime import open_session, run
from engine.formats.onnx import load, save
from engine.graph.channels.groups import Group, find_groups
from engine.graph.channels.remove import remove_channels
from engine.graph.folds import fold
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.plain.lift import OPSET
from engine.graph.surgery import remove_units
from engine.graph.units import Unit, find_units
from engine.measure.cost import count
from tests.families import export, make

PARITY, PLAIN_PARITY = 1e-4, 1e-5
LEAST_SHARE = 0.3
"""Of the multiplications, what has to be removable in every family."""

Arrays = Mapping[str, NDArray[Any]]

BRANCHES = {
    **dict.fromkeys(
        ("alexnet", "vgg", "shufflenet", "squeezenet", "googlenet", "densenet", "fcn", "deeplab", "lraspp"), 0
    ),
    **{"resnet": 2, "resnet_bottleneck": 1, "resnext": 1, "mobilenet_v2": 2, "mobilenet_v3": 1, "mnasnet": 4},
    **{"efficientnet": 2, "efficientnet_v2": 4, "regnet_x": 1, "regnet_y": 1, "convnext": 3, "vit": 4, "swin": 6},
    **{"swin_v2": 8, "maxvit": 8},
}
"""Of each family, the branches whose skip is the identity (of a transformer: attentions and MLPs)."""

TRACED = [
    *[("alexnet", 11), ("vgg", 12), ("resnet", 20), ("resnet_bottleneck", 13), ("resnext", 16), ("mobilenet_v2", 19)],
    *[("mobilenet_v3", 11), ("mobilenet_v3", 17), ("mnasnet", 14), ("efficientnet", 11), ("efficientnet_v2", 15)],
    *[
        ("regnet_x", 12),
        ("regnet_y", 18),
        ("shufflenet", 11),
        ("shufflenet", 15),
        ("squeezenet", 11),
        ("googlenet", 12),
    ],
    *[("densenet", 17), ("convnext", 11), ("convnext", 17), ("vit", 14), ("vit", 20), ("swin", 11), ("swin", 17)],
    *[("swin_v2", 14), ("maxvit", 14), ("fcn", 11), ("deeplab", 13), ("lraspp", 17)],
]
"""The older exporter reaches from opset 11 to 20, and costs little."""

EXPORTED = {
    **{"resnet": 23, "mobilenet_v2": 20, "mobilenet_v3": 18, "efficientnet_v2": 18, "regnet_y": 23, "shufflenet": 18},
    **{"densenet": 23, "convnext": 18, "vit": 23, "swin": 20, "lraspp": 20},
}
"""The current exporter starts at opset 18 and takes seconds: what it spells in its own way, at one of three opsets."""


@pytest.mark.parametrize(("family", "opset"), TRACED)
def test_what_the_older_exporter_writes(family: str, opset: int, tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    export(make(family), path, opset, traced=True)

    assert_survives_a_cut(assert_understood(path, family), tmp_path / "smaller.onnx")


def test_batch_norm_that_was_not_folded(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    options = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    export(make("resnet"), path, 14, traced=True, **options)

    assert "BatchNormalization" in {node.op_type for node in load(path).graph}
    assert_understood(path, "resnet")


@pytest.mark.parametrize("family", EXPORTED)
def test_what_the_current_exporter_writes(family: str, tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    export(make(family), path, EXPORTED[family], traced=False)

    assert_survives_a_cut(assert_understood(path, family), tmp_path / "smaller.onnx")


def assert_understood(path: Path, family: str) -> Model:
    """Parity as uploaded and as normalised and folded; every branch found; valid with all of them gone."""
    model = load(path)
    inputs = random_inputs(model, seed=0)
    wanted = run(open_session(model), inputs)["logits"]
    assert np.ptp(wanted) > 1e-4

    plain = fold(normalise(model))

    assert (plain.inputs, plain.outputs) == (model.inputs, model.outputs)
    assert plain.opset >= OPSET
    assert len(shape_arithmetic(plain)) <= (3 if family == "vit" else 0)  # a class token for each image
    assert relative_error(executed(model, inputs), wanted) <= PARITY
    assert relative_error(executed(plain, inputs), wanted) <= PARITY
    assert relative_error(run(open_session(plain), inputs)["logits"], wanted) <= PLAIN_PARITY
    units = branches(plain)
    assert len(units) == BRANCHES[family]
    cut = remove_units(plain, units)
    onnx.checker.check_model(cut.to_bytes(), full_check=True)
    assert run(open_session(cut), inputs)["logits"].shape == wanted.shape
    return plain


def assert_survives_a_cut(plain: Model, path: Path) -> None:
    """Cut 30 % of the multiplications or more, save, load, run: as the executor runs what was cut."""
    cut = remove_channels(plain, half_of_each(find_groups(plain).groups))
    save(cut, path)

    assert 1 - count(cut).macs / count(plain).macs >= LEAST_SHARE
    assert (cut.inputs, cut.outputs) == (plain.inputs, plain.outputs)
    inputs = random_inputs(plain, seed=0)
    delivered = run(open_session(load(path)), inputs)["logits"]
    assert np.ptp(delivered) > 0
    assert relative_error(delivered, executed(cut, inputs)) <= PARITY


def executed(model: Model, inputs: Arrays) -> NDArray[Any]:
    tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
    with torch.no_grad():
        return Executor(model)(tensors)["logits"].numpy()


def branches(model: Model) -> list[Unit]:
    return [unit for unit in find_units(model) if unit.kind == "branch"]


def shape_arithmetic(model: Model) -> list[str]:
    """Name what is left of the arithmetic of shapes."""
    kinds = ("ConstantOfShape", "Equal", "Expand", "Range", "ScatterND", "Shape", "Size", "Tile", "Where")
    return [str(node.name) for node in model.graph if node.op_type in kinds]


def half_of_each(groups: tuple[Group, ...]) -> dict[str, range]:
    return {group.name: range(group.size // 2) for group in groups if group.size > 1}
