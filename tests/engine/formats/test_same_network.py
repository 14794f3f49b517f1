"""The same weights as ONNX, exported program and bare weights: one network, whatever file it came in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from engine.check import relative_error
from engine.execution.runtime import open_session, run
from engine.formats import load
from engine.formats.networks import architectures
from engine.formats.networks.architectures import Options
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.units import find_units, signature
from engine.recipe import Architecture
from tests.engine.formats.zips import rezipped

SIDE, CLASSES = 16, 7
TOLERANCE = 1e-5
Array = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


class Residual(nn.Module):
    """A network small enough to be exported in a second: three branches beside their skips, and a head."""

    def __init__(self, num_classes: int = 5) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))
            for _ in range(3)
        )
        self.head = nn.Linear(8, num_classes)

    def forward(self, image: Tensor) -> Tensor:
        x: Tensor = self.stem(image)
        for block in self.blocks:
            x = torch.relu(x + block(x))
        return self.head(x.mean((2, 3)))  # type: ignore[no-any-return]


class TinyRegistry:
    """A library of one network, in place of torchvision's."""

    def names(self) -> list[str]:
        return ["residual"]

    def build(self, name: str, options: Options) -> nn.Module:
        return Residual(**options)

    def input_shape(self, name: str) -> tuple[int, ...]:
        return (3, SIDE, SIDE)

    def parameters(self, name: str) -> int | None:
        return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one network in each format: `network.onnx`, `network.pt2` and so on."""
    folder = tmp_path_factory.mktemp("formats")
    torch.manual_seed(0)
    network = Residual(CLASSES).eval()
    torch.save(network.state_dict(), folder / "network.pth")
    save_file(network.state_dict(), folder / "network.safetensors")
    dims = dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC)
    program = torch.export.export(network, (torch.zeros(2, 3, SIDE, SIDE),), dynamic_shapes=(dims,))
    torch.export.save(program, folder / "network.pt2")
    torch.onnx.export(program, (), dynamo=True, opset_version=20, verbose=False).save(folder / "network.onnx")
    return folder


def answers(model: Model, side: int = SIDE) -> Array:
    image = np.random.default_rng(0).standard_normal((3, 3, side, side)).astype(np.float32)
    (output,) = run(open_session(model), {model.inputs[0].name: image}).values()
    return output


def signatures(model: Model) -> list[str]:
    plain = normalise(model)
    return [signature(plain, unit) for unit in find_units(plain)]


@pytest.mark.parametrize("ending", ["pt2", "safetensors", "pth"])
def test_every_format_gives_the_same_units_and_outputs(
    folder: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of classes follows from the head; open sizes stay open."""
    monkeypatch.setattr(architectures, "registries", lambda: {"tiny": TinyRegistry()})
    architecture = Architecture(name="tiny/residual", input_shape=(3, None, None))
    wanted = load(folder / "network.onnx")

    found = load(folder / f"network.{ending}", architecture)

    assert found.inputs[0].shape == ("batch", 3, "height", "width")
    assert found.outputs[0].shape == ("batch", CLASSES)
    assert len(signatures(found)) >= 3
    assert signatures(found) == signatures(wanted)
    for side in (SIDE, 2 * SIDE):
        assert relative_error(answers(found, side), answers(wanted, side)) < TOLERANCE


def test_weights_of_a_network_of_torchvision(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = torchvision.models.resnet18(num_classes=CLASSES).eval()
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in network.state_dict().items()}}, tmp_path / "w")

    found = load(tmp_path / "w", Architecture(name="torchvision/resnet18", input_shape=(3, SIDE, SIDE)))

    image = np.random.default_rng(0).standard_normal((3, 3, SIDE, SIDE)).astype(np.float32)
    assert relative_error(answers(found), network(torch.from_numpy(image)).detach().numpy()) < TOLERANCE
    assert len(signatures(found)) > 0


def test_a_network_in_parts_comes_as_a_zip(folder: Path, tmp_path: Path) -> None:
    proto, parts = onnx.load(folder / "network.onnx"), ("network.onnx", "network.onnx.data")
    onnx.save_model(proto, tmp_path / parts[0], save_as_external_data=True, location=parts[1], size_threshold=0)
    packed = rezipped(tmp_path / "network", {f"export/{name}": (tmp_path / name).read_bytes() for name in parts})

    found = load(packed)

    assert (tmp_path / parts[1]).stat().st_size > 0
    assert np.array_equal(answers(found), answers(load(folder / "network.onnx")))


def test_a_program_whose_sizes_are_multiples_of_something_stays_open(tmp_path: Path) -> None:
    """As networks are exported that halve their map and double it again."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.ConvTranspose2d(8, 4, 2, stride=2))
    fours = {axis: 4 * torch.export.Dim(f"quarter_{axis}", min=4, max=64) for axis in (2, 3)}
    torch.export.save(
        torch.export.export(network.eval(), (torch.zeros(2, 3, 32, 32),), dynamic_shapes=(fours,)),
        tmp_path / "network.pt2",
    )

    model = load(tmp_path / "network.pt2")

    image = torch.randn(2, 3, 24, 40)
    with torch.no_grad():
        wanted = network(image).numpy()
    (found,) = run(open_session(model), {model.inputs[0].name: image.numpy()}).values()
    assert relative_error(found, wanted) <= TOLERANCE
