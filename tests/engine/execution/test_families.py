"""Exports of torchvision's families, over the opsets: parity with ONNX Runtime, and the units known to be there."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models import VisionTransformer

from engine.check import random_inputs, relative_error
from engine.execution.executor import Executor
from engine.execution.runtime import open_session, run
from engine.formats.onnx import load
from engine.graph.folds import fold
from engine.graph.merges import merge
from engine.graph.normalise import normalise
from engine.graph.surgery import remove_units
from engine.graph.units import find_units

PARITY = 1e-4
SIDE = 64


def small_vit() -> nn.Module:
    vit = VisionTransformer(
        image_size=SIDE, patch_size=16, num_layers=2, num_heads=3, hidden_dim=48, mlp_dim=96, num_classes=10
    )
    nn.init.normal_(vit.heads.head.weight)  # torchvision starts it at zero, and every output with it
    return vit


def small_vgg() -> nn.Module:
    vgg = models.vgg11_bn()
    vgg.avgpool, vgg.classifier = nn.AdaptiveAvgPool2d(1), nn.Linear(512, 10)  # its own classifier is 400 MB
    return vgg


def googlenet() -> nn.Module:
    return models.googlenet(weights=None, init_weights=False, aux_logits=False)


FAMILIES: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "resnet18": (models.resnet18, 5),
    "resnet34": (models.resnet34, 13),
    "resnet50": (models.resnet50, 12),
    "vgg": (small_vgg, 0),
    "mobilenet_v2": (models.mobilenet_v2, 10),
    "mobilenet_v3": (models.mobilenet_v3_small, 6),
    "efficientnet": (models.efficientnet_b0, 9),
    "regnet": (models.regnet_y_400mf, 12),
    "shufflenet": (models.shufflenet_v2_x0_5, 0),
    "googlenet": (googlenet, 0),
    "squeezenet": (models.squeezenet1_1, 0),
    "mnasnet": (models.mnasnet0_5, 10),
    "densenet": (models.densenet121, 0),
    "convnext": (models.convnext_tiny, 18),
    "vit": (small_vit, 4),
}
"""How to make each, and the number of its branches whose skip is the identity (of a ViT: attentions and MLPs)."""

TRACED = [
    *[("resnet18", 11), ("resnet18", 20), ("resnet34", 16), ("resnet50", 13), ("vgg", 12), ("mobilenet_v2", 11)],
    *[("mobilenet_v2", 19), ("mobilenet_v3", 12), ("mobilenet_v3", 17), ("efficientnet", 11), ("efficientnet", 18)],
    *[("regnet", 13), ("shufflenet", 11), ("shufflenet", 15), ("googlenet", 12), ("squeezenet", 11)],
    *[
        ("mnasnet", 14),
        ("densenet", 11),
        ("densenet", 17),
        ("convnext", 11),
        ("convnext", 17),
        ("vit", 14),
        ("vit", 20),
    ],
]
EXPORTED = [("resnet18", 18), ("squeezenet", 21), ("convnext", 20), ("vit", 18), ("vit", 21)]
"""The current exporter starts at opset 18 and takes its time; the older one reaches from 11 to 20."""


def make(family: str) -> nn.Module:
    torch.manual_seed(0)
    network = FAMILIES[family][0]()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # fresh ones do nothing: mean 0, variance 1
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
    return network.eval()


def export(network: nn.Module, path: Path, opset: int, *, traced: bool, **options: object) -> None:
    images = torch.zeros(2, 3, SIDE, SIDE)
    if traced:
        options |= {"dynamo": False, "dynamic_axes": {"image": {0: "batch"}, "logits": {0: "batch"}}}
    else:
        options |= {"dynamo": True, "external_data": False, "dynamic_shapes": ({0: torch.export.Dim("batch")},)}
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")  # the exporters speak of their own age and of each other
        torch.onnx.export(
            network, (images,), path, input_names=["image"], output_names=["logits"], opset_version=opset, **options
        )


def assert_understood(path: Path, family: str) -> None:
    """Parity as uploaded and as normalised and folded; every unit found; valid with all of them gone."""
    model = load(path)
    inputs = random_inputs(model, seed=0)
    tensors: dict[str, Tensor] = {name: torch.from_numpy(array) for name, array in inputs.items()}
    wanted = run(open_session(model), inputs)["logits"]
    assert np.ptp(wanted) > 0.01

    plain = merge(fold(normalise(model)))

    assert (plain.inputs, plain.opset) == (model.inputs, model.opset)
    with torch.no_grad():
        assert relative_error(Executor(model)(tensors)["logits"].numpy(), wanted) <= PARITY
        assert relative_error(Executor(plain)(tensors)["logits"].numpy(), wanted) <= PARITY
    assert relative_error(run(open_session(plain), inputs)["logits"], wanted) <= 1e-5
    units = [unit for unit in find_units(plain) if unit.kind == "branch"]
    assert len(units) == FAMILIES[family][1]
    cut = remove_units(plain, units)
    onnx.checker.check_model(cut.to_bytes(), full_check=True)
    assert run(open_session(cut), inputs)["logits"].shape == wanted.shape


@pytest.mark.parametrize(("family", "opset"), TRACED)
def test_what_the_older_exporter_writes(family: str, opset: int, tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    export(make(family), path, opset, traced=True)

    assert_understood(path, family)


@pytest.mark.parametrize(("family", "opset"), EXPORTED)
def test_what_the_current_exporter_writes(family: str, opset: int, tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    export(make(family), path, opset, traced=False)

    assert_understood(path, family)


def test_batch_norm_that_was_not_folded(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    options = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    export(make("resnet18"), path, 14, traced=True, **options)

    assert "BatchNormalization" in {node.op_type for node in load(path).graph}
    assert_understood(path, "resnet18")
